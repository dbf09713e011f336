/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the exchange and the queues. Names carry the topology's version, so that a change of
 * arguments never meets an old declaration. Only type and mandatory arguments are declared; limits
 * (length, delivery count) are policies of the broker, which deploy/ sets.
 *
 *   guts            topic exchange; routing keys are queue names
 *   guts.changes    fan-out to an exclusive classic queue of each api
 *   guts.dead       dead letters, with reason
 *
 * Threads: constant data and pure functions.
 */
#ifndef GUTS_PROTO_TOPOLOGY_H
#define GUTS_PROTO_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#define TOPOLOGY_EXCHANGE "guts.v1"
#define TOPOLOGY_CHANGES "guts.v1.changes"
#define TOPOLOGY_DEAD "guts.v1.dead"
#define TOPOLOGY_SCHEDULER "guts.v1.scheduler"
#define TOPOLOGY_SCHEDULER_BULK "guts.v1.scheduler.bulk"
#define TOPOLOGY_NODE_PREFIX "guts.v1.node."
#define TOPOLOGY_NAME_SIZE 160

enum bus_queue_kind {
    BUS_QUEUE_SCHEDULER, /* durable quorum */
    BUS_QUEUE_NODE,      /* durable quorum, one active consumer, expires when unused for days */
    BUS_QUEUE_CHANGES,   /* exclusive classic, auto-delete, bounded, drops the oldest */
    BUS_QUEUE_DEAD,      /* durable quorum; read by people and tests */
};
struct bus_queue {
    enum bus_queue_kind kind;
    char name[TOPOLOGY_NAME_SIZE]; /* BUS_QUEUE_CHANGES: chosen by the broker, stays "" */
    uint16_t prefetch;             /* 0: the settings' */
};
struct bus_queue topology_scheduler(void);
struct bus_queue topology_scheduler_bulk(void);
struct bus_queue topology_node(const char *node_name); /* node names: 1 to 64 of [a-z0-9.-] */
struct bus_queue topology_changes(void);
bool topology_node_name_is_valid(const char *node_name);

#endif
