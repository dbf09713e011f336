/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk: size, extents, read, write, zero, flush, close. Formats, network exports and wrappers
 * (throttle, meter, digest, faults) all have this one shape, so that copy.h can move any into any.
 * Disks know nothing of migrations, sources or destinations. Makers live in headers of their own
 * (disk/nbd.h, disk/raw.h, …); those who write one include disk_ops.h.
 *
 * Threads: read, write, zero and extents may be called from several threads at once; more than
 * disk_parallel(disk) of them do not pay. flush may be called from one thread while others write: it
 * covers what was written before it began. finish and close: while nothing else runs.
 */
#ifndef GUTS_MIGRATION_DISK_DISK_H
#define GUTS_MIGRATION_DISK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

struct disk;

enum disk_access {
    DISK_RANDOM,     /* any offset at any time */
    DISK_SEQUENTIAL, /* from 0 upwards, each byte once */
};
enum disk_extent_kind {
    DISK_EXTENT_DATA, /* must be read to be known */
    DISK_EXTENT_ZERO, /* reads as zeroes, allocated */
    DISK_EXTENT_HOLE, /* reads as zeroes, takes no room */
};
struct disk_extent {
    uint64_t offset;
    uint64_t length;
    enum disk_extent_kind kind;
};

const char *disk_describe(const struct disk *disk); /* for people: "vmdk /a/b.vmdk" */
uint64_t disk_size_bytes(const struct disk *disk);  /* guest-visible */
enum disk_access disk_access(const struct disk *disk);
unsigned disk_parallel(const struct disk *disk); /* calls that pay at once; at least 1 */
bool disk_is_writable(const struct disk *disk);
/* Bytes of buffers that it holds as long as it is open, to read ahead or to send from. */
uint64_t disk_held_bytes(const struct disk *disk);
uint32_t
disk_block_bytes(const struct disk *disk); /* room is given in such units; a power of two */

/* Tells the extents of [offset, offset + length) in order, without gaps, until `most` are filled.
 * At least one comes; the last may end before the range does: ask again from there. */
bool disk_extents(struct disk *disk, uint64_t offset, uint64_t length,
                  struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                  struct error *err) MUST_CHECK;
/* Exactly length bytes; a range that leaves the disk is FAULT_INVALID. */
bool disk_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
               struct error *err) MUST_CHECK;
bool disk_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                struct error *err) MUST_CHECK;
/* Makes the range read as zeroes, as a hole where the disk can. */
bool disk_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err) MUST_CHECK;
/* What was written before is on stable storage after it. */
bool disk_flush(struct disk *disk, struct error *err) MUST_CHECK;
/* Ends writing: formats write their last tables. Errors count; the disk is freed either way. */
bool disk_finish(struct disk *disk, struct error *err) MUST_CHECK;
/* Calls that wait for a peer fail soon, now and later; for a copy that gives up. */
void disk_interrupt(struct disk *disk);
void disk_close(struct disk *disk); /* without finishing; NULL is fine */
void disk_closep(struct disk **disk);

/* What identifies the bytes at a source (inode, size, mtime; ETag; snapshot id), one line; compared
 * before a copy is resumed and again at its end. */
const char *disk_identity(const struct disk *disk);
/* Is it still so? FAULT_SOURCE_CHANGED; true also where nobody can tell (an NBD export). */
bool disk_identity_check(struct disk *disk, struct error *err) MUST_CHECK;

#endif
