/* SPDX-License-Identifier: Apache-2.0
 *
 * Giving waiting jobs to nodes: groups of equal needs, each tried when something that matters has
 * changed, each with a heap of the nodes that fit (place.h says which and how well).
 */
#ifndef GUTS_SCHEDULER_PLACING_H
#define GUTS_SCHEDULER_PLACING_H

#include "scheduler/tick.h"

/* How many jobs with equal needs a node gets in one go at most (see placing.c). */
#define PLACING_RUN_MOST 16

/* Places what can be placed, at most as many jobs as the settings' batch; returns true when that
 * bound ended it. Also writes why groups wait, and holds nodes for jobs that waited long. */
bool placing_run(struct tick *tick);
/* Gives a job to a node in the picture; assign.c builds its message. */
void placing_give(struct tick *tick, struct job *job, struct node *node, struct pool *pool,
                  uint64_t reserved_bytes);

#endif
