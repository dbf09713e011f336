/* SPDX-License-Identifier: Apache-2.0
 *
 * Copying one disk into another: in parallel, holes skipped, zeroes noticed, within a fixed budget of
 * memory, with a digest of each chunk of guest-visible bytes, stoppable and resumable. Knows nothing
 * of journals or reports: it calls its caller at each flush and asks a shared control what is wanted.
 *
 * Order at a flush: destination flushed, then `flushed` called with the chunks that are now durable
 * (the caller appends them to its journal), then progress counts them as safe.
 *
 * Threads: copy_run blocks its caller and uses threads of its own; callbacks come from one of them,
 * never two at once. struct copy_control is read by all of them and written by anyone.
 */
#ifndef GUTS_MIGRATION_DISK_COPY_H
#define GUTS_MIGRATION_DISK_COPY_H

#include <stdatomic.h>

#include "migration/disk/disk.h"

#define COPY_CHUNK_BYTES (1u << 20) /* the unit of digests and of resuming */
#define COPY_DIGEST_BYTES 16        /* XXH3, 128 bits, canonical (big-endian) form */

struct copy_chunk {
    uint64_t index; /* offset / COPY_CHUNK_BYTES */
    uint8_t
        digest[COPY_DIGEST_BYTES]; /* of the guest-visible bytes (the last chunk may be short) */
};

/* Shared with whoever steers the copy while it runs. */
struct copy_control {
    _Atomic bool stop;                 /* end soon with FAULT_CANCELLED; what is flushed stays */
    _Atomic uint64_t bytes_per_second; /* 0: no limit */
    struct copy_budget *budget; /* of passes without a plan (copy_verify); NULL: one of its own */
    /* Progress, written by the copy: */
    _Atomic uint64_t total_bytes; /* of data extents, as far as they are known */
    _Atomic uint64_t done_bytes;  /* of those; resumed chunks included */
    _Atomic uint64_t read_bytes;  /* really read in this run */
    _Atomic uint64_t written_bytes;
};

/* A bound on buffers, in bytes, that several copies share (the disks of one vm), and with them what their
 * disks hold to read ahead or to send from (disk_held_bytes). A copy's thread takes
 * one buffer for a chunk and asks for no second, so copies that share cannot block each other. */
struct copy_budget;
struct copy_budget *copy_budget_new(uint64_t bytes); /* 0: 32 MiB */
void copy_budget_free(struct copy_budget *budget);   /* after the copies that use it ended */

/* Which chunks of a disk: a bit each. Used by one thread at a time, or read by several. */
struct copy_set;
struct copy_set *copy_set_new(uint64_t size_bytes);
void copy_set_free(struct copy_set *set);
void copy_set_add(struct copy_set *set, uint64_t index); /* one that is not on the disk: ignored */
bool copy_set_has(const struct copy_set *set, uint64_t index);
uint64_t copy_set_count(const struct copy_set *set);

struct copy_plan {
    struct disk *from;
    struct disk *to;
    unsigned threads;             /* 0: as the disks and the machine suggest */
    uint64_t memory_bytes;        /* of buffers; 0: 32 MiB; ignored where a budget is given */
    struct copy_budget *budget;   /* shared with other copies; NULL: one of its own */
    uint64_t flush_bytes;         /* 0: 64 MiB */
    uint64_t flush_ms;            /* 0: 2 s */
    uint64_t idle_timeout_ms;     /* no byte moved for so long: FAULT_COPY_STALLED; 0: never */
    bool to_is_zero;              /* the destination reads as zeroes where nothing was written */
    struct copy_control *control; /* required */
    const struct copy_set *done;  /* chunks that are done already (from a journal); NULL: none */
    /* Chunks in the order in which they became durable; chunks without data in the source are not
     * told. False stops the copy with err. NULL: the copy flushes nothing (disk_finish does). */
    bool (*flushed)(void *context, const struct copy_chunk *chunks, size_t count,
                    struct error *err);
    void *context;
};
/* Whether the source changed meanwhile is the caller's to ask, before the copy counts: disk_identity_check. */
bool copy_run(const struct copy_plan *plan, struct error *err) MUST_CHECK;
/* Several disks at once, each with a thread of its own around copy_run. The first that fails stops the
 * others (through their controls) and gives the error. */
bool copy_run_all(const struct copy_plan *plans, size_t count, struct error *err) MUST_CHECK;

/* The digest list of a whole disk: one entry a chunk, holes as the digest of zeroes. Memory follows the
 * chunks that were set: 64 KiB for 4 GiB, at most 1 MiB where what is more may be spilled. Used by one
 * thread at a time. */
struct copy_digests;
struct copy_digests *copy_digests_new(uint64_t size_bytes); /* FAULT-free: at most 64 Mi chunks */
void copy_digests_free(struct copy_digests *digests);
/* A long list goes on in an unlinked file in the directory; where there is no room for one, in memory. */
void copy_digests_spill(struct copy_digests *digests, const char *directory);
void copy_digests_set(struct copy_digests *digests, const struct copy_chunk *chunk);
/* Sets those of all chunks of the disk that hold data, by reading them. */
bool copy_digests_read(struct copy_digests *digests, struct disk *disk,
                       struct copy_control *control, struct error *err) MUST_CHECK;
/* Chunks never set count as zeroes. "xxh3-128-tree:" and 32 hex digits: XXH3-128 over the canonical
 * digests of pages, a page's being XXH3-128 over the digests of its 4096 chunks in order (the last
 * page may be shorter). It is a function of the guest-visible bytes alone, not of any format. */
#define COPY_DIGEST_TEXT_SIZE 64
void copy_digests_text(const struct copy_digests *digests, char ret_text[COPY_DIGEST_TEXT_SIZE]);
/* Reads `disk` and compares it with the list; the first difference is FAULT_DIGEST_MISMATCH and
 * names its offset. */
bool copy_verify(struct disk *disk, const struct copy_digests *digests,
                 struct copy_control *control, struct error *err) MUST_CHECK;

#endif
