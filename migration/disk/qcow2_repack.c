/* SPDX-License-Identifier: Apache-2.0
 *
 * qcow2 as a stream of packs: laid out as in qcow2_stream.c, but the clusters are compressed where the
 * source has told how long they may be. Each stands in the room that was told, filled up with zeroes to
 * a sector, so that the length and the tables are known before any byte of data.
 */
#include <endian.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "migration/disk/qcow2_slots.h"
#include "migration/disk/stream.h"
#include "migration/disk/zero.h"
#include "proto/fault.h"

static const uint8_t zero_cluster[QCOW2_CLUSTER_BYTES];

struct repack {
    struct disk disk;
    struct disk_sink sink;
    struct qcow2_slots slots;
    /* In clusters, from the start of the stream: */
    uint64_t refcount_blocks;
    uint64_t first_table;
    uint64_t second_tables;
    uint64_t data;
    uint64_t end;
    uint64_t block_count;
    bool begun;
    uint64_t at;         /* guest-visible bytes passed */
    uint64_t data_bytes; /* of the data, sent */
    uint32_t page_table; /* whose slots are in page; UINT32_MAX: none */
    uint8_t page[QCOW2_SLOTS_PAGE_BYTES];
    uint8_t room[QCOW2_CLUSTER_BYTES];
};

