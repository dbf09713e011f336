/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of a qcow2 file in memory: a few at a time, written when they leave and at each flush; the scan
 * after a crash; the reference counts at the end. All with the disk's lock held, or alone.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "proto/fault.h"

static bool bit_get(const uint64_t *bits, uint64_t index)
{
    return (bits[index / 64] >> (index % 64) & 1) != 0;
}

static void bit_set(uint64_t *bits, uint64_t index)
{
    bits[index / 64] |= 1ull << (index % 64);
}

uint64_t qcow2_take_cluster(struct disk_qcow2 *qcow2)
{
    for (; qcow2->old_at < qcow2->old_clusters; qcow2->old_at++) {
        if (!bit_get(qcow2->old_used, qcow2->old_at)) {
            bit_set(qcow2->old_used, qcow2->old_at);
            return qcow2->old_at++;
        }
    }
    return qcow2->next_cluster++;
}

static bool table_write(struct disk_qcow2 *qcow2, struct qcow2_table *table, struct error *err)
{
    uint64_t offset = be64toh(qcow2->l1[table->index]) & QCOW2_OFFSET_MASK;
    if (!file_pwrite_all(qcow2->fd, table->entries, QCOW2_CLUSTER_BYTES, offset, err))
        return error_prefix(err, "%s: table %" PRIu64, qcow2->disk.description, table->index);
    table->dirty = false;
    return true;
}

/* A slot for another table: an empty one, or the one that was used longest ago. */
static bool table_evict(struct disk_qcow2 *qcow2, struct qcow2_table **ret_table, struct error *err)
{
    struct qcow2_table *oldest = &qcow2->tables[0];
    for (unsigned i = 1; i < QCOW2_TABLES_CACHED && oldest->valid; i++) {
        struct qcow2_table *table = &qcow2->tables[i];
        if (!table->valid || table->used_at < oldest->used_at)
            oldest = table;
    }
    if (oldest->valid && oldest->dirty && !table_write(qcow2, oldest, err))
        return false;
    oldest->valid = false;
    if (oldest->entries == NULL)
        oldest->entries = xcalloc(1, QCOW2_CLUSTER_BYTES);
    *ret_table = oldest;
    return true;
}

static bool table_load(struct disk_qcow2 *qcow2, uint64_t index, struct qcow2_table *table,
                       struct error *err)
{
    uint64_t offset = be64toh(qcow2->l1[index]) & QCOW2_OFFSET_MASK;
    table->dirty = false;
    if (offset == 0) {
        memset(table->entries, 0, QCOW2_CLUSTER_BYTES);
        qcow2->l1[index] =
            htobe64((qcow2_take_cluster(qcow2) << QCOW2_CLUSTER_BITS) | QCOW2_COPIED);
        qcow2->l1_dirty = true;
        table->dirty = true;
    } else if (!file_pread_all(qcow2->fd, table->entries, QCOW2_CLUSTER_BYTES, offset, err)) {
        return error_prefix(err, "%s: table %" PRIu64, qcow2->disk.description, index);
    }
    table->index = index;
    table->valid = true;
    return true;
}

bool qcow2_table_get(struct disk_qcow2 *qcow2, uint64_t offset, bool make,
                     struct qcow2_table **ret_table, struct error *err)
{
    uint64_t index = offset / QCOW2_TABLE_COVERS;
    struct qcow2_table *found = NULL;
    for (unsigned i = 0; i < QCOW2_TABLES_CACHED && found == NULL; i++) {
        if (qcow2->tables[i].valid && qcow2->tables[i].index == index)
            found = &qcow2->tables[i];
    }
    if (found == NULL && !make && qcow2->l1[index] == 0) {
        *ret_table = NULL;
        return true;
    }
    if (found == NULL &&
        (!table_evict(qcow2, &found, err) || !table_load(qcow2, index, found, err)))
        return false;
    found->used_at = ++qcow2->clock;
    *ret_table = found;
    return true;
}

