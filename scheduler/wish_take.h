/* SPDX-License-Identifier: Apache-2.0
 *
 * Wishes: what operators asked for, taken when due. The last word on each is spoken here, by the
 * lifecycle table and the ledger; it is stored as the wish's outcome.
 */
#ifndef GUTS_SCHEDULER_WISH_TAKE_H
#define GUTS_SCHEDULER_WISH_TAKE_H

#include "scheduler/tick.h"

/* Takes at most `most` wishes that are due; ret_taken tells how many there were. */
bool wish_take_due(struct tick *tick, size_t most, size_t *ret_taken, struct error *err) MUST_CHECK;

/* The first due wish could not be served: its outcome is `failed` with the reason. */
bool wish_shelve_due(struct tick *tick, const struct error *reason, struct error *err) MUST_CHECK;

#endif
