/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages that give jobs to nodes: everything that a node needs to know, read with a few
 * queries for all jobs of a tick.
 */
#ifndef GUTS_SCHEDULER_ASSIGN_H
#define GUTS_SCHEDULER_ASSIGN_H

#include "scheduler/tick.h"

/* Builds the assignments of tick->placed. A job whose definition has gone ends as failed. */
bool assign_build(struct tick *tick, struct error *err) MUST_CHECK;
/* Puts assignments without answer into tick->placed again, and returns those that no queue took. */
bool assign_sweep(struct tick *tick, struct error *err) MUST_CHECK;
/* The broker's word on an assignment. */
void assign_fate(void *scheduler, uint64_t cookie, enum bus_fate fate);

#endif
