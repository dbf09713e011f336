/* SPDX-License-Identifier: Apache-2.0
 *
 * VMware disks, read natively: monolithicSparse, streamOptimized, monolithicFlat, twoGbMaxExtentSparse
 * and -Flat, VMFS flat, VMFS sparse (COWD) and SE-sparse deltas, and chains of snapshots over any of
 * them. Everything in such a file is hostile: sizes, counts and offsets are bounded before use, and files
 * are opened by the caller, who confines them.
 * Source: VMware "Virtual Disk Format 5.0" (2011) for descriptor, hosted sparse, stream and COWD
 * extents; SE-sparse as qemu reads it.
 *
 * Threads: as disk.h. Memory: at most some 5 MiB of tables a disk, and for compressed kinds about
 * 0.5 MiB for each call at once; neither grows with the disk.
 */
#ifndef GUTS_MIGRATION_DISK_VMDK_H
#define GUTS_MIGRATION_DISK_VMDK_H

#include "common/base/memory.h"
#include "migration/disk/disk.h"

/* Opens files beside a descriptor. `name` is relative to the directory of the vm and was checked to
 * have no "..", no drive and no leading slash; the opener still has to keep links inside. */
struct disk_opener {
    bool (*open)(void *context, const char *name, int *ret_fd, struct error *err);
    void *context;
};

/* Faults: FAULT_DISK_INVALID (says what is wrong), FAULT_DISK_UNSUPPORTED (raw device mappings, unknown
 * kinds), FAULT_DISK_MISSING (an extent or parent is not there), FAULT_PATH_OUTSIDE, FAULT_VM_ENCRYPTED,
 * and what the opener gives. */
bool disk_vmdk_open(const struct disk_opener *opener, const char *name, struct disk **ret_disk,
                    struct error *err) MUST_CHECK;

/* One streamOptimized or monolithicSparse image inside another file (a member of an OVA). fd is taken,
 * also on failure; length 0: to the end. An image with a parent is refused. */
bool disk_vmdk_open_part(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                         const char *description, struct disk **ret_disk,
                         struct error *err) MUST_CHECK;

/* The same over the bytes of another disk (an HTTP range reader), which is taken, also on failure. */
bool disk_vmdk_open_over(struct disk *bytes, struct disk **ret_disk, struct error *err) MUST_CHECK;

/* What such a disk consists of, for whoever shows it or watches it for changes. */
struct disk_vmdk_file {
    const char *name; /* as given to the opener */
    uint64_t device;
    uint64_t inode;
    uint64_t size_bytes;
    int64_t mtime_ns;
};
struct disk_vmdk_info {
    uint64_t capacity_bytes;
    const char *create_type;            /* of the topmost descriptor; "" when there is none */
    unsigned depth;                     /* 1: no parent */
    const struct disk_vmdk_file *files; /* descriptors and extents, topmost first */
    size_t file_count;
};
/* Opens, looks and closes; what it returns lives in the arena. */
bool disk_vmdk_info(const struct disk_opener *opener, const char *name, struct arena *arena,
                    struct disk_vmdk_info *ret_info, struct error *err) MUST_CHECK;

#endif
