/* SPDX-License-Identifier: Apache-2.0
 *
 * What the scheduler counts of itself, for /metrics.
 * Threads: counting is atomic.
 */
#ifndef GUTS_SCHEDULER_GAUGE_H
#define GUTS_SCHEDULER_GAUGE_H

#include "common/daemon/metrics.h"
#include "scheduler/scheduler.h"

extern struct metric gauge_placements; /* jobs given to nodes */
extern struct metric gauge_accepts;    /* of those, accepted and committed */
extern struct metric gauge_batches;    /* committed transactions */
extern struct metric gauge_batch_time; /* from its first message to its commit */
extern struct metric gauge_batch_messages;
extern struct metric gauge_queue_time; /* how long due work had waited */
extern struct metric gauge_stale;      /* stale or illegal moves that were dropped */
extern struct metric gauge_dead;       /* messages given to the dead-letter queue */
extern struct metric gauge_trimmed;    /* bad parts taken out of reports */
extern struct metric gauge_replays;    /* batches that failed and were repeated */
extern struct metric gauge_takeovers;  /* jobs taken from a node */
extern struct metric gauge_fenced;     /* ledger writes refused */
extern struct metric gauge_published, gauge_unsent;
extern struct metric gauge_leader; /* 1 while this scheduler leads */
extern struct metric gauge_nodes_up, gauge_jobs, gauge_waiting;

void gauge_register(void);
/* Sets what follows from the picture. */
void gauge_picture(const struct picture *picture);

#endif