bool qcow2_tables_write(struct disk_qcow2 *qcow2, struct error *err)
{
    for (unsigned i = 0; i < QCOW2_TABLES_CACHED; i++) {
        struct qcow2_table *table = &qcow2->tables[i];
        if (table->valid && table->dirty && !table_write(qcow2, table, err))
            return false;
    }
    if (!qcow2->l1_dirty)
        return true;
    if (!file_pwrite_all(qcow2->fd, qcow2->l1, (size_t)qcow2->l1_entries * 8, qcow2->l1_offset,
                         err))
        return error_prefix(err, "%s: first table", qcow2->disk.description);
    qcow2->l1_dirty = false;
    return true;
}

/* -- scan ----------------------------------------------------------------------------------------- */

/* Notes a cluster that a table names; twice is damage, and so is one outside the file. */
static bool scan_cluster(struct disk_qcow2 *qcow2, uint64_t offset, struct error *err)
{
    uint64_t cluster = offset >> QCOW2_CLUSTER_BITS;
    if (offset % QCOW2_CLUSTER_BYTES != 0 || cluster >= qcow2->old_clusters ||
        bit_get(qcow2->old_used, cluster))
        return error_set(err, &FAULT_DISK_INVALID, "%s: damaged at cluster %" PRIu64,
                         qcow2->disk.description, cluster);
    bit_set(qcow2->old_used, cluster);
    return true;
}

/* Entries that name clusters behind the file's end were never flushed: they are dropped. */
static bool scan_table(struct disk_qcow2 *qcow2, struct qcow2_table *table, struct error *err)
{
    for (unsigned i = 0; i < QCOW2_TABLE_ENTRIES; i++) {
        uint64_t entry = be64toh(table->entries[i]);
        if (entry == 0)
            continue;
        uint64_t offset = entry & QCOW2_OFFSET_MASK;
        if ((entry & ~QCOW2_OFFSET_MASK) != QCOW2_COPIED)
            return error_set(err, &FAULT_DISK_INVALID, "%s: damaged table",
                             qcow2->disk.description);
        if (offset >> QCOW2_CLUSTER_BITS >= qcow2->old_clusters) {
            table->entries[i] = 0;
            table->dirty = true;
        } else if (!scan_cluster(qcow2, offset, err)) {
            return false;
        }
    }
    return true;
}

bool qcow2_scan(struct disk_qcow2 *qcow2, uint64_t file_bytes, struct error *err)
{
    uint64_t reserved = qcow2->next_cluster; /* header and first table */
    qcow2->old_clusters = (file_bytes + QCOW2_CLUSTER_BYTES - 1) >> QCOW2_CLUSTER_BITS;
    if (qcow2->old_clusters < reserved)
        qcow2->old_clusters = reserved;
    qcow2->old_used = xcalloc((size_t)(qcow2->old_clusters / 64 + 1), sizeof(uint64_t));
    for (uint64_t i = 0; i < reserved; i++)
        bit_set(qcow2->old_used, i);
    qcow2->next_cluster = qcow2->old_clusters;
    for (uint64_t i = 0; i < qcow2->l1_entries; i++) {
        uint64_t entry = be64toh(qcow2->l1[i]);
        uint64_t offset = entry & QCOW2_OFFSET_MASK;
        struct qcow2_table *table = NULL;
        if (entry == 0)
            continue;
        if ((entry & ~QCOW2_OFFSET_MASK) != QCOW2_COPIED)
            return error_set(err, &FAULT_DISK_INVALID, "%s: damaged first table",
                             qcow2->disk.description);
        if (offset > file_bytes || file_bytes - offset < QCOW2_CLUSTER_BYTES) {
            qcow2->l1[i] = 0; /* never flushed */
            qcow2->l1_dirty = true;
            continue;
        }
        if (!scan_cluster(qcow2, offset, err) ||
            !qcow2_table_get(qcow2, i * QCOW2_TABLE_COVERS, false, &table, err) ||
            !scan_table(qcow2, table, err))
            return false;
    }
    return true;
}

