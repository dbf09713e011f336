/* SPDX-License-Identifier: Apache-2.0
 *
 * A map from ids to things, for the picture: open addressing, grows by itself. It owns nothing.
 * Threads: one.
 */
#ifndef GUTS_SCHEDULER_MAP_H
#define GUTS_SCHEDULER_MAP_H

#include <stddef.h>

#include "common/base/uuid.h"

struct map_slot {
    struct uuid id;
    void *item; /* NULL: free */
};
struct map {
    struct map_slot *slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};
void map_fini(struct map *map);
void *map_find(const struct map *map, const struct uuid *id);     /* NULL when absent */
void map_put(struct map *map, const struct uuid *id, void *item); /* replaces */
void *map_take(struct map *map, const struct uuid *id); /* takes it out; NULL when absent */
/* Visits all: `size_t at = 0; while ((item = map_next(&map, &at)) != NULL)`. Nothing may be put or
 * taken meanwhile. */
void *map_next(const struct map *map, size_t *at);

#endif
