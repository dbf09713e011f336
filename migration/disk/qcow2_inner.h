/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner parts of the qcow2 writers, for qcow2*.c only.
 */
#ifndef GUTS_MIGRATION_DISK_QCOW2_INNER_H
#define GUTS_MIGRATION_DISK_QCOW2_INNER_H

#include <pthread.h>

#include "migration/disk/disk_ops.h"
#include "migration/disk/lane.h"
#include "migration/disk/qcow2.h"

#define QCOW2_CLUSTER_BITS 16u
#define QCOW2_CLUSTER_BYTES (1u << QCOW2_CLUSTER_BITS)
#define QCOW2_TABLE_ENTRIES (QCOW2_CLUSTER_BYTES / 8)
#define QCOW2_TABLE_COVERS ((uint64_t)QCOW2_TABLE_ENTRIES * QCOW2_CLUSTER_BYTES)
#define QCOW2_BLOCK_COUNTS (QCOW2_CLUSTER_BYTES / 2) /* 16-bit reference counts in one cluster */
#define QCOW2_COPIED (1ull << 63)
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_TABLES_CACHED 16u

/* -- header --------------------------------------------------------------------------------------- */
struct qcow2_header {
    uint64_t size_bytes;
    uint32_t l1_entries;
    uint64_t l1_offset;
    uint64_t refcount_offset; /* 0: not written yet */
    uint32_t refcount_clusters;
    bool dirty;
    bool zstd;
};
#define QCOW2_HEADER_BYTES 120u
void qcow2_header_encode(const struct qcow2_header *header, uint8_t ret_data[QCOW2_HEADER_BYTES]);
/* Only headers that we write are understood. */
bool qcow2_header_decode(const uint8_t data[QCOW2_HEADER_BYTES], struct qcow2_header *ret_header,
                         struct error *err) MUST_CHECK;
uint32_t qcow2_l1_entries(uint64_t size_bytes);

/* The refcount table and blocks that describe `used` clusters and themselves, which follow them; so many
 * of the blocks stand among the used already. */
struct qcow2_refcounts {
    uint64_t block_count;
    uint64_t table_clusters;
};
struct qcow2_refcounts qcow2_refcounts_for(uint64_t used, uint64_t blocks_among);

/* -- the file ------------------------------------------------------------------------------------- */
/* One table of cluster addresses in memory; entries as on disk (big-endian). */
struct qcow2_table {
    uint64_t index; /* in the first table */
    uint64_t used_at;
    bool valid;
    bool dirty;
    uint64_t *entries;
};
struct qcow2_packer;
struct disk_qcow2 {
    struct disk disk;
    int fd;
    struct lane lane; /* of the clusters */
    bool lazy;
    bool compress;
    bool zstd;
    pthread_mutex_t lock; /* of all below */
    uint32_t l1_entries;
    uint64_t l1_offset;
    uint64_t *l1; /* as on disk */
    bool l1_dirty;
    struct qcow2_table tables[QCOW2_TABLES_CACHED];
    uint64_t clock; /* counts uses of tables */
    uint64_t next_cluster;
    /* Clusters below old_clusters are free where their bit is not set (after a reopen). */
    uint64_t old_clusters;
    uint64_t old_at;
    uint64_t *old_used;
    struct qcow2_packer *packer;
};
uint64_t qcow2_take_cluster(struct disk_qcow2 *qcow2);
/* The table that covers `offset`; made where there is none if `make`, else *ret_table is NULL. */
bool qcow2_table_get(struct disk_qcow2 *qcow2, uint64_t offset, bool make,
                     struct qcow2_table **ret_table, struct error *err) MUST_CHECK;
bool qcow2_tables_write(struct disk_qcow2 *qcow2, struct error *err) MUST_CHECK;
/* Which of the file's clusters its tables use. */
bool qcow2_scan(struct disk_qcow2 *qcow2, uint64_t file_bytes, struct error *err) MUST_CHECK;
/* Writes reference counts and the last header. */
bool qcow2_seal(struct disk_qcow2 *qcow2, struct error *err) MUST_CHECK;

/* -- compression ---------------------------------------------------------------------------------- */
#define QCOW2_ENTRY_OFFSET_BITS 54u /* of a compressed cluster's entry: 62 − (cluster bits − 8) */
#define QCOW2_SECTOR_BYTES 512u
/* The entry of `length` compressed bytes at `place` of the file. */
uint64_t qcow2_packed_entry(uint64_t place, size_t length);

/* One cluster coded and decoded, in one thread. */
struct qcow2_coder;
struct qcow2_coder *qcow2_coder_new(enum disk_qcow2_compression compression);
void qcow2_coder_free(struct qcow2_coder *coder);
/* Into at most `most` bytes; 0: they do not suffice. */
size_t qcow2_encode(struct qcow2_coder *coder, const uint8_t *cluster, uint8_t *ret_packed,
                    size_t most);
/* packed may have other bytes behind its end. */
bool qcow2_decode(struct qcow2_coder *coder, const uint8_t *packed, size_t length,
                  uint8_t *ret_cluster);

struct qcow2_packer *qcow2_packer_new(enum disk_qcow2_compression compression);
void qcow2_packer_free(struct qcow2_packer *packer);
/* Writes whole clusters at `offset` compressed; packs NULL: there are none. */
bool qcow2_pack(struct disk_qcow2 *qcow2, const uint8_t *data, const struct disk_packs *packs,
                size_t length, uint64_t offset, struct error *err) MUST_CHECK;
bool qcow2_unpack(struct disk_qcow2 *qcow2, uint64_t entry, uint8_t *ret_cluster,
                  struct error *err) MUST_CHECK;
/* How many compressed clusters lie in the file's cluster. */
uint16_t qcow2_packed_count(const struct qcow2_packer *packer, uint64_t cluster);
/* Blocks of reference counts that were written already: how many, and the cluster of one; 0: it was not. */
uint64_t qcow2_retired_count(const struct qcow2_packer *packer);
uint64_t qcow2_retired_block(const struct qcow2_packer *packer, uint64_t index);

#endif
