/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in a gzip file, as a sequential disk: raw bytes, or what disk_vmdk_stream_open_over reads.
 * Source: RFC 1952; members follow each other, zeroes may follow the last.
 *
 * Threads: as disk.h for sequential disks. Memory: about 0.3 MiB, whatever comes out.
 */
#ifndef GUTS_MIGRATION_DISK_GZIP_H
#define GUTS_MIGRATION_DISK_GZIP_H

#include "migration/disk/disk.h"

/* `file` is taken, also on failure, and read upwards. size_bytes: what has to come out, neither less nor more
 * (FAULT_DISK_INVALID). 0: nobody knows; the disk's size is then no more than a bound, and reading on behind
 * the end is FAULT_DISK_INVALID ("truncated"). */
bool disk_gzip_open(struct disk *file, uint64_t size_bytes, struct disk **ret_disk,
                    struct error *err) MUST_CHECK;

/* What a gzip file that begins with `packed` gives first; false: not so many bytes, or it is none. */
bool gzip_peek(const void *packed, size_t packed_length, void *ret_data, size_t length) MUST_CHECK;

#endif
