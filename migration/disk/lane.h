/* SPDX-License-Identifier: Apache-2.0
 *
 * The way into one file that several threads write: one at a time, with room taken beforehand, through
 * the page cache or past it, whichever is faster just now.
 *
 *   one at a time   The kernel lets only one thread write a regular file anyway; those that wait for it
 *                   there spin. Block devices are written by all at once.
 *   room            ext4 takes room page by page while it copies, which costs more than the copying,
 *                   unless one fallocate took the room before.
 *   past the cache  Copying into the page cache is fast while the kernel has pages at hand. Where it has
 *                   none (dirty limit), or a hypervisor took them back (each is fetched again at its first
 *                   touch), giving pages to the device at once and using them again is faster.
 *
 * Threads: lane_write from any number at once.
 */
#ifndef GUTS_MIGRATION_DISK_LANE_H
#define GUTS_MIGRATION_DISK_LANE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

/* Which way is gone, judged by what windows of writes cost, in picoseconds a byte. */
struct lane_ways {
    bool past; /* the next write goes past the cache */
    uint64_t
        past_cost; /* of the last window past the cache; 0: not known; fades, to be tried again */
    uint64_t past_bytes; /* how long a window past the cache is; doubles while it pays */
    uint64_t ns;         /* of the present window, by what was judged of it */
    uint64_t judged_bytes;
    uint64_t bytes; /* all of the present window */
};
/* A write of `length` bytes took so long, by the way that was wanted; 0: nobody knows, for another
 * thread cut in. */
void lane_ways_note(struct lane_ways *ways, size_t length, uint64_t ns);

#define LANE_ROOMS 8u
struct lane_room {
    uint64_t from;
    uint64_t until;
};

struct lane {
    int fd;               /* borrowed */
    bool single;          /* one writes at a time */
    bool takes_room;      /* with the lock: before it writes */
    uint64_t ahead_bytes; /* so much at a time at the end of the file; 0: just what is written */
    uint64_t end_bytes;   /* with the lock: up to here the file has room */
    uint64_t limit_bytes; /* what this process may write at most */
    bool can_pass;        /* with the lock: the filesystem can write past its cache */
    struct lane_ways ways;
    struct lane_room rooms[LANE_ROOMS]; /* with the lock: the last that were taken beforehand */
    unsigned next_room;
    pthread_mutex_t lock;
};
/* With ahead_bytes the file grows beyond what is written, to be cut when it is ready: for files that are
 * filled upwards. */
void lane_init(struct lane *lane, int fd, uint64_t ahead_bytes);
void lane_fini(struct lane *lane);
/* Takes room for what will be written soon, in one call for several writes; false: it was not taken. */
bool lane_room(struct lane *lane, uint64_t length, uint64_t offset);
/* Writes all of it. */
bool lane_write(struct lane *lane, const void *data, size_t length, uint64_t offset,
                struct error *err) MUST_CHECK;

#endif
