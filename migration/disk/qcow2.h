/* SPDX-License-Identifier: Apache-2.0
 *
 * qcow2 version 3, written natively: clusters of 64 KiB, no backing file, no snapshots.
 * Source: qemu, docs/interop/qcow2.txt.
 *
 * Into a file: any range in any order from several threads. Tables are made when first needed (a
 * preallocated region would cost its room on disks that are mostly empty) and written at each flush;
 * reference counts are written once, at finish, for nothing needs them before: until then the header
 * names no reference table, so that no other program opens half an image by mistake. What was flushed is
 * there again after a crash: disk_qcow2_reopen walks the tables.
 *
 * Threads: as disk.h. Memory: 1 MiB of tables a disk, 8 bytes for each 512 MiB of its size, when
 * compressing 0.2 MiB of counts and 0.4 MiB for each call at once; after a reopen a bit
 * for each cluster that the file held.
 */
#ifndef GUTS_MIGRATION_DISK_QCOW2_H
#define GUTS_MIGRATION_DISK_QCOW2_H

#include "migration/disk/disk.h"

enum disk_qcow2_compression {
    DISK_QCOW2_PLAIN,
    DISK_QCOW2_ZSTD,    /* read by qemu 5.1 and later, and by few others */
    DISK_QCOW2_DEFLATE, /* with a window of 4 KiB, as qemu writes it: slower, read by all */
    /* Packs (pack.h) as they come, the rest with libdeflate: deflate whose distances exceed the 12-bit
     * window with which qemu opens it. README.md says who reads that. */
    DISK_QCOW2_REPACK,
};

struct disk_qcow2_plan {
    int fd;              /* taken, also on failure; a regular file, open for reading and writing */
    uint64_t size_bytes; /* guest-visible, when creating */
    enum disk_qcow2_compression compression;
    bool lazy;               /* flush and finish leave durability to the kernel */
    const char *description; /* NULL: "qcow2" */
};
/* An empty disk: what the file held is gone. It reads as zeroes until it is written. With compression,
 * each cluster may be written once, whole (aligned to 64 KiB, but for the end of the disk), and the file
 * cannot be reopened. */
bool disk_qcow2_create(const struct disk_qcow2_plan *plan, struct disk **ret_disk,
                       struct error *err) MUST_CHECK;
/* A file that disk_qcow2_create made, to go on writing: what was flushed (or finished) is there, what
 * was written later may be or not. FAULT_DISK_INVALID when it is no such file. */
bool disk_qcow2_reopen(const struct disk_qcow2_plan *plan, struct disk **ret_disk,
                       struct error *err) MUST_CHECK;

/* qcow2 within another disk (random, or sequential: then read it in order), version 2 or 3, without a
 * backing file, clusters compressed or not; read only. Shares no code with the writers. Takes `file`, also
 * on failure. FAULT_DISK_INVALID, FAULT_DISK_UNSUPPORTED. Memory: 16 clusters of tables. */
bool disk_qcow2_read_open(struct disk *file, struct disk **ret_disk, struct error *err) MUST_CHECK;

#endif
