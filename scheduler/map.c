/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/map.h"

#include <assert.h>
#include <string.h>

#include "common/base/memory.h"

/* Ids may differ in any of their bytes alone, and each must reach the lowest bits. */
static size_t map_hash(const struct uuid *id)
{
    uint64_t head, tail;
    memcpy(&head, id->bytes, 8);
    memcpy(&tail, id->bytes + 8, 8);
    uint64_t mixed = (head ^ (tail << 32 | tail >> 32)) * 0x9E3779B97F4A7C15u;
    mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93u;
    return (size_t)(mixed ^ (mixed >> 32));
}

void map_fini(struct map *map)
{
    free(map->slots);
    *map = (struct map){0};
}

static struct map_slot *map_slot(const struct map *map, const struct uuid *id)
{
    size_t mask = map->capacity - 1;
    size_t at = map_hash(id) & mask;
    while (map->slots[at].item != NULL && !uuid_equal(&map->slots[at].id, id))
        at = (at + 1) & mask;
    return &map->slots[at];
}

void *map_find(const struct map *map, const struct uuid *id)
{
    return map->capacity == 0 ? NULL : map_slot(map, id)->item;
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    map->capacity = old.capacity == 0 ? 64 : old.capacity * 2;
    map->slots = xcalloc(map->capacity, sizeof *map->slots);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].item != NULL)
            *map_slot(map, &old.slots[i].id) = old.slots[i];
    free(old.slots);
}

void map_put(struct map *map, const struct uuid *id, void *item)
{
    assert(item != NULL);
    if ((map->count + 1) * 3 > map->capacity * 2)
        map_grow(map);
    struct map_slot *slot = map_slot(map, id);
    if (slot->item == NULL)
        map->count++;
    *slot = (struct map_slot){*id, item};
}

void *map_take(struct map *map, const struct uuid *id)
{
    if (map->capacity == 0)
        return NULL;
    struct map_slot *slot = map_slot(map, id);
    void *item = slot->item;
    if (item == NULL)
        return NULL;
    /* Close the gap: what was displaced past this slot moves back. */
    size_t mask = map->capacity - 1, hole = (size_t)(slot - map->slots), at = hole;
    for (;;) {
        at = (at + 1) & mask;
        if (map->slots[at].item == NULL)
            break;
        size_t home = map_hash(&map->slots[at].id) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_slot){0};
    map->count--;
    return item;
}

void *map_next(const struct map *map, size_t *at)
{
    while (*at < map->capacity) {
        void *item = map->slots[(*at)++].item;
        if (item != NULL)
            return item;
    }
    return NULL;
}
