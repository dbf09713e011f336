/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/copy_engine.h"

#include <string.h>

#include "common/base/clock.h"
#include "migration/disk/disk_ops.h"

#define ZERO_ITEM_BYTES (256ull << 20) /* a hole is zeroed in pieces, so that a stop is felt */

void copy_map_init(struct copy_map *map, const struct copy_plan *plan)
{
    *map = (struct copy_map){.plan = plan};
    bool sequential = plan->to != NULL && disk_access(plan->to) == DISK_SEQUENTIAL;
    map->emit_zeroes = plan->to != NULL && (sequential || !plan->to_is_zero);
    pthread_mutex_init(&map->lock, NULL);
}

void copy_map_fini(struct copy_map *map)
{
    pthread_mutex_destroy(&map->lock);
}

bool copy_map_measure(struct copy_map *map, uint64_t most_ms, struct error *err)
{
    struct disk *from = map->plan->from;
    uint64_t size = disk_size_bytes(from);
    uint64_t until = clock_mono_ms() + most_ms;
    uint64_t total = 0;
    for (uint64_t at = 0; at < size && clock_mono_ms() <= until;) {
        struct disk_extent extents[MAP_BATCH];
        size_t count = 0;
        if (!disk_extents(from, at, size - at, extents, MAP_BATCH, &count, err))
            return false;
        for (size_t i = 0; i < count; i++)
            total += extents[i].kind == DISK_EXTENT_DATA ? extents[i].length : 0;
        at = extents[count - 1].offset + extents[count - 1].length;
    }
    map->plan->control->total_bytes = total;
    return true;
}

/* The extent that covers `at`, as far as it is known, beginning there. */
static bool peek_extent(struct copy_map *map, uint64_t at, struct disk_extent *ret_extent,
                        struct error *err)
{
    struct disk *from = map->plan->from;
    while (map->batch_at < map->batch_count) {
        const struct disk_extent *extent = &map->batch[map->batch_at];
        if (extent->offset + extent->length > at)
            break;
        map->batch_at++;
    }
    if (map->batch_at == map->batch_count) {
        map->batch_at = 0;
        map->batch_count = 0;
        if (!disk_extents(from, at, disk_size_bytes(from) - at, map->batch, MAP_BATCH,
                          &map->batch_count, err))
            return false;
    }
    const struct disk_extent *found = &map->batch[map->batch_at];
    *ret_extent = (struct disk_extent){at, found->offset + found->length - at, found->kind};
    return true;
}

static bool is_done(const struct copy_map *map, uint64_t at)
{
    return map->plan->done != NULL && copy_set_has(map->plan->done, at / COPY_CHUNK_BYTES);
}

/* How much of a hole of `length` bytes at `at` (a chunk's start) becomes one item: whole chunks, up to
 * the next one that is done. */
static uint64_t zero_length(const struct copy_map *map, uint64_t at, uint64_t length)
{
    if (length > ZERO_ITEM_BYTES)
        length = ZERO_ITEM_BYTES;
    for (uint64_t next = COPY_CHUNK_BYTES; map->plan->done != NULL && next < length;
         next += COPY_CHUNK_BYTES) {
        if (is_done(map, at + next))
            length = next;
    }
    bool to_the_end = at + length == disk_size_bytes(map->plan->from);
    return to_the_end ? length : length - length % COPY_CHUNK_BYTES;
}

static void add_extent(struct copy_item *item, const struct disk_extent *extent)
{
    struct disk_extent *last =
        item->extent_count > 0 ? &item->extents[item->extent_count - 1] : NULL;
    bool is_data = extent->kind == DISK_EXTENT_DATA;
    if (last != NULL && (last->kind == DISK_EXTENT_DATA) == is_data) {
        last->length += extent->length;
    } else if (item->extent_count < ITEM_EXTENTS) {
        item->extents[item->extent_count++] = *extent;
    } else { /* too many: the last swallows the rest, as data to be read */
        last->kind = DISK_EXTENT_DATA;
        last->length += extent->length;
    }
    item->data_bytes += is_data ? extent->length : 0;
}

/* Widens data to whole blocks of the destination, where it takes nothing else. */
static void widen(struct copy_item *item, uint64_t block)
{
    struct disk_extent narrow[ITEM_EXTENTS];
    size_t count = item->extent_count;
    memcpy(narrow, item->extents, count * sizeof(narrow[0]));
    uint64_t data_bytes = item->data_bytes, end = item->offset + item->length;
    item->extent_count = 0;
    for (uint64_t at = item->offset, i = 0; at < end; at += block) {
        uint64_t until = at + block < end ? at + block : end;
        struct disk_extent whole = {at, until - at, DISK_EXTENT_HOLE};
        for (;; i++) {
            if (narrow[i].kind == DISK_EXTENT_DATA)
                whole.kind = DISK_EXTENT_DATA;
            if (i + 1 == count || narrow[i].offset + narrow[i].length > until)
                break;
        }
        add_extent(item, &whole);
    }
    item->data_bytes = data_bytes;
}

/* Gathers the extents of the chunk at map->at. */
static bool gather_chunk(struct copy_map *map, struct copy_item *item, struct error *err)
{
    uint64_t size = disk_size_bytes(map->plan->from);
    uint64_t end = map->at + COPY_CHUNK_BYTES < size ? map->at + COPY_CHUNK_BYTES : size;
    item->offset = map->at;
    item->length = end - map->at;
    for (uint64_t at = map->at; at < end;) {
        struct disk_extent extent;
        if (!peek_extent(map, at, &extent, err))
            return false;
        if (extent.length > end - at)
            extent.length = end - at;
        add_extent(item, &extent);
        at += extent.length;
    }
    const struct disk *to = map->plan->to;
    if (to != NULL && to->whole_blocks && item->data_bytes > 0)
        widen(item, to->block_bytes);
    return true;
}

/* Makes the item at map->at; ret_wanted says whether anything is to be done for it. */
static bool make_item(struct copy_map *map, struct copy_item *item, bool *ret_wanted,
                      struct error *err)
{
    const struct copy_plan *plan = map->plan;
    struct disk_extent first;
    if (!peek_extent(map, map->at, &first, err))
        return false;
    bool done = is_done(map, map->at);
    uint64_t zeroes = 0;
    if (first.kind != DISK_EXTENT_DATA && !done)
        zeroes = zero_length(map, map->at, first.length);
    *item = (struct copy_item){.offset = map->at, .length = zeroes};
    if (zeroes == 0 && !gather_chunk(map, item, err))
        return false;
    if (done)
        plan->control->done_bytes += item->data_bytes;
    item->drop = done;
    *ret_wanted = done ? disk_access(plan->from) == DISK_SEQUENTIAL
                       : item->data_bytes > 0 || map->emit_zeroes;
    return true;
}

bool copy_map_next(struct copy_map *map, struct copy_item *ret_item, bool *ret_end,
                   struct error *err)
{
    uint64_t size = disk_size_bytes(map->plan->from);
    bool ok = true, wanted = false;
    pthread_mutex_lock(&map->lock);
    while (ok && !wanted && map->at < size) {
        ok = make_item(map, ret_item, &wanted, err);
        map->at += ok ? ret_item->length : 0;
    }
    if (wanted)
        ret_item->ticket = map->next_ticket++;
    pthread_mutex_unlock(&map->lock);
    *ret_end = ok && !wanted;
    return ok && wanted;
}
