/* SPDX-License-Identifier: Apache-2.0
 *
 * A streamOptimized VMDK from something that cannot seek (an export of vSphere, a pipe): read once, from
 * its header to its end-of-stream marker, as a sequential disk. Where grains are missing it gives zeroes.
 * Source: VMware "Virtual Disk Format 5.0", "Stream-Optimized Compressed Sparse Extents".
 *
 * Threads: as disk.h for sequential disks; the source is called from one thread at a time.
 */
#ifndef GUTS_MIGRATION_DISK_VMDK_STREAM_H
#define GUTS_MIGRATION_DISK_VMDK_STREAM_H

#include "migration/disk/disk.h"

/* read gives exactly length bytes, or fails; interrupt (NULL: it ends by itself) makes one that waits fail soon. */
struct disk_bytes {
    bool (*read)(void *context, void *ret_data, size_t length, struct error *err);
    void *context;
    void (*interrupt)(void *context);
};
/* Reads the header now. FAULT_DISK_INVALID, FAULT_DISK_UNSUPPORTED (not compressed, or no markers). */
bool disk_vmdk_stream_open(struct disk_bytes bytes, struct disk **ret_disk,
                           struct error *err) MUST_CHECK;
/* The same over a sequential disk (disk_http_open_once), which is taken, on failure too. */
bool disk_vmdk_stream_open_over(struct disk *bytes, struct disk **ret_disk,
                                struct error *err) MUST_CHECK;

#endif
