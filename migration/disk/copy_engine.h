/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner parts of a copy, for copy_*.c only:
 *   map      cuts the source into items of at most one chunk; holes and done chunks never become work
 *   throttle makes each reader wait as the wanted rate needs
 *   turn     puts threads in the order of their items, where a disk is sequential
 *   budget   lends buffers
 *   work     takes an item, reads, digests, writes, records
 *   spill    holds pages of digests that memory has no room for
 *   watch    makes who waits for a peer end, when the copy ends, is stopped or stalls
 *   copy_run starts the threads and flushes
 */
#ifndef GUTS_MIGRATION_DISK_COPY_ENGINE_H
#define GUTS_MIGRATION_DISK_COPY_ENGINE_H

#include <pthread.h>
#include <time.h>

#include "migration/disk/copy.h"

/* -- map ------------------------------------------------------------------------------------------ */
#define ITEM_EXTENTS 64 /* more than these in one chunk: the rest is read as data */
#define MAP_BATCH 128

struct copy_item {
    uint64_t ticket; /* 0, 1, 2 … in the order of offsets */
    uint64_t offset;
    uint64_t length;
    uint64_t data_bytes; /* 0: all zero, nothing to read; length may then exceed a chunk */
    bool drop;           /* done already: a sequential source must read it all the same */
    size_t extent_count;
    struct disk_extent extents[ITEM_EXTENTS];
};
struct copy_map {
    const struct copy_plan *plan;
    bool emit_zeroes;
    uint64_t at;
    uint64_t next_ticket;
    struct disk_extent batch[MAP_BATCH];
    size_t batch_count;
    size_t batch_at;
    pthread_mutex_t lock;
};
void copy_map_init(struct copy_map *map, const struct copy_plan *plan);
void copy_map_fini(struct copy_map *map);
/* Sets total_bytes by asking for the extents beforehand, for at most most_ms. */
bool copy_map_measure(struct copy_map *map, uint64_t most_ms, struct error *err) MUST_CHECK;
/* The next item; false with ret_end when there is none, without when err was set. */
bool copy_map_next(struct copy_map *map, struct copy_item *ret_item, bool *ret_end,
                   struct error *err) MUST_CHECK;

/* -- throttle ------------------------------------------------------------------------------------- */
struct copy_throttle {
    uint64_t last_us;
    double debt_bytes;
    pthread_mutex_t lock;
};
void copy_throttle_init(struct copy_throttle *throttle);
void copy_throttle_fini(struct copy_throttle *throttle);
/* Pays for `bytes` at the present rate. 0: go; else how long to wait before asking again (at most
 * 50 ms, so that a change of the rate is felt soon). */
uint64_t copy_throttle_pay_us(struct copy_throttle *throttle, uint64_t bytes,
                              uint64_t bytes_per_second);

/* -- turn ----------------------------------------------------------------------------------------- */
struct copy_turn {
    uint64_t now;
    bool ended;
    pthread_mutex_t lock;
    pthread_cond_t passed;
};
void copy_turn_init(struct copy_turn *turn);
void copy_turn_fini(struct copy_turn *turn);
bool copy_turn_wait(struct copy_turn *turn, uint64_t ticket); /* false: the copy ends */
void copy_turn_pass(struct copy_turn *turn);
void copy_turn_end(struct copy_turn *turn);

/* -- budget --------------------------------------------------------------------------------------- */
/* A buffer of so many bytes (whole pages; what it holds is old). Waits up to 100 ms until the budget pays
 * for it; NULL: not yet. One that is larger than the whole budget is granted alone. */
void *copy_budget_take(struct copy_budget *budget, size_t bytes);
void copy_budget_give(struct copy_budget *budget, void *buffer, size_t bytes);
/* What the disks of a copy hold themselves (disk_held_bytes): while it runs, so much less is lent. One
 * buffer is lent in any case. */
void copy_budget_hold(struct copy_budget *budget, uint64_t bytes);
void copy_budget_release(struct copy_budget *budget, uint64_t bytes);

/* -- work ----------------------------------------------------------------------------------------- */
struct copy {
    const struct copy_plan *plan;
    struct copy_control *control;
    bool ordered_read;
    bool ordered_write;
    bool packs; /* blocks are handed on compressed where they can be (pack.h) */
    size_t buffer_bytes;
    uint64_t held_bytes; /* by the disks */
    size_t gather_bytes; /* 0: the source is not read in two halves (gather and decode) */
    /* Of the budget, by each thread: its buffer, and one for packs or what is gathered. */
    size_t taken_bytes;
    struct copy_budget *budget;
    struct copy_map map;
    struct copy_throttle throttle;
    struct copy_turn read_turn;
    struct copy_turn write_turn;
    _Atomic uint64_t moved_ms; /* when a byte last moved */
    _Atomic bool ending;

    pthread_mutex_t measuring;
    bool measured;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t wake;  /* for copy_run */
    pthread_cond_t watch; /* for copy_watch */
    bool over;
    unsigned running;
    bool failed;
    struct error error;         /* the first */
    struct copy_chunk *written; /* since the last flush */
    size_t written_count;
    size_t written_capacity;
    uint64_t unflushed_bytes;
};
void *copy_work(void *copy);  /* a thread */
void *copy_watch(void *copy); /* one more */
/* So long from now, for waits on the copy's conditions. */
void copy_until(struct timespec *ret_until, unsigned wait_ms);
/* Records the first error and makes all threads end. */
void copy_fail(struct copy *copy, const struct error *err);

/* -- spill ---------------------------------------------------------------------------------------- */
/* Pages in an unlinked file of the directory, mapped, of which only a few are resident. NULL: it cannot
 * be made there. */
struct copy_spill;
struct copy_spill *copy_spill_new(const char *directory, size_t page_bytes, size_t page_count);
void copy_spill_free(struct copy_spill *spill);
/* Zeroes at first; good until the free. NULL: no room. */
void *copy_spill_page(struct copy_spill *spill, size_t index);
bool copy_spill_holds(const struct copy_spill *spill, const void *page);
/* To be called before a page is used, which may be any: what was touched long ago leaves memory. */
void copy_spill_touch(struct copy_spill *spill, const void *page);

/* XXH3-128 of `length` zero bytes in canonical form. */
void copy_zero_digest(size_t length, uint8_t ret_digest[COPY_DIGEST_BYTES]);

#endif
