/* SPDX-License-Identifier: Apache-2.0
 *
 * Loading the picture from the database: at the start of a term, and after a batch that failed.
 */
#ifndef GUTS_SCHEDULER_PICTURE_LOAD_H
#define GUTS_SCHEDULER_PICTURE_LOAD_H

#include "scheduler/scheduler.h"

/* Replaces scheduler->picture. What only this process knows (when nodes were heard, and what was
 * last reported) is taken over from the old picture of the same term. */
bool picture_load(struct scheduler *scheduler, struct error *err) MUST_CHECK;
/* Counts the migrations of each state anew, for the gauges. */
bool picture_count_states(struct scheduler *scheduler, struct error *err) MUST_CHECK;

#endif
