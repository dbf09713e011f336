/* SPDX-License-Identifier: Apache-2.0
 *
 * qcow2 as a stream: header | refcount table | refcount blocks | first table | second tables | data.
 * Everything before the data follows from the map, so the whole length is known at once, and each part is
 * made while it is sent.
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "migration/disk/qcow2_map.h"
#include "migration/disk/stream.h"
#include "migration/disk/zero.h"
#include "proto/fault.h"

static const uint8_t zero_cluster[QCOW2_CLUSTER_BYTES];

struct disk_qcow2_stream {
    struct disk disk;
    struct disk_sink sink;
    struct qcow2_map map;
    /* In clusters, from the start of the stream: */
    uint64_t refcount_table;
    uint64_t refcount_blocks;
    uint64_t first_table;
    uint64_t second_tables;
    uint64_t data;
    uint64_t end;
    uint64_t block_count;
    bool begun;
    uint64_t at;         /* guest-visible bytes passed */
    uint32_t page_table; /* whose bits are in page; UINT32_MAX: none */
    uint8_t page[QCOW2_MAP_PAGE_BYTES];
};

static uint64_t clusters_for(uint64_t bytes)
{
    return (bytes + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES;
}

static void lay_out(struct disk_qcow2_stream *stream)
{
    uint64_t first_clusters = clusters_for((uint64_t)stream->map.table_count * 8);
    uint64_t used = 1 + first_clusters + stream->map.tables_used + stream->map.data_count;
    struct qcow2_refcounts counts = qcow2_refcounts_for(used, 0);
    stream->block_count = counts.block_count;
    stream->refcount_table = 1;
    stream->refcount_blocks = stream->refcount_table + counts.table_clusters;
    stream->first_table = stream->refcount_blocks + counts.block_count;
    stream->second_tables = stream->first_table + first_clusters;
    stream->data = stream->second_tables + stream->map.tables_used;
    stream->end = stream->data + stream->map.data_count;
}

static bool send(struct disk_qcow2_stream *stream, const void *data, size_t length,
                 struct error *err)
{
    return stream->sink.write(stream->sink.context, data, length, err);
}

static bool send_zeroes(struct disk_qcow2_stream *stream, uint64_t length, struct error *err)
{
    while (length > 0) {
        size_t step = length < sizeof(zero_cluster) ? (size_t)length : sizeof(zero_cluster);
        if (!send(stream, zero_cluster, step, err))
            return false;
        length -= step;
    }
    return true;
}

static bool send_header(struct disk_qcow2_stream *stream, struct error *err)
{
    struct qcow2_header header = {
        .size_bytes = (stream->disk.size_bytes + 511) / 512 * 512,
        .l1_entries = stream->map.table_count,
        .l1_offset = stream->first_table << QCOW2_CLUSTER_BITS,
        .refcount_offset = stream->refcount_table << QCOW2_CLUSTER_BITS,
        .refcount_clusters = (uint32_t)(stream->refcount_blocks - stream->refcount_table),
    };
    uint8_t data[QCOW2_HEADER_BYTES];
    qcow2_header_encode(&header, data);
    return send(stream, data, sizeof(data), err) &&
           send_zeroes(stream, QCOW2_CLUSTER_BYTES - sizeof(data), err);
}

/* A table of `count` entries of 8 bytes that name clusters behind each other, filled up to whole clusters. */
static bool send_row(struct disk_qcow2_stream *stream, uint64_t first, uint64_t count,
                     struct error *err)
{
    uint64_t entries[512];
    for (uint64_t i = 0; i < count;) {
        size_t n = 0;
        for (; n < COUNT_OF(entries) && i < count; n++, i++)
            entries[n] = htobe64((first + i) << QCOW2_CLUSTER_BITS);
        if (!send(stream, entries, n * 8, err))
            return false;
    }
    return send_zeroes(stream, (clusters_for(count * 8) << QCOW2_CLUSTER_BITS) - count * 8, err);
}

/* Every cluster of the stream is used once. */
static bool send_refcounts(struct disk_qcow2_stream *stream, struct error *err)
{
    uint16_t counts[4096];
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        counts[i] = htobe16(1);
    uint64_t rest = stream->end * 2;
    uint64_t fill = stream->block_count * QCOW2_CLUSTER_BYTES - rest;
    while (rest > 0) {
        size_t step = rest < sizeof(counts) ? (size_t)rest : sizeof(counts);
        if (!send(stream, counts, step, err))
            return false;
        rest -= step;
    }
    return send_zeroes(stream, fill, err);
}

static bool send_first_table(struct disk_qcow2_stream *stream, struct error *err)
{
    uint64_t next = stream->second_tables;
    for (uint32_t i = 0; i < stream->map.table_count; i++) {
        uint64_t entry = 0;
        if (stream->map.counts[i] > 0)
            entry = htobe64(next++ << QCOW2_CLUSTER_BITS | QCOW2_COPIED);
        if (!send(stream, &entry, sizeof(entry), err))
            return false;
    }
    uint64_t bytes = (uint64_t)stream->map.table_count * 8;
    return send_zeroes(stream, (clusters_for(bytes) << QCOW2_CLUSTER_BITS) - bytes, err);
}

static bool send_second_tables(struct disk_qcow2_stream *stream, struct error *err)
{
    uint64_t next = stream->data;
    uint64_t *entries = xcalloc(QCOW2_TABLE_ENTRIES, sizeof(*entries));
    bool ok = true;
    for (uint32_t i = 0; ok && i < stream->map.table_count; i++) {
        if (stream->map.counts[i] == 0)
            continue;
        ok = qcow2_map_page(&stream->map, i, stream->page, err);
        for (uint32_t j = 0; ok && j < QCOW2_TABLE_ENTRIES; j++)
            entries[j] = (stream->page[j / 8] >> (j % 8) & 1) != 0
                             ? htobe64(next++ << QCOW2_CLUSTER_BITS | QCOW2_COPIED)
                             : 0;
        ok = ok && send(stream, entries, QCOW2_CLUSTER_BYTES, err);
    }
    free(entries);
    stream->page_table = UINT32_MAX;
    return ok;
}

static bool begin(struct disk_qcow2_stream *stream, struct error *err)
{
    if (stream->begun)
        return true;
    stream->begun = true;
    uint64_t table_clusters = stream->refcount_blocks - stream->refcount_table;
    return send_header(stream, err) &&
           send_row(stream, stream->refcount_blocks, stream->block_count, err) &&
           send_zeroes(stream,
                       (table_clusters - clusters_for(stream->block_count * 8))
                           << QCOW2_CLUSTER_BITS,
                       err) &&
           send_refcounts(stream, err) && send_first_table(stream, err) &&
           send_second_tables(stream, err);
}

static bool is_data(struct disk_qcow2_stream *stream, uint64_t cluster, bool *ret_data,
                    struct error *err)
{
    uint32_t table = (uint32_t)(cluster / QCOW2_TABLE_ENTRIES);
    if (table != stream->page_table) {
        if (!qcow2_map_page(&stream->map, table, stream->page, err))
            return false;
        stream->page_table = table;
    }
    uint64_t at = cluster % QCOW2_TABLE_ENTRIES;
    *ret_data = (stream->page[at / 8] >> (at % 8) & 1) != 0;
    return true;
}

/* How far from `at` on clusters are all data, or all not. */
static bool same_run(struct disk_qcow2_stream *stream, uint64_t at, uint64_t length,
                     uint64_t *ret_run, bool *ret_data, struct error *err)
{
    uint64_t run = QCOW2_CLUSTER_BYTES - at % QCOW2_CLUSTER_BYTES;
    if (!is_data(stream, at / QCOW2_CLUSTER_BYTES, ret_data, err))
        return false;
    for (; run < length; run += QCOW2_CLUSTER_BYTES) {
        bool next;
        uint64_t table = (at + run) / QCOW2_TABLE_COVERS;
        if (!*ret_data && stream->map.counts[table] == 0) { /* empty as a whole */
            run += QCOW2_TABLE_COVERS - (at + run) % QCOW2_TABLE_COVERS - QCOW2_CLUSTER_BYTES;
            continue;
        }
        if (!is_data(stream, (at + run) / QCOW2_CLUSTER_BYTES, &next, err))
            return false;
        if (next != *ret_data)
            break;
    }
    *ret_run = run < length ? run : length;
    return true;
}

/* data NULL: zeroes. */
static bool pass(struct disk_qcow2_stream *stream, const uint8_t *data, uint64_t length,
                 uint64_t offset, struct error *err)
{
    if (offset != stream->at)
        return error_set(err, &FAULT_INVALID, "qcow2 stream: %" PRIu64 " after %" PRIu64, offset,
                         stream->at);
    if (!begin(stream, err))
        return false;
    while (length > 0) {
        uint64_t run = 0;
        bool wanted = false;
        if (!same_run(stream, stream->at, length, &run, &wanted, err))
            return false;
        if (wanted ? !(data != NULL ? send(stream, data, (size_t)run, err)
                                    : send_zeroes(stream, run, err))
                   : data != NULL && !zero_is(data, (size_t)run))
            return wanted ? false
                          : error_set(err, &FAULT_SOURCE_CHANGED,
                                      "data at %" PRIu64 " where there was none", stream->at);
        stream->at += run;
        length -= run;
        data = data != NULL ? data + run : NULL;
    }
    return true;
}

static bool stream_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                         struct error *err)
{
    return pass((struct disk_qcow2_stream *)disk, data, length, offset, err);
}

