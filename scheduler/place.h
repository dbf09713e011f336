/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a job may run, and where it does best (design: "Placement"). Pure functions over plain
 * structs: filters with a reason each, then weights. Who holds the nodes, and in which order jobs
 * are tried, is not known here.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_SCHEDULER_PLACE_H
#define GUTS_SCHEDULER_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/uuid.h"

/* Why a node does not take a job, in the order in which it is looked at. */
enum place_reason {
    PLACE_FITS,
    PLACE_NODE_DOWN,
    PLACE_NODE_DISABLED,
    PLACE_NODE_DRAINING,
    PLACE_NO_SOURCE_DRIVER,
    PLACE_NO_DESTINATION_DRIVER,
    PLACE_NO_LABEL,
    PLACE_NO_SLOT,
    PLACE_NO_MEMORY,
    PLACE_NO_SPACE,
    PLACE_NODE_HELD, /* for a job that waited long */
    PLACE_REASON_COUNT,
};
const char *place_reason_name(enum place_reason reason); /* "no_space" … */

/* Words are interned (intern.h): equal words have equal addresses. */
struct place_words {
    const char **items;
    size_t count;
};
bool place_words_hold(const struct place_words *words, const char *word);

/* What a job needs. */
struct place_need {
    const char *source_driver;      /* NULL: none */
    const char *destination_driver; /* NULL: none */
    struct place_words labels;
    uint32_t slots;
    uint64_t memory_bytes; /* counted only where a node reports memory */
    uint64_t space_bytes;
};

#define PLACE_POOLS_MOST 8
/* What a node has. */
struct place_node {
    bool up, enabled, draining;
    struct place_words labels, source_drivers, destination_drivers;
    int64_t slots_total, slots_free;
    bool counts_memory;
    int64_t memory_free_bytes;
    int64_t available_bytes[PLACE_POOLS_MOST]; /* of each of its pools, after reservations */
    int64_t hold_bytes[PLACE_POOLS_MOST];      /* the same once all its jobs have gone */
    size_t pool_count;
    bool held; /* for another group of jobs */
};

/* PLACE_FITS with the pool that has the most room, or the first reason against it. */
enum place_reason place_fits(const struct place_node *node, const struct place_need *need,
                             size_t *ret_pool);
/* Whether it would fit if everything on the node had ended. */
bool place_could_fit(const struct place_node *node, const struct place_need *need);

struct place_weights {
    int64_t space, source_spread, destination_spread, idle;
};
/* What speaks for a node that fits: higher is better. `largest_bytes` is the most that any pool has
 * available; same_source and same_destination count the jobs there that share an end. */
struct place_view {
    const struct place_node *node;
    size_t pool;
    uint32_t same_source, same_destination;
    int64_t largest_bytes;
};
double place_score(const struct place_view *view, const struct place_need *need,
                   const struct place_weights *weights);

/* available(pool): what may still be promised (design: "Placement"). */
struct place_promise {
    uint64_t reserved_bytes;
    uint64_t
        allocated_bytes; /* as last reported; 0 while the assignment is newer than the report */
};
uint64_t place_outstanding(const struct place_promise *promise);
int64_t place_base_bytes(uint64_t free_bytes, uint64_t capacity_bytes, uint64_t used_bytes);

#endif