static uint64_t clusters_for(uint64_t bytes)
{
    return (bytes + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES;
}

static bool send(struct repack *repack, const void *data, size_t length, struct error *err)
{
    return length == 0 || repack->sink.write(repack->sink.context, data, length, err);
}

static bool send_zeroes(struct repack *repack, uint64_t length, struct error *err)
{
    while (length > 0) {
        size_t step = length < sizeof(zero_cluster) ? (size_t)length : sizeof(zero_cluster);
        if (!send(repack, zero_cluster, step, err))
            return false;
        length -= step;
    }
    return true;
}

/* Fills up to a cluster's end what is `bytes` long. */
static bool send_rest(struct repack *repack, uint64_t bytes, struct error *err)
{
    return send_zeroes(repack, (clusters_for(bytes) << QCOW2_CLUSTER_BITS) - bytes, err);
}

/* -- head ----------------------------------------------------------------------------------------- */

/* Calls visit for each slot that holds something, in order, with its place behind the start of the data. */
struct walk {
    bool (*visit)(struct walk *walk, uint8_t slot, uint64_t place, struct error *err);
    struct repack *repack;
    uint64_t end; /* of the data, when all were visited */
    /* For counting: */
    uint64_t cluster;
    uint16_t count;
    size_t pending;
    uint16_t counts[4096];
};

static bool walk_all(struct walk *walk, struct error *err)
{
    struct repack *repack = walk->repack;
    repack->page_table = UINT32_MAX;
    for (uint32_t i = 0; i < repack->slots.table_count; i++) {
        if (repack->slots.kinds[i] == QCOW2_SLOTS_EMPTY)
            continue;
        if (!qcow2_slots_page(&repack->slots, i, repack->page, err))
            return false;
        for (uint32_t j = 0; j < QCOW2_TABLE_ENTRIES; j++) {
            uint8_t slot = repack->page[j];
            if (slot == QCOW2_SLOT_NONE)
                continue;
            uint64_t place = qcow2_slot_place(slot, walk->end);
            walk->end = place + qcow2_slot_bytes(slot);
            if (walk->visit != NULL && !walk->visit(walk, slot, place, err))
                return false;
        }
    }
    return true;
}

static bool lay_out(struct repack *repack, struct error *err)
{
    struct walk *walk = xcalloc(1, sizeof(*walk));
    walk->repack = repack;
    bool ok = walk_all(walk, err);
    uint64_t first_clusters = clusters_for((uint64_t)repack->slots.table_count * 8);
    uint64_t data_clusters = clusters_for(walk->end);
    uint64_t used = 1 + first_clusters + repack->slots.tables_used + data_clusters;
    struct qcow2_refcounts counts = qcow2_refcounts_for(used, 0);
    repack->block_count = counts.block_count;
    repack->refcount_blocks = 1 + counts.table_clusters;
    repack->first_table = repack->refcount_blocks + counts.block_count;
    repack->second_tables = repack->first_table + first_clusters;
    repack->data = repack->second_tables + repack->slots.tables_used;
    repack->end = repack->data + data_clusters;
    free(walk);
    return ok;
}

static bool send_header(struct repack *repack, struct error *err)
{
    struct qcow2_header header = {
        .size_bytes = (repack->disk.size_bytes + 511) / 512 * 512,
        .l1_entries = repack->slots.table_count,
        .l1_offset = repack->first_table << QCOW2_CLUSTER_BITS,
        .refcount_offset = QCOW2_CLUSTER_BYTES,
        .refcount_clusters = (uint32_t)(repack->refcount_blocks - 1),
    };
    uint8_t data[QCOW2_HEADER_BYTES];
    qcow2_header_encode(&header, data);
    return send(repack, data, sizeof(data), err) && send_rest(repack, sizeof(data), err);
}

static bool send_refcount_table(struct repack *repack, struct error *err)
{
    uint64_t table_bytes = (repack->refcount_blocks - 1) << QCOW2_CLUSTER_BITS;
    for (uint64_t i = 0; i < repack->block_count; i++) {
        uint64_t entry = htobe64((repack->refcount_blocks + i) << QCOW2_CLUSTER_BITS);
        if (!send(repack, &entry, sizeof(entry), err))
            return false;
    }
    return send_zeroes(repack, table_bytes - repack->block_count * 8, err);
}

static bool count_send(struct walk *walk, uint16_t count, struct error *err)
{
    walk->counts[walk->pending++] = htobe16(count);
    if (walk->pending < COUNT_OF(walk->counts))
        return true;
    walk->pending = 0;
    return send(walk->repack, walk->counts, sizeof(walk->counts), err);
}

/* How many slots touch each cluster. */
static bool count_slot(struct walk *walk, uint8_t slot, uint64_t place, struct error *err)
{
    uint64_t last = (place + qcow2_slot_bytes(slot) - 1) >> QCOW2_CLUSTER_BITS;
    for (uint64_t i = place >> QCOW2_CLUSTER_BITS; i <= last; i++) {
        if (i > walk->cluster) {
            if (!count_send(walk, walk->count, err))
                return false;
            walk->cluster = i;
            walk->count = 0;
        }
        walk->count++;
    }
    return true;
}

static bool send_refcounts(struct repack *repack, struct error *err)
{
    struct walk *walk = xcalloc(1, sizeof(*walk));
    *walk = (struct walk){.visit = count_slot, .repack = repack};
    bool ok = true;
    for (uint64_t i = 0; ok && i < repack->data; i++)
        ok = count_send(walk, 1, err);
    ok = ok && walk_all(walk, err) && (walk->count == 0 || count_send(walk, walk->count, err)) &&
         send(repack, walk->counts, walk->pending * sizeof(walk->counts[0]), err) &&
         send_zeroes(repack, repack->block_count * QCOW2_CLUSTER_BYTES - repack->end * 2, err);
    free(walk);
    return ok;
}

static bool send_first_table(struct repack *repack, struct error *err)
{
    uint64_t next = repack->second_tables;
    for (uint32_t i = 0; i < repack->slots.table_count; i++) {
        uint64_t entry = 0;
        if (repack->slots.kinds[i] != QCOW2_SLOTS_EMPTY)
            entry = htobe64(next++ << QCOW2_CLUSTER_BITS | QCOW2_COPIED);
        if (!send(repack, &entry, sizeof(entry), err))
            return false;
    }
    return send_rest(repack, (uint64_t)repack->slots.table_count * 8, err);
}

static bool send_second_tables(struct repack *repack, struct error *err)
{
    uint64_t *entries = xcalloc(QCOW2_TABLE_ENTRIES, sizeof(*entries));
    uint64_t start = repack->data << QCOW2_CLUSTER_BITS, end = 0;
    bool ok = true;
    for (uint32_t i = 0; ok && i < repack->slots.table_count; i++) {
        if (repack->slots.kinds[i] == QCOW2_SLOTS_EMPTY)
            continue;
        ok = qcow2_slots_page(&repack->slots, i, repack->page, err);
        for (uint32_t j = 0; ok && j < QCOW2_TABLE_ENTRIES; j++) {
            uint8_t slot = repack->page[j];
            uint64_t place = qcow2_slot_place(slot, end), bytes = qcow2_slot_bytes(slot);
            entries[j] = slot == QCOW2_SLOT_NONE ? 0
                         : slot == QCOW2_SLOT_PLAIN
                             ? htobe64((start + place) | QCOW2_COPIED)
                             : htobe64(qcow2_packed_entry(start + place, bytes));
            end = slot == QCOW2_SLOT_NONE ? end : place + bytes;
        }
        ok = ok && send(repack, entries, QCOW2_CLUSTER_BYTES, err);
    }
    free(entries);
    return ok;
}

static bool begin(struct repack *repack, struct error *err)
{
    if (repack->begun)
        return true;
    repack->begun = true;
    bool ok = send_header(repack, err) && send_refcount_table(repack, err) &&
              send_refcounts(repack, err) && send_first_table(repack, err) &&
              send_second_tables(repack, err);
    repack->page_table = UINT32_MAX;
    return ok;
}

/* -- data ----------------------------------------------------------------------------------------- */

static bool slot_get(struct repack *repack, uint8_t *ret_slot, struct error *err)
{
    uint64_t cluster = repack->at / QCOW2_CLUSTER_BYTES;
    uint32_t table = (uint32_t)(cluster / QCOW2_TABLE_ENTRIES);
    if (table != repack->page_table) {
        if (!qcow2_slots_page(&repack->slots, table, repack->page, err))
            return false;
        repack->page_table = table;
    }
    *ret_slot = repack->page[cluster % QCOW2_TABLE_ENTRIES];
    return true;
}

/* For what was told to have a pack and has none: a source that changed, or zeroes. */
static size_t encode(const uint8_t *data, uint8_t *ret_packed, size_t most)
{
    static const int levels[] = {1, 12};
    size_t length = 0;
    for (size_t i = 0; i < COUNT_OF(levels) && length == 0; i++) {
        struct libdeflate_compressor *coder = libdeflate_alloc_compressor(levels[i]);
        if (coder == NULL)
            abort();
        length = libdeflate_deflate_compress(coder, data, QCOW2_CLUSTER_BYTES, ret_packed, most);
        libdeflate_free_compressor(coder);
    }
    return length;
}

static bool send_packed(struct repack *repack, uint8_t slot, const uint8_t *data,
                        const uint8_t *pack, uint32_t length, struct error *err)
{
    size_t room = (size_t)qcow2_slot_bytes(slot), used = length;
    if (length > 0 && length <= room)
        memcpy(repack->room, pack, length);
    else
        used = encode(data, repack->room, room);
    if (used == 0)
        return error_set(err, &FAULT_SOURCE_CHANGED,
                         "the block at %" PRIu64 " is longer than was told: no %zu bytes hold it",
                         repack->at, room);
    memset(repack->room + used, 0, room - used);
    return send(repack, repack->room, room, err);
}

/* One cluster, or the disk's last bytes. */
static bool pass_one(struct repack *repack, const uint8_t *data, const uint8_t *pack,
                     uint32_t pack_length, size_t length, struct error *err)
{
    uint8_t slot = QCOW2_SLOT_NONE;
    if (!slot_get(repack, &slot, err))
        return false;
    if (slot == QCOW2_SLOT_NONE)
        return zero_is(data, length) ||
               error_set(err, &FAULT_SOURCE_CHANGED, "data at %" PRIu64 " where there was none",
                         repack->at);
    uint64_t place = qcow2_slot_place(slot, repack->data_bytes);
    if (!send_zeroes(repack, place - repack->data_bytes, err))
        return false;
    repack->data_bytes = place + qcow2_slot_bytes(slot);
    if (slot != QCOW2_SLOT_PLAIN)
        return send_packed(repack, slot, data, pack, pack_length, err);
    return send(repack, data, length, err) &&
           send_zeroes(repack, QCOW2_CLUSTER_BYTES - length, err);
}

static bool order_check(const struct repack *repack, uint64_t offset, uint64_t length,
                        struct error *err)
{
    bool whole = length % QCOW2_CLUSTER_BYTES == 0 || offset + length == repack->disk.size_bytes;
    return (offset == repack->at && whole) ||
           error_set(err, &FAULT_INVALID, "%s: %" PRIu64 " bytes at %" PRIu64 " after %" PRIu64,
                     repack->disk.description, length, offset, repack->at);
}

static bool repack_write_packs(struct disk *disk, const void *data, struct disk_packs packs,
                               size_t length, uint64_t offset, struct error *err)
{
    struct repack *repack = (struct repack *)disk;
    const uint8_t *from = data;
    if (!order_check(repack, offset, length, err) || !begin(repack, err))
        return false;
    for (size_t i = 0; length > 0; i++) {
        size_t step = length < QCOW2_CLUSTER_BYTES ? length : QCOW2_CLUSTER_BYTES;
        uint32_t pack_length = packs.lengths != NULL ? packs.lengths[i] : 0;
        const uint8_t *pack = pack_length > 0 ? packs.data + i * DISK_PACK_BYTES : NULL;
        if (!pass_one(repack, from, pack, pack_length, step, err))
            return false;
        from += step;
        length -= step;
        repack->at += step;
    }
    return true;
}

static bool repack_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                         struct error *err)
{
    return repack_write_packs(disk, data, (struct disk_packs){NULL, NULL}, length, offset, err);
}

