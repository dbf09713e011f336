/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks of the fake source: bytes that follow from a seed (disk/memory.h), with an identity and, where
 * asked, no more than so many bytes a second, so that a test can strike in mid-copy.
 *
 * Threads: as disk.h.
 */
#ifndef GUTS_MIGRATION_SOURCE_FAKE_DISK_H
#define GUTS_MIGRATION_SOURCE_FAKE_DISK_H

#include "migration/disk/disk.h"

struct fake_disk_plan {
    const char *vm;
    size_t index;
    uint64_t generation; /* other bytes, another identity */
    uint64_t size_bytes;
    unsigned data_of_hundred;
    uint64_t bytes_per_second; /* 0: no limit */
    int world_fd; /* while a file "stalled" is there, no read ends; kept by the caller */
};
struct disk *fake_disk_new(const struct fake_disk_plan *plan);
/* Forgets what is written; reads as zeroes. */
struct disk *fake_disk_null_new(uint64_t size_bytes);

#endif