static bool stream_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    return pass((struct disk_qcow2_stream *)disk, NULL, length, offset, err);
}

static bool stream_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                        struct error *err)
{
    return error_set(err, &FAULT_UNSUPPORTED, "%s: cannot be read", disk->description);
}

static bool stream_finish(struct disk *disk, struct error *err)
{
    struct disk_qcow2_stream *stream = (struct disk_qcow2_stream *)disk;
    bool wanted = false;
    if (stream->at != disk->size_bytes)
        return error_set(err, &FAULT_INVALID, "%s: ends at %" PRIu64 " of %" PRIu64,
                         disk->description, stream->at, disk->size_bytes);
    uint64_t tail = stream->at % QCOW2_CLUSTER_BYTES;
    if (!begin(stream, err) ||
        (tail > 0 && !is_data(stream, stream->at / QCOW2_CLUSTER_BYTES, &wanted, err)))
        return false;
    return !wanted || send_zeroes(stream, QCOW2_CLUSTER_BYTES - tail, err);
}

static void stream_interrupt(struct disk *disk)
{
    disk_sink_interrupt(&((struct disk_qcow2_stream *)disk)->sink);
}

static void stream_close(struct disk *disk)
{
    struct disk_qcow2_stream *stream = (struct disk_qcow2_stream *)disk;
    qcow2_map_fini(&stream->map);
    disk_fini(disk);
    free(stream);
}

