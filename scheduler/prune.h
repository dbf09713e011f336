/* SPDX-License-Identifier: Apache-2.0
 *
 * What nobody needs any more goes, a little at a time and never while migrations queue: old
 * events, closed jobs, settled wishes.
 */
#ifndef GUTS_SCHEDULER_PRUNE_H
#define GUTS_SCHEDULER_PRUNE_H

#include "scheduler/tick.h"

/* Whether the next turn should prune. */
bool prune_is_due(const struct scheduler *scheduler, uint64_t now_ms);
/* One piece of each, inside the transaction. */
bool prune_some(struct tick *tick, struct error *err) MUST_CHECK;
/* It could not be done: the next try waits. */
void prune_failed(struct scheduler *scheduler, uint64_t now_ms);

#endif
