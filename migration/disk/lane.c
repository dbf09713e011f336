/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/lane.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "common/base/file.h"

#define LEAST_BYTES (64u << 10) /* for less, taking room costs more than it spares */

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
static void take_room(struct lane *lane, size_t length, uint64_t offset)
{
    uint64_t first = offset, end = offset + length;
    if (lane->ahead_bytes > 0) {
        if (end <= lane->end_bytes)
            return;
        first = lane->end_bytes;
        end = end - first > lane->ahead_bytes ? end : first + lane->ahead_bytes;
    } else if (length < LEAST_BYTES) {
        return;
    }
    if (end > lane->limit_bytes || fallocate(lane->fd, 0, (off_t)first, (off_t)(end - first)) < 0)
        lane->takes_room = false;
    else if (end > lane->end_bytes)
        lane->end_bytes = end;
}

bool lane_write(struct lane *lane, const void *data, size_t length, uint64_t offset,
                struct error *err)
{
    if (!lane->single)
        return file_pwrite_all(lane->fd, data, length, offset, err);
    pthread_mutex_lock(&lane->lock);
    if (lane->takes_room)
        take_room(lane, length, offset);
    bool ok = file_pwrite_all(lane->fd, data, length, offset, err);
    pthread_mutex_unlock(&lane->lock);
    return ok;
}
