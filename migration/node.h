/* SPDX-License-Identifier: Apache-2.0
 *
 * The node: takes jobs from the scheduler, keeps them in journals, lets workers do them, reports.
 * One thread, one loop. It opens no database; all that it needs comes in messages, all that it
 * learns goes back as messages, and any of them may be lost.
 *
 * Threads: the daemon's one.
 */
#ifndef GUTS_MIGRATION_NODE_H
#define GUTS_MIGRATION_NODE_H

#include "common/daemon/health.h"
#include "migration/node_settings.h"
#include "proto/bus.h"

struct node_plan {
    const struct node_settings *node;
    const struct worker_settings *worker;
    struct bus *bus;       /* borrowed */
    struct health *health; /* borrowed; NULL: none */
    int signal_fd;         /* wakes the loop; −1: none */
};
struct node;
/* Opens the pools, ends workers that an earlier start left, takes up their jobs. */
bool node_open(const struct node_plan *plan, struct node **ret_node, struct error *err) MUST_CHECK;
/* Ends the workers (journals stay: the jobs go on after the next start). */
void node_close(struct node *node);
/* One turn of the loop: waits at most timeout_ms for something to do. */
void node_turn(struct node *node, uint64_t timeout_ms);
const char *node_instance(const struct node *node);
void node_register_metrics(void); /* once, before threads start */

#endif
