/* SPDX-License-Identifier: Apache-2.0
 *
 * The way into one file that several threads write: one at a time, with room taken beforehand. The
 * kernel lets only one thread write a regular file anyway; those that wait for it there spin. And ext4
 * takes room page by page while it copies, which costs more than the copying itself, unless the room
 * was taken by one fallocate before. Block devices are written by all at once.
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

struct lane {
    int fd;               /* borrowed */
    bool single;          /* one writes at a time */
    bool takes_room;      /* with the lock: before it writes */
    uint64_t ahead_bytes; /* so much at a time at the end of the file; 0: just what is written */
    uint64_t end_bytes;   /* with the lock: up to here the file has room */
    uint64_t limit_bytes; /* what this process may write at most */
    pthread_mutex_t lock;
};
/* With ahead_bytes the file grows beyond what is written, to be cut when it is ready: for files that are
 * filled upwards. */
void lane_init(struct lane *lane, int fd, uint64_t ahead_bytes);
void lane_fini(struct lane *lane);
/* Writes all of it. */
bool lane_write(struct lane *lane, const void *data, size_t length, uint64_t offset,
                struct error *err) MUST_CHECK;

#endif