static const struct disk_ops stream_ops = {
    .name = "qcow2 stream",
    .read = stream_read,
    .close = stream_close,
    .write = stream_write,
    .zero = stream_zero,
    .finish = stream_finish,
    .interrupt = stream_interrupt,
};

bool disk_qcow2_stream_open(struct disk *from, struct disk_sink sink, const char *spill_directory,
                            struct disk **ret_disk, uint64_t *ret_stream_bytes, struct error *err)
{
    if (disk_access(from) != DISK_RANDOM)
        return error_set(err, &FAULT_UNSUPPORTED,
                         "%s: a sequential source is staged or streamed as raw",
                         disk_describe(from));
    struct disk_qcow2_stream *stream = xcalloc(1, sizeof(*stream));
    stream->sink = sink;
    stream->page_table = UINT32_MAX;
    disk_init(&stream->disk, &stream_ops, xstrdup("qcow2 stream"), NULL, disk_size_bytes(from),
              DISK_SEQUENTIAL, 4);
    stream->disk.held_bytes = sink.held_bytes;
    stream->disk.block_bytes = QCOW2_CLUSTER_BYTES;
    stream->map.spill_fd = -1;
    if (!qcow2_map_build(from, spill_directory, &stream->map, err)) {
        stream_close(&stream->disk);
        return false;
    }
    lay_out(stream);
    *ret_stream_bytes = stream->end << QCOW2_CLUSTER_BITS;
    *ret_disk = &stream->disk;
    return true;
}
