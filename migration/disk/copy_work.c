/* SPDX-License-Identifier: Apache-2.0
 *
 * One thread of a copy: takes an item, reads its data, digests it, writes what is not zero, records it.
 *
 * Where both disks are random, an item passes through a buffer smaller than a chunk, so that what was
 * read is still in the cache of the core when it is digested and written. Where one is sequential, the
 * whole chunk is held: reading and writing happen in turns, digesting and decoding beside them.
 */
#include "migration/disk/copy_engine.h"

#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/copy_hash.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/pack.h"
#include "migration/disk/zero.h"
#include "proto/fault.h"

#define LEAST_ZERO_RUN_BYTES (16u << 10)
#define MEASURE_MOST_MS 300

struct work {
    struct copy *copy;
    uint8_t *buffer;
    uint8_t *packs; /* of the buffer's blocks; NULL: the copy passes none */
    uint8_t *room;  /* for what is gathered */
    uint32_t pack_lengths[COPY_CHUNK_BYTES / DISK_PACK_BYTES];
    struct copy_item item;
    struct copy_hash *hash; /* of the item */
    uint64_t data_end;      /* of the extent that is being passed, by pieces */
    uint64_t room_end;      /* up to here the destination took room for it */
};

/* Waits as the rate demands. Our own waiting is no stall. */
static void pay(struct copy *copy, uint64_t bytes)
{
    uint64_t wait_us;
    while (!copy->ending && !copy->control->stop &&
           (wait_us = copy_throttle_pay_us(&copy->throttle, bytes,
                                           copy->control->bytes_per_second)) > 0) {
        struct timespec pause = {0, (long)wait_us * 1000};
        nanosleep(&pause, NULL);
        copy->moved_ms = clock_mono_ms();
    }
}

/* The packs of the blocks at `at` of the buffer. */
static struct disk_packs packs_at(struct work *work, const uint8_t *at)
{
    size_t block = (size_t)(at - work->buffer) / DISK_PACK_BYTES;
    return (struct disk_packs){work->packs + block * DISK_PACK_BYTES, work->pack_lengths + block};
}

static bool read_bytes(struct work *work, uint8_t *to, size_t length, uint64_t offset,
                       struct error *err)
{
    struct disk *from = work->copy->plan->from;
    return work->packs == NULL ? disk_read(from, to, length, offset, err)
                               : disk_read_packs(from, to, packs_at(work, to), length, offset, err);
}

static bool write_bytes(struct work *work, const uint8_t *from, size_t length, uint64_t offset,
                        struct error *err)
{
    struct disk *to = work->copy->plan->to;
    return work->packs == NULL
               ? disk_write(to, from, length, offset, err)
               : disk_write_packs(to, from, packs_at(work, from), length, offset, err);
}

static bool read_piece(struct work *work, uint8_t *to, size_t length, uint64_t offset,
                       struct error *err)
{
    struct copy *copy = work->copy;
    pay(copy, length);
    if (copy->ending || copy->control->stop)
        return error_set(err, &FAULT_CANCELLED, "the copy was asked to stop");
    if (copy->gather_bytes > 0 ? !disk_gather(copy->plan->from, to, work->room, length, offset, err)
                               : !read_bytes(work, to, length, offset, err))
        return false;
    copy->control->read_bytes += length;
    copy->moved_ms = clock_mono_ms();
    if (copy->gather_bytes == 0)
        copy_hash_add(work->hash, to, length);
    return true;
}

/* The other half of what was gathered: a chunk, for such a source has no extents. */
static bool decode_whole(struct work *work, struct error *err)
{
    const struct copy_item *item = &work->item;
    if (!disk_decode(work->copy->plan->from, work->buffer, work->room, item->offset, err))
        return false;
    copy_hash_add(work->hash, work->buffer, (size_t)item->length);
    return true;
}

static bool zero_piece(struct copy *copy, uint64_t offset, uint64_t length, struct error *err)
{
    if (!copy->map.emit_zeroes)
        return true;
    if (!disk_zero(copy->plan->to, offset, length, err))
        return false;
    copy->moved_ms = clock_mono_ms();
    return true;
}

