/* SPDX-License-Identifier: Apache-2.0
 *
 * A wrapper that makes a disk fail on demand: reads that error or never come back, writes that run out
 * of room, flushes that fail. For tests and for the fake drivers.
 *
 * Threads: as disk.h; the plan's atomics may be changed while it runs.
 */
#ifndef GUTS_MIGRATION_DISK_FAULTS_H
#define GUTS_MIGRATION_DISK_FAULTS_H

#include <stdatomic.h>

#include "migration/disk/disk.h"

struct disk_faults {
    _Atomic uint64_t
        fail_read_at; /* a read that covers this offset is FAULT_IO; UINT64_MAX: none */
    _Atomic uint64_t hang_read_at;  /* one that never comes back until disk_interrupt */
    _Atomic uint64_t fail_write_at; /* the same for writes */
    _Atomic uint64_t hang_write_at;
    _Atomic uint64_t room_bytes; /* writes beyond so many bytes are FAULT_NO_SPACE */
    _Atomic bool fail_flush;
    _Atomic bool hang_flush; /* until disk_interrupt, as are hanging reads */
    _Atomic bool hang_extents;
    _Atomic uint64_t read_count; /* counted: calls of read */
    _Atomic uint64_t read_bytes;
    _Atomic uint64_t flush_count;
    _Atomic uint64_t written_bytes;
    _Atomic uint64_t zeroed_bytes;
};
void disk_faults_init(struct disk_faults *faults); /* none */
/* `inner` is taken; `faults` is borrowed for the disk's life. */
struct disk *disk_faults_wrap(struct disk *inner, struct disk_faults *faults);

#endif