/* -- seal ----------------------------------------------------------------------------------------- */

static uint16_t count_of(const struct disk_qcow2 *qcow2, uint64_t cluster, uint64_t end)
{
    if (cluster >= end)
        return 0;
    if (cluster < qcow2->old_clusters)
        return bit_get(qcow2->old_used, cluster) ? 1 : 0;
    uint16_t packed = qcow2->packer != NULL ? qcow2_packed_count(qcow2->packer, cluster) : 0;
    return packed > 0 ? packed : 1;
}

static uint64_t retired(const struct disk_qcow2 *qcow2)
{
    return qcow2->packer != NULL ? qcow2_retired_count(qcow2->packer) : 0;
}

static bool write_refcounts(struct disk_qcow2 *qcow2, struct qcow2_refcounts counts,
                            struct error *err)
{
    uint64_t next = qcow2->next_cluster, table_at = next + counts.block_count - retired(qcow2);
    uint64_t end = table_at + counts.table_clusters;
    uint16_t *block = xcalloc(QCOW2_BLOCK_COUNTS, sizeof(*block));
    uint64_t *table = xcalloc((size_t)counts.table_clusters, QCOW2_CLUSTER_BYTES);
    bool ok = true;
    for (uint64_t i = 0; ok && i < counts.block_count; i++) {
        uint64_t there = qcow2->packer != NULL ? qcow2_retired_block(qcow2->packer, i) : 0;
        table[i] = htobe64((there > 0 ? there : next) << QCOW2_CLUSTER_BITS);
        if (there > 0)
            continue;
        for (uint64_t j = 0; j < QCOW2_BLOCK_COUNTS; j++)
            block[j] = htobe16(count_of(qcow2, i * QCOW2_BLOCK_COUNTS + j, end));
        ok = file_pwrite_all(qcow2->fd, block, QCOW2_CLUSTER_BYTES, next++ << QCOW2_CLUSTER_BITS,
                             err);
    }
    ok =
        ok && file_pwrite_all(qcow2->fd, table, (size_t)counts.table_clusters * QCOW2_CLUSTER_BYTES,
                              table_at << QCOW2_CLUSTER_BITS, err);
    if (ok && ftruncate(qcow2->fd, (off_t)(end << QCOW2_CLUSTER_BITS)) < 0)
        ok = error_set_errno(err, errno, "cannot cut the file");
    free(block);
    free(table);
    return ok || error_prefix(err, "%s: reference counts", qcow2->disk.description);
}

bool qcow2_seal(struct disk_qcow2 *qcow2, struct error *err)
{
    struct qcow2_refcounts counts = qcow2_refcounts_for(qcow2->next_cluster, retired(qcow2));
    if (!qcow2_tables_write(qcow2, err) || !write_refcounts(qcow2, counts, err))
        return false;
    if (!qcow2->lazy && fdatasync(qcow2->fd) < 0)
        return error_set_errno(err, errno, "%s: cannot flush", qcow2->disk.description);
    struct qcow2_header header = {
        .size_bytes = (qcow2->disk.size_bytes + 511) / 512 * 512,
        .l1_entries = qcow2->l1_entries,
        .l1_offset = qcow2->l1_offset,
        .refcount_offset = (qcow2->next_cluster + counts.block_count - retired(qcow2))
                           << QCOW2_CLUSTER_BITS,
        .refcount_clusters = (uint32_t)counts.table_clusters,
        .zstd = qcow2->zstd,
    };
    uint8_t data[QCOW2_HEADER_BYTES];
    qcow2_header_encode(&header, data);
    if (!file_pwrite_all(qcow2->fd, data, sizeof(data), 0, err))
        return error_prefix(err, "%s: header", qcow2->disk.description);
    if (!qcow2->lazy && fdatasync(qcow2->fd) < 0)
        return error_set_errno(err, errno, "%s: cannot flush", qcow2->disk.description);
    return true;
}
