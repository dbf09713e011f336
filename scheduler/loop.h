/* SPDX-License-Identifier: Apache-2.0
 *
 * The one loop: drain what is ready, one transaction, commit, publish, acknowledge.
 */
#ifndef GUTS_SCHEDULER_LOOP_H
#define GUTS_SCHEDULER_LOOP_H

#include "scheduler/scheduler.h"

/* One turn; waits at most until something is due or a message or signal comes. */
void loop_turn(struct scheduler *scheduler, int signal_fd);

#endif