static bool repack_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    struct repack *repack = (struct repack *)disk;
    if (!order_check(repack, offset, length, err) || !begin(repack, err))
        return false;
    while (length > 0) {
        uint64_t step = length < QCOW2_CLUSTER_BYTES ? length : QCOW2_CLUSTER_BYTES;
        uint64_t table = QCOW2_TABLE_COVERS - repack->at % QCOW2_TABLE_COVERS;
        if (repack->slots.kinds[repack->at / QCOW2_TABLE_COVERS] == QCOW2_SLOTS_EMPTY)
            step = table < length ? table : length;
        else if (!pass_one(repack, zero_cluster, NULL, 0, (size_t)step, err))
            return false;
        repack->at += step;
        length -= step;
    }
    return true;
}

static bool repack_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                        struct error *err)
{
    return error_set(err, &FAULT_UNSUPPORTED, "%s: cannot be read", disk->description);
}

static bool repack_finish(struct disk *disk, struct error *err)
{
    struct repack *repack = (struct repack *)disk;
    if (repack->at != disk->size_bytes)
        return error_set(err, &FAULT_INVALID, "%s: ends at %" PRIu64 " of %" PRIu64,
                         disk->description, repack->at, disk->size_bytes);
    return begin(repack, err) && send_rest(repack, repack->data_bytes, err);
}

