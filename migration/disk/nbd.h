/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks through libnbd: any NBD export, and any format that qemu-nbd reads (VDI, VHD, VHDX,
 * qcow2) by starting one in a cage on a Unix socket in the job's directory.
 *
 * Threads: as disk.h; one connection for each parallel call.
 */
#ifndef GUTS_MIGRATION_DISK_NBD_H
#define GUTS_MIGRATION_DISK_NBD_H

#include "migration/disk/disk.h"

/* "nbd://host:port/export", "nbd+unix:///export?socket=/path", "nbds://…". */
bool disk_nbd_open(const char *uri, bool writable, struct disk **ret_disk,
                   struct error *err) MUST_CHECK;

struct disk_qemu_plan {
    const char *path;      /* of an image, or NULL when fd >= 0 */
    int fd;                /* an open descriptor that qemu-nbd inherits; −1: none */
    uint64_t offset_bytes; /* where the image starts in the file (a member of a tar) */
    uint64_t length_bytes; /* 0: to the end */
    const char *format;    /* required: "raw", "qcow2", "vdi", "vpc", "vhdx"; never probed */
    bool writable;
    const char *directory; /* for the socket and the pid file */
    const char *identity;  /* NULL: inode, size and mtime of the file */
};
/* Ends with the disk, and dies with the thread that opened it (PDEATHSIG): open it in one that stays. Backing files are not followed unless they were
 * checked by the caller: a format with a backing file of its own is refused for qcow2. */
bool disk_qemu_open(const struct disk_qemu_plan *plan, struct disk **ret_disk,
                    struct error *err) MUST_CHECK;

#endif
