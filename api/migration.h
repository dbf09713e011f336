/* SPDX-License-Identifier: Apache-2.0
 *
 * Migrations as the routes share them. Threads: of one call. */
#ifndef GUTS_API_MIGRATION_H
#define GUTS_API_MIGRATION_H

#include "api/call.h"

/* The id that the path means: an id, or the name of a vm that has one migration. FAULT_NOT_FOUND,
 * FAULT_NAME_AMBIGUOUS. An id is not looked up. */
bool migration_named(struct call *call, struct uuid *ret_id, struct error *err) MUST_CHECK;

#endif
