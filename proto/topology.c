/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/topology.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NODE_NAME_MOST 64

static struct bus_queue queue_named(enum bus_queue_kind kind, const char *prefix, const char *name)
{
    struct bus_queue queue = {.kind = kind};

    snprintf(queue.name, sizeof(queue.name), "%s%s", prefix, name);
    return queue;
}

struct bus_queue topology_scheduler(void)
{
    return queue_named(BUS_QUEUE_SCHEDULER, TOPOLOGY_SCHEDULER, "");
}

struct bus_queue topology_scheduler_bulk(void)
{
    struct bus_queue queue = queue_named(BUS_QUEUE_SCHEDULER, TOPOLOGY_SCHEDULER_BULK, "");

    queue.prefetch = 4; /* pages are large: they are taken in small bites */
    return queue;
}

struct bus_queue topology_node(const char *node_name)
{
    assert(topology_node_name_is_valid(node_name));
    return queue_named(BUS_QUEUE_NODE, TOPOLOGY_NODE_PREFIX, node_name);
}

struct bus_queue topology_changes(void)
{
    return queue_named(BUS_QUEUE_CHANGES, "", "");
}

bool topology_node_name_is_valid(const char *node_name)
{
    size_t length = node_name ? strlen(node_name) : 0;

    return length >= 1 && length <= NODE_NAME_MOST &&
           strspn(node_name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == length;
}
