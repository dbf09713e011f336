/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks as streams: writable sequential disks whose bytes go to a sink in the order in which a
 * destination takes them (an upload, a pipe). Their length is known before the first byte, so that it
 * can stand in a Content-Length.
 *
 * Threads: as disk.h for sequential disks; the sink is called from one thread at a time.
 */
#ifndef GUTS_MIGRATION_DISK_STREAM_H
#define GUTS_MIGRATION_DISK_STREAM_H

#include "migration/disk/disk.h"

/* write takes all of data, or fails. interrupt (NULL: a write ends by itself) makes a write that waits fail
 * soon, and later ones at once; from another thread, so that a copy that stops need not wait for a peer. */
struct disk_sink {
    bool (*write)(void *context, const void *data, size_t length, struct error *err);
    void *context;
    void (*interrupt)(void *context);
    uint64_t held_bytes; /* of buffers behind it, see disk_held_bytes */
};
void disk_sink_interrupt(const struct disk_sink *sink);

/* The guest-visible bytes as they are, zeroes too. */
struct disk *disk_raw_stream_new(uint64_t size_bytes, struct disk_sink sink);

/* qcow2 version 3: header, reference counts and tables first, then the clusters that hold data in
 * `from`, in order. What to allocate is learned from its extents now, so `from` must be random
 * (FAULT_UNSUPPORTED else: stage it or stream it raw); bytes that come later where the extents had none
 * are FAULT_SOURCE_CHANGED. Memory: 4 bytes for each 512 MiB of the disk and at most 256 KiB of map; a
 * larger map goes to an unlinked file in spill_directory (NULL: refused as FAULT_TOO_LARGE). */
bool disk_qcow2_stream_open(struct disk *from, struct disk_sink sink, const char *spill_directory,
                            struct disk **ret_disk, uint64_t *ret_stream_bytes,
                            struct error *err) MUST_CHECK;

/* The same with compressed clusters, where the source has packs (pack.h) and tells beforehand how long
 * they may be; other clusters are plain. FAULT_SOURCE_CHANGED also when a block needs more than was told.
 * Memory: at most 2 MiB of map (128 GiB of disk with data), then as above. */
bool disk_qcow2_repack_open(struct disk *from, struct disk_sink sink, const char *spill_directory,
                            struct disk **ret_disk, uint64_t *ret_stream_bytes,
                            struct error *err) MUST_CHECK;

/* A sink before another one that digests what passes. */
struct disk_sink_digest;
#define DISK_SINK_DIGEST_TEXT_SIZE 129 /* SHA-512 in hex */
struct disk_sink_digest *disk_sink_digest_new(struct disk_sink inner);
struct disk_sink disk_sink_digest_sink(struct disk_sink_digest *digest);
/* Ends it; may be called once. */
void disk_sink_digest_text(struct disk_sink_digest *digest,
                           char ret_text[DISK_SINK_DIGEST_TEXT_SIZE]);
void disk_sink_digest_free(struct disk_sink_digest *digest);

#endif
