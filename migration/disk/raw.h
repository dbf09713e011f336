/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that is the bytes of a file or of a block device, or a part of them: read by pread, holes found
 * by SEEK_HOLE and made by punching. Also what flat extents of other formats stand on.
 *
 * Threads: as disk.h.
 */
#ifndef GUTS_MIGRATION_DISK_RAW_H
#define GUTS_MIGRATION_DISK_RAW_H

#include "migration/disk/disk.h"

struct disk_raw_plan {
    int fd;                /* taken, also on failure; regular file or block device */
    uint64_t offset_bytes; /* where the disk starts in the file */
    uint64_t length_bytes; /* 0: to its end */
    bool writable;
    bool lazy;               /* flush and finish leave durability to the kernel */
    const char *description; /* NULL: "raw" */
};
/* FAULT_DISK_INVALID when the file is shorter than the plan says. */
bool disk_raw_open(const struct disk_raw_plan *plan, struct disk **ret_disk,
                   struct error *err) MUST_CHECK;
/* The same for a new disk of size_bytes: a regular file is cut to it and reads as zeroes; a device must
 * be at least as large and keeps what it held. plan's offset and length must be 0. */
bool disk_raw_create(const struct disk_raw_plan *plan, uint64_t size_bytes, struct disk **ret_disk,
                     struct error *err) MUST_CHECK;

/* -- for formats that hold raw parts -------------------------------------------------------------- */
/* The length of a regular file or block device. */
bool raw_length(int fd, uint64_t *ret_bytes, struct error *err) MUST_CHECK;
/* "inode dev:ino size mtime": what identifies a file's bytes. Heap. */
char *raw_identity(int fd);
/* What the file says of [offset, offset + length) from its start: the kind there and how far it goes. */
enum disk_extent_kind raw_extent(int fd, uint64_t offset, uint64_t length, uint64_t *ret_length);

#endif