/* Zeroes among data: nothing is to be done where the destination is zero, but give back what it took. */
static bool leave_zero(struct work *work, uint64_t offset, uint64_t length, struct error *err)
{
    struct copy *copy = work->copy;
    if (copy->map.emit_zeroes || offset >= work->room_end)
        return zero_piece(copy, offset, length, err);
    return disk_zero(copy->plan->to, offset, length, err);
}

static bool write_piece(struct work *work, const uint8_t *from, size_t length, uint64_t offset,
                        struct error *err)
{
    struct copy *copy = work->copy;
    struct disk *to = copy->plan->to;
    size_t block = disk_block_bytes(to);
    size_t least = block > LEAST_ZERO_RUN_BYTES ? block : LEAST_ZERO_RUN_BYTES;
    while (length > 0) {
        bool is_zero = false;
        size_t run = zero_run(from, length, block, least, &is_zero);
        /* What ends in data is likely to go on. */
        if (!is_zero && run == length && offset >= work->room_end &&
            offset + run < work->data_end && disk_room(to, work->data_end - offset, offset))
            work->room_end = work->data_end;
        if (is_zero ? !leave_zero(work, offset, run, err)
                    : !write_bytes(work, from, run, offset, err))
            return false;
        if (!is_zero)
            copy->control->written_bytes += run;
        copy->moved_ms = clock_mono_ms();
        from += run;
        offset += run;
        length -= run;
    }
    return true;
}

/* Reads, digests and writes piece by piece through a small buffer. */
static bool pass_pieces(struct work *work, struct error *err)
{
    struct copy *copy = work->copy;
    for (size_t i = 0; i < work->item.extent_count; i++) {
        struct disk_extent rest = work->item.extents[i];
        if (rest.kind != DISK_EXTENT_DATA) {
            copy_hash_add_zeroes(work->hash, rest.length);
            if (!zero_piece(copy, rest.offset, rest.length, err))
                return false;
            continue;
        }
        work->data_end = rest.offset + rest.length;
        work->room_end = rest.offset;
        while (rest.length > 0) {
            size_t step = copy->buffer_bytes - rest.offset % copy->buffer_bytes;
            if (step > rest.length)
                step = (size_t)rest.length;
            if (!read_piece(work, work->buffer, step, rest.offset, err) ||
                (copy->plan->to != NULL &&
                 !write_piece(work, work->buffer, step, rest.offset, err)))
                return false;
            rest.offset += step;
            rest.length -= step;
        }
    }
    return true;
}

/* Reads a whole chunk into the buffer. */
static bool read_whole(struct work *work, struct error *err)
{
    for (size_t i = 0; i < work->item.extent_count; i++) {
        const struct disk_extent *extent = &work->item.extents[i];
        uint8_t *to = work->buffer + (extent->offset - work->item.offset);
        if (extent->kind == DISK_EXTENT_DATA) {
            if (!read_piece(work, to, (size_t)extent->length, extent->offset, err))
                return false;
        } else {
            memset(to, 0, (size_t)extent->length);
            copy_hash_add_zeroes(work->hash, extent->length);
        }
    }
    return true;
}

static bool write_whole(struct work *work, struct error *err)
{
    struct copy *copy = work->copy;
    const struct copy_item *item = &work->item;
    if (copy->plan->to == NULL || item->drop)
        return true;
    if (item->data_bytes == 0)
        return zero_piece(copy, item->offset, item->length, err);
    return write_piece(work, work->buffer, (size_t)item->length, item->offset, err);
}

static bool pass_in_turn(struct work *work, struct error *err)
{
    struct copy *copy = work->copy;
    uint64_t ticket = work->item.ticket;
    if (copy->ordered_read && !copy_turn_wait(&copy->read_turn, ticket))
        return error_set(err, &FAULT_CANCELLED, "the copy ends");
    bool ok = work->item.data_bytes == 0 || read_whole(work, err);
    if (!ok)
        copy_fail(copy, err); /* before the next in turn fails because of us */
    if (copy->ordered_read)
        copy_turn_pass(&copy->read_turn);
    if (ok && copy->gather_bytes > 0 && work->item.data_bytes > 0 && !work->item.drop &&
        !decode_whole(work, err)) {
        ok = false;
        copy_fail(copy, err);
    }
    if (ok && copy->ordered_write && !copy_turn_wait(&copy->write_turn, ticket))
        ok = error_set(err, &FAULT_CANCELLED, "the copy ends");
    ok = ok && write_whole(work, err);
    if (!ok)
        copy_fail(copy, err);
    if (copy->ordered_write)
        copy_turn_pass(&copy->write_turn);
    return ok;
}

