/* SPDX-License-Identifier: Apache-2.0
 *
 * Declarations of drivers as the API needs them: parsed once a call.
 *
 * Threads: of one call.
 */
#ifndef GUTS_API_DRIVER_H
#define GUTS_API_DRIVER_H

#include "api/call.h"
#include "proto/words.h"

/* The declaration as an object with "settings" and "options", each an array; freed by the caller
 * (json_decref). FAULT_DRIVER_UNKNOWN. */
bool driver_declaration(struct call *call, enum end end, const char *name, json_t **ret_declaration,
                        struct error *err) MUST_CHECK;

#endif
