/* SPDX-License-Identifier: Apache-2.0
 *
 * Reservations of attempts that were lost with their nodes. The next attempt gets one of its own; the
 * former stays until the node tells that the directory is gone, or no longer names it, or is deleted.
 */
#ifndef GUTS_SCHEDULER_REMAIN_H
#define GUTS_SCHEDULER_REMAIN_H

#include "scheduler/tick.h"

/* The job is about to be taken from its node, whose worker may write on. */
void remain_leave(struct tick *tick, const struct job *job);
/* A report of the node names this attempt. */
void remain_named(struct tick *tick, struct node *node, const struct token *token,
                  uint64_t allocated_bytes, bool directory_gone);
/* After a report: those that it did not name are gone (twice in a row, or by a new instance, which
 * has looked through its pools). */
void remain_judge(struct tick *tick, struct node *node, bool is_new_instance);

#endif
