/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

#include "common/base/file.h"

#define LEAST_BYTES (64u << 10) /* for less, taking room costs more than it spares */
#define CHEAP_COST 500u         /* ps a byte, 2 GB/s: nothing else will be faster */
#define CACHED_WINDOW_BYTES (1u << 20)
#define PAST_FIRST_BYTES (4u << 20)
#define PAST_MOST_BYTES (64u << 20)
#define FADE 1024u /* a way that is twice as slow is tried again after 700 MiB */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80 /* Linux 6.14 */
#endif

/* -- ways ----------------------------------------------------------------------------------------- */

void lane_ways_note(struct lane_ways *ways, size_t length, uint64_t ns)
{
    ways->bytes += length;
    ways->judged_bytes += ns > 0 ? length : 0;
    ways->ns += ns;
    if (ways->bytes < (ways->past ? ways->past_bytes : CACHED_WINDOW_BYTES) ||
        (!ways->past && ways->judged_bytes == 0))
        return;
    uint64_t cost = ways->judged_bytes > 0 ? ways->ns * 1000 / ways->judged_bytes + 1 : 0;
    ways->ns = ways->judged_bytes = ways->bytes = 0;
    if (ways->past) {
        ways->past_cost = cost > 0 ? cost : ways->past_cost;
        ways->past = false; /* a window through the cache, to compare */
        return;
    }
    ways->past = cost > CHEAP_COST && ways->past_cost < cost;
    if (!ways->past)
        ways->past_bytes = 0;
    else if (ways->past_bytes < PAST_MOST_BYTES)
        ways->past_bytes = ways->past_bytes > 0 ? ways->past_bytes * 2 : PAST_FIRST_BYTES;
    if (ways->past_cost > 1)
        ways->past_cost -= ways->past_cost / FADE + 1;
}

/* -- the lane ------------------------------------------------------------------------------------- */

/* Only where it was seen to pay. */
static bool is_ext4(int fd)
{
    struct statfs about;
    return fstatfs(fd, &about) == 0 && about.f_type == EXT4_SUPER_MAGIC;
}

void lane_init(struct lane *lane, int fd, uint64_t ahead_bytes)
{
    struct stat about;
    struct rlimit limit;
    bool is_file = fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    *lane = (struct lane){.fd = fd,
                          .single = is_file,
                          .can_pass = is_file,
                          .takes_room = is_file && is_ext4(fd),
                          .ahead_bytes = ahead_bytes,
                          .end_bytes = is_file ? (uint64_t)about.st_size : 0,
                          .limit_bytes = limited ? (uint64_t)limit.rlim_cur : UINT64_MAX};
    pthread_mutex_init(&lane->lock, NULL);
}

void lane_fini(struct lane *lane)
{
    pthread_mutex_destroy(&lane->lock);
}

/* A refusal is no error: whoever writes is told what is wrong, if it is. */
static bool take(struct lane *lane, uint64_t first, uint64_t end)
{
    lane->takes_room =
        end <= lane->limit_bytes && fallocate(lane->fd, 0, (off_t)first, (off_t)(end - first)) == 0;
    if (lane->takes_room && end > lane->end_bytes)
        lane->end_bytes = end;
    return lane->takes_room;
}

static bool has_room(const struct lane *lane, uint64_t first, uint64_t end)
{
    for (unsigned i = 0; i < LANE_ROOMS; i++) {
        if (first >= lane->rooms[i].from && end <= lane->rooms[i].until)
            return true;
    }
    return false;
}

static void take_room(struct lane *lane, size_t length, uint64_t offset)
{
    uint64_t first = offset, end = offset + length;
    if (lane->ahead_bytes > 0) {
        if (end <= lane->end_bytes)
            return;
        first = lane->end_bytes;
        end = end - first > lane->ahead_bytes ? end : first + lane->ahead_bytes;
    } else if (length < LEAST_BYTES || has_room(lane, first, end)) {
        return;
    }
    take(lane, first, end);
}

bool lane_room(struct lane *lane, uint64_t length, uint64_t offset)
{
    pthread_mutex_lock(&lane->lock);
    bool taken = lane->single && lane->takes_room && lane->ahead_bytes == 0 &&
                 take(lane, offset, offset + length);
    if (taken)
        lane->rooms[lane->next_room++ % LANE_ROOMS] = (struct lane_room){offset, offset + length};
    pthread_mutex_unlock(&lane->lock);
    return taken;
}

/* How often this thread had to make way for another. */
static long preemptions(void)
{
    struct rusage used = {0};
    getrusage(RUSAGE_THREAD, &used);
    return used.ru_nivcsw;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Writes as much as it can past the cache; the rest, and what went wrong, is the cache's. */
static size_t write_past(struct lane *lane, const uint8_t *data, size_t length, uint64_t offset)
{
    size_t done = 0;
    while (done < length) {
        struct iovec rest = {(void *)(data + done), length - done};
        ssize_t count = pwritev2(lane->fd, &rest, 1, (off_t)(offset + done), RWF_DONTCACHE);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            lane->can_pass = false;
            break;
        }
        done += (size_t)count;
    }
    return done;
}

static bool write_best(struct lane *lane, const uint8_t *data, size_t length, uint64_t offset,
                       struct error *err)
{
    if (!lane->can_pass || length < LEAST_BYTES)
        return file_pwrite_all(lane->fd, data, length, offset, err);
    long before = preemptions();
    uint64_t begin_ns = now_ns();
    size_t done = lane->ways.past ? write_past(lane, data, length, offset) : 0;
    if (done < length && !file_pwrite_all(lane->fd, data + done, length - done, offset + done, err))
        return false;
    uint64_t ns = now_ns() - begin_ns;
    lane_ways_note(&lane->ways, length, preemptions() == before ? ns : 0);
    return true;
}

bool lane_write(struct lane *lane, const void *data, size_t length, uint64_t offset,
                struct error *err)
{
    if (!lane->single)
        return file_pwrite_all(lane->fd, data, length, offset, err);
    pthread_mutex_lock(&lane->lock);
    if (lane->takes_room)
        take_room(lane, length, offset);
    bool ok = write_best(lane, data, length, offset, err);
    pthread_mutex_unlock(&lane->lock);
    return ok;
}