static void record(struct work *work)
{
    struct copy *copy = work->copy;
    const struct copy_item *item = &work->item;
    struct copy_chunk chunk = {.index = item->offset / COPY_CHUNK_BYTES};
    copy_hash_end(work->hash, chunk.digest);
    pthread_mutex_lock(&copy->lock);
    if (copy->written_count == copy->written_capacity) {
        copy->written_capacity = copy->written_capacity > 0 ? copy->written_capacity * 2 : 64;
        copy->written =
            xreallocarray(copy->written, copy->written_capacity, sizeof(*copy->written));
    }
    copy->written[copy->written_count++] = chunk;
    copy->unflushed_bytes += item->data_bytes;
    if (copy->unflushed_bytes >= copy->plan->flush_bytes)
        pthread_cond_signal(&copy->wake);
    pthread_mutex_unlock(&copy->lock);
}

static bool pass_item(struct work *work, struct error *err)
{
    struct copy *copy = work->copy;
    copy_hash_begin(work->hash);
    memset(work->pack_lengths, 0, sizeof(work->pack_lengths));
    bool in_turn = copy->ordered_read || copy->ordered_write;
    if (in_turn) {
        if (!pass_in_turn(work, err))
            return false;
    } else if (work->item.data_bytes == 0) {
        return zero_piece(copy, work->item.offset, work->item.length, err);
    } else if (!pass_pieces(work, err)) {
        return false;
    }
    if (work->item.data_bytes == 0 || work->item.drop)
        return true;
    copy->control->done_bytes += work->item.data_bytes;
    if (copy->plan->flushed != NULL)
        record(work);
    return true;
}

/* One item with a buffer of the budget; ret_end when there was none. */
static bool work_once(struct work *work, bool *ret_end, struct error *err)
{
    struct copy *copy = work->copy;
    bool ok = true;
    work->buffer = copy_budget_take(copy->budget, copy->taken_bytes);
    copy->moved_ms = clock_mono_ms(); /* waiting for our own budget is no stall */
    if (work->buffer == NULL)
        return true;
    work->packs = copy->packs ? work->buffer + copy->buffer_bytes : NULL;
    work->room = work->buffer + copy->buffer_bytes;
    if (copy_map_next(&copy->map, &work->item, ret_end, err))
        ok = pass_item(work, err);
    else
        ok = *ret_end;
    copy_budget_give(copy->budget, work->buffer, copy->taken_bytes);
    return ok;
}

/* The first thread asks how much there is to do, while the copy is watched already: a peer may hang here too. */
static bool measure(struct copy *copy, struct error *err)
{
    pthread_mutex_lock(&copy->measuring);
    bool ok = copy->measured || copy_map_measure(&copy->map, MEASURE_MOST_MS, err);
    copy->measured = copy->measured || ok;
    if (ok)
        copy->moved_ms = clock_mono_ms();
    pthread_mutex_unlock(&copy->measuring);
    return ok;
}

void *copy_work(void *argument)
{
    struct copy *copy = argument;
    struct work work = {.copy = copy, .hash = copy_hash_new()};
    bool end = false, measured = false;
    while (!end && !copy->ending) {
        struct error err = {0};
        if (copy->control->stop)
            error_set(&err, &FAULT_CANCELLED, "the copy was asked to stop");
        else if (!measured)
            measured = measure(copy, &err);
        else
            (void)work_once(&work, &end, &err);
        if (err.fault != NULL)
            copy_fail(copy, &err);
    }
    copy_hash_free(work.hash);
    pthread_mutex_lock(&copy->lock);
    copy->running--;
    pthread_cond_signal(&copy->wake);
    pthread_mutex_unlock(&copy->lock);
    return NULL;
}