static void repack_interrupt(struct disk *disk)
{
    disk_sink_interrupt(&((struct repack *)disk)->sink);
}

static void repack_close(struct disk *disk)
{
    qcow2_slots_fini(&((struct repack *)disk)->slots);
    disk_fini(disk);
    free(disk);
}

static const struct disk_ops repack_ops = {
    .name = "qcow2 stream",
    .read = repack_read,
    .close = repack_close,
    .write = repack_write,
    .write_packs = repack_write_packs,
    .zero = repack_zero,
    .finish = repack_finish,
    .interrupt = repack_interrupt,
};

bool disk_qcow2_repack_open(struct disk *from, struct disk_sink sink, const char *spill_directory,
                            struct disk **ret_disk, uint64_t *ret_stream_bytes, struct error *err)
{
    if (disk_access(from) != DISK_RANDOM)
        return error_set(err, &FAULT_UNSUPPORTED,
                         "%s: a sequential source is staged or streamed as raw",
                         disk_describe(from));
    struct repack *repack = xcalloc(1, sizeof(*repack));
    repack->sink = sink;
    disk_init(&repack->disk, &repack_ops, xstrdup("qcow2 stream"), NULL, disk_size_bytes(from),
              DISK_SEQUENTIAL, 4);
    repack->disk.held_bytes = sink.held_bytes;
    repack->disk.block_bytes = QCOW2_CLUSTER_BYTES;
    repack->disk.whole_blocks = true;
    repack->slots.spill_fd = -1;
    if (!qcow2_slots_build(from, spill_directory, &repack->slots, err) || !lay_out(repack, err)) {
        repack_close(&repack->disk);
        return false;
    }
    *ret_stream_bytes = repack->end << QCOW2_CLUSTER_BITS;
    *ret_disk = &repack->disk;
    return true;
}
