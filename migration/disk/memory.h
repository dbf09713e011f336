/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks without files: one in memory that remembers which blocks were written, and one whose bytes
 * follow from a seed, of any size. They are what tests copy from and to, and reference texts for
 * whoever writes a format.
 *
 * Threads: as disk.h.
 */
#ifndef GUTS_MIGRATION_DISK_MEMORY_H
#define GUTS_MIGRATION_DISK_MEMORY_H

#include "migration/disk/disk.h"

#define DISK_MEMORY_BLOCK_BYTES (64u << 10)

/* A writable disk, all hole at first; memory follows what is written. */
struct disk *disk_memory_new(uint64_t size_bytes);

struct disk_pattern_plan {
    uint64_t size_bytes;
    uint64_t seed;
    uint64_t block_bytes;     /* unit of data and holes; 0: 64 KiB */
    unsigned data_of_hundred; /* this share of the blocks is data, scattered by the seed */
    enum disk_access access;
};
struct disk *disk_pattern_new(const struct disk_pattern_plan *plan);

#endif
