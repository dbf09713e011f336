/* SPDX-License-Identifier: Apache-2.0
 *
 * The header of qcow2 version 3 and the arithmetic of its reference counts.
 */
#include <endian.h>
#include <string.h>

#include "migration/disk/qcow2_inner.h"
#include "proto/fault.h"

#define MAGIC 0x514649fbu
#define INCOMPATIBLE_DIRTY 1ull
#define INCOMPATIBLE_COMPRESSION 8ull
#define HEADER_LENGTH 112u

static void put32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof(value));
}

static void put64(uint8_t *at, uint64_t value)
{
    value = htobe64(value);
    memcpy(at, &value, sizeof(value));
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

void qcow2_header_encode(const struct qcow2_header *header, uint8_t ret_data[QCOW2_HEADER_BYTES])
{
    memset(ret_data, 0, QCOW2_HEADER_BYTES); /* ends with an empty header extension */
    put32(ret_data, MAGIC);
    put32(ret_data + 4, 3);
    put32(ret_data + 20, QCOW2_CLUSTER_BITS);
    put64(ret_data + 24, header->size_bytes);
    put32(ret_data + 36, header->l1_entries);
    put64(ret_data + 40, header->l1_offset);
    put64(ret_data + 48, header->refcount_offset);
    put32(ret_data + 56, header->refcount_clusters);
    put64(ret_data + 72,
          (header->dirty ? INCOMPATIBLE_DIRTY : 0) | (header->zstd ? INCOMPATIBLE_COMPRESSION : 0));
    put32(ret_data + 96, 4); /* reference counts of 16 bits */
    put32(ret_data + 100, HEADER_LENGTH);
    ret_data[104] = header->zstd ? 1 : 0;
}

bool qcow2_header_decode(const uint8_t data[QCOW2_HEADER_BYTES], struct qcow2_header *ret_header,
                         struct error *err)
{
    struct qcow2_header header = {
        .size_bytes = get64(data + 24),
        .l1_entries = get32(data + 36),
        .l1_offset = get64(data + 40),
        .refcount_offset = get64(data + 48),
        .refcount_clusters = get32(data + 56),
        .dirty = (get64(data + 72) & INCOMPATIBLE_DIRTY) != 0,
        .zstd = (get64(data + 72) & INCOMPATIBLE_COMPRESSION) != 0,
    };
    uint8_t ours[QCOW2_HEADER_BYTES];
    qcow2_header_encode(&header, ours);
    if (memcmp(ours, data, sizeof(ours)) != 0 || header.size_bytes > DISK_SIZE_MOST ||
        header.l1_entries != qcow2_l1_entries(header.size_bytes) ||
        header.l1_offset != QCOW2_CLUSTER_BYTES)
        return error_set(err, &FAULT_DISK_INVALID, "not a qcow2 file that was begun here");
    *ret_header = header;
    return true;
}

uint32_t qcow2_l1_entries(uint64_t size_bytes)
{
    uint64_t entries = (size_bytes + QCOW2_TABLE_COVERS - 1) / QCOW2_TABLE_COVERS;
    return entries > 0 ? (uint32_t)entries : 1;
}

struct qcow2_refcounts qcow2_refcounts_for(uint64_t used, uint64_t blocks_among)
{
    struct qcow2_refcounts counts = {.block_count = blocks_among};
    for (;;) { /* grows until it covers itself too */
        uint64_t all = used + counts.block_count - blocks_among + counts.table_clusters;
        uint64_t blocks = (all + QCOW2_BLOCK_COUNTS - 1) / QCOW2_BLOCK_COUNTS;
        uint64_t clusters = (blocks + QCOW2_TABLE_ENTRIES - 1) / QCOW2_TABLE_ENTRIES;
        if (blocks == counts.block_count && clusters == counts.table_clusters)
            return counts;
        counts.block_count = blocks;
        counts.table_clusters = clusters;
    }
}
