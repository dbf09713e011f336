/* SPDX-License-Identifier: Apache-2.0
 *
 * Who leads (design: "Leadership"): the leader row, judged by the database's clock. A standby only
 * watches it. The leader's transactions begin and end here.
 */
#ifndef GUTS_SCHEDULER_LEADERSHIP_H
#define GUTS_SCHEDULER_LEADERSHIP_H

#include "scheduler/scheduler.h"

/* A standby's look at the row; leads when it returns true and scheduler->leads is set. False only
 * when the database cannot be asked. */
bool leadership_watch(struct scheduler *scheduler, struct error *err) MUST_CHECK;
/* Begins a transaction with the row locked. FAULT_FENCED: the term is over. ret_went_back: the
 * database lost batches of this term; the picture is then of no worth. */
bool leadership_begin(struct scheduler *scheduler, struct leader_row *ret_row, bool *ret_went_back,
                      struct error *err) MUST_CHECK;
/* Counts the batch and commits. When no answer came, it is found out whether it happened: true then
 * too. FAULT_DB_UNAVAILABLE: surely not; FAULT_UNCERTAIN: cannot be found out. */
bool leadership_commit(struct scheduler *scheduler, uint64_t event_number,
                       struct error *err) MUST_CHECK;
/* Stops leading without a word to the database (it knows, or cannot be asked). */
void leadership_lose(struct scheduler *scheduler, const char *why);
/* Gives the row up at an orderly end. */
void leadership_release(struct scheduler *scheduler);

/* Since when the silence of a node says something: the start of the term, or later the end of a time
 * in which the broker let nobody be heard. By our clock. */
uint64_t leadership_hears_since_ms(const struct scheduler *scheduler);
/* Steps aside, with false, when the broker no longer answers this leader: see broker_watch.h. */
bool leadership_keeps_broker(struct scheduler *scheduler);

#endif
