/* SPDX-License-Identifier: Apache-2.0
 *
 * Wishes from routes: written to the store, the scheduler woken, 202 answered. Threads: of one call.
 */
#ifndef GUTS_API_WISH_H
#define GUTS_API_WISH_H

#include "api/call.h"
#include "proto/words.h"

/* `project`: of the owner. arguments_json may be NULL. */
bool wish_answer(struct call *call, const char *verb, enum owner_kind kind,
                 const struct uuid *owner, const char *project, const char *arguments_json,
                 struct error *err) MUST_CHECK;

#endif
