/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/lane.h"
#include "proto/fault.h"

#define RAW_PARALLEL 2
#define ZERO_STEP_BYTES (256u << 10)
static const uint8_t zero_step[ZERO_STEP_BYTES];

struct disk_raw {
    struct disk disk;
    int fd;
    struct lane lane;
    uint64_t start_bytes;
    bool lazy;
    _Atomic bool no_punch; /* the filesystem cannot */
};

bool raw_length(int fd, uint64_t *ret_bytes, struct error *err)
{
    struct stat about;
    if (fstat(fd, &about) < 0)
        return error_set_errno(err, errno, "cannot look at a file");
    if (S_ISREG(about.st_mode)) {
        *ret_bytes = (uint64_t)about.st_size;
        return true;
    }
    if (!S_ISBLK(about.st_mode))
        return error_set(err, &FAULT_DISK_INVALID, "neither a regular file nor a block device");
    uint64_t bytes = 0;
    if (ioctl(fd, BLKGETSIZE64, &bytes) < 0)
        return error_set_errno(err, errno, "cannot learn the size of a block device");
    *ret_bytes = bytes;
    return true;
}

char *raw_identity(int fd)
{
    struct stat about;
    if (fstat(fd, &about) < 0)
        return xstrdup("inode unknown");
    return xasprintf("inode %" PRIx64 ":%" PRIu64 " size %" PRIu64 " mtime %" PRId64 ".%09ld",
                     (uint64_t)about.st_dev, (uint64_t)about.st_ino, (uint64_t)about.st_size,
                     (int64_t)about.st_mtim.tv_sec, about.st_mtim.tv_nsec);
}

enum disk_extent_kind raw_extent(int fd, uint64_t offset, uint64_t length, uint64_t *ret_length)
{
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) { /* no data up to the end of the file */
        *ret_length = length;
        return DISK_EXTENT_HOLE;
    }
    if (data > (off_t)offset) {
        uint64_t hole = (uint64_t)data - offset;
        *ret_length = hole < length ? hole : length;
        return DISK_EXTENT_HOLE;
    }
    off_t end = data < 0 ? -1 : lseek(fd, (off_t)offset, SEEK_HOLE);
    uint64_t run = end > (off_t)offset ? (uint64_t)end - offset : length;
    *ret_length = run < length ? run : length;
    return DISK_EXTENT_DATA;
}

static bool raw_extents(struct disk *disk, uint64_t offset, uint64_t length,
                        struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                        struct error *err)
{
    struct disk_raw *raw = (struct disk_raw *)disk;
    size_t count = 0;
    while (length > 0 && count < most) {
        struct disk_extent *extent = &ret_extents[count++];
        extent->offset = offset;
        extent->kind = raw_extent(raw->fd, raw->start_bytes + offset, length, &extent->length);
        offset += extent->length;
        length -= extent->length;
    }
    *ret_count = count;
    return true;
}

static bool raw_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                     struct error *err)
{
    struct disk_raw *raw = (struct disk_raw *)disk;
    if (file_pread_all(raw->fd, ret_data, length, raw->start_bytes + offset, err))
        return true;
    return error_prefix(err, "%s at %" PRIu64, disk->description, offset);
}

static bool raw_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct disk_raw *raw = (struct disk_raw *)disk;
    if (lane_write(&raw->lane, data, length, raw->start_bytes + offset, err))
        return true;
    return error_prefix(err, "%s at %" PRIu64, disk->description, offset);
}

static bool raw_room(struct disk *disk, uint64_t length, uint64_t offset)
{
    struct disk_raw *raw = (struct disk_raw *)disk;
    return !raw->no_punch && lane_room(&raw->lane, length, raw->start_bytes + offset);
}

static bool write_zeroes(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    while (length > 0) {
        size_t step = length < ZERO_STEP_BYTES ? (size_t)length : ZERO_STEP_BYTES;
        if (!raw_write(disk, zero_step, step, offset, err))
            return false;
        offset += step;
        length -= step;
    }
    return true;
}

static bool raw_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    struct disk_raw *raw = (struct disk_raw *)disk;
    if (!raw->no_punch) {
        if (fallocate(raw->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      (off_t)(raw->start_bytes + offset), (off_t)length) == 0)
            return true;
        if (errno != EOPNOTSUPP && errno != EINVAL && errno != ENODEV)
            return error_set_errno(err, errno, "%s: cannot punch a hole at %" PRIu64,
                                   disk->description, offset);
        raw->no_punch = true;
    }
    return write_zeroes(disk, offset, length, err);
}

static bool raw_flush(struct disk *disk, struct error *err)
{
    struct disk_raw *raw = (struct disk_raw *)disk;
    if (raw->lazy || fdatasync(raw->fd) == 0)
        return true;
    return error_set_errno(err, errno, "%s: cannot flush", disk->description);
}

static char *raw_identify(struct disk *disk)
{
    return raw_identity(((struct disk_raw *)disk)->fd);
}

static void raw_close(struct disk *disk)
{
    struct disk_raw *raw = (struct disk_raw *)disk;
    lane_fini(&raw->lane);
    fd_closep(&raw->fd);
    disk_fini(disk);
    free(raw);
}

static const struct disk_ops raw_reader = {
    .name = "raw",
    .read = raw_read,
    .close = raw_close,
    .extents = raw_extents,
    .identify = raw_identify,
};
static const struct disk_ops raw_writer = {
    .name = "raw",
    .read = raw_read,
    .close = raw_close,
    .extents = raw_extents,
    .write = raw_write,
    .zero = raw_zero,
    .room = raw_room,
    .flush = raw_flush,
};

static struct disk *raw_new(const struct disk_raw_plan *plan, int fd, uint64_t size_bytes)
{
    struct disk_raw *raw = xcalloc(1, sizeof(*raw));
    raw->fd = fd;
    lane_init(&raw->lane, fd, 0);
    raw->start_bytes = plan->offset_bytes;
    raw->lazy = plan->lazy;
    disk_init(&raw->disk, plan->writable ? &raw_writer : &raw_reader,
              xstrdup(plan->description != NULL ? plan->description : "raw"), raw_identity(fd),
              size_bytes, DISK_RANDOM, RAW_PARALLEL);
    return &raw->disk;
}

bool disk_raw_open(const struct disk_raw_plan *plan, struct disk **ret_disk, struct error *err)
{
    CLEANUP(fd_closep) int fd = plan->fd;
    uint64_t file_bytes = 0;
    if (!raw_length(fd, &file_bytes, err))
        return false;
    if (plan->length_bytes > DISK_SIZE_MOST ||
        (plan->length_bytes == 0 && file_bytes > DISK_SIZE_MOST))
        return error_set(err, &FAULT_DISK_INVALID, "a disk of %" PRIu64 " bytes", file_bytes);
    uint64_t rest = file_bytes > plan->offset_bytes ? file_bytes - plan->offset_bytes : 0;
    if (plan->offset_bytes > file_bytes || plan->length_bytes > rest)
        return error_set(err, &FAULT_DISK_INVALID,
                         "%s: %" PRIu64 " bytes at %" PRIu64 " of a file of %" PRIu64,
                         plan->description != NULL ? plan->description : "raw", plan->length_bytes,
                         plan->offset_bytes, file_bytes);
    *ret_disk = raw_new(plan, fd, plan->length_bytes > 0 ? plan->length_bytes : rest);
    fd = -1;
    return true;
}

bool disk_raw_create(const struct disk_raw_plan *plan, uint64_t size_bytes, struct disk **ret_disk,
                     struct error *err)
{
    CLEANUP(fd_closep) int fd = plan->fd;
    uint64_t room = 0;
    struct stat about;
    if (!raw_length(fd, &room, err))
        return false;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) {
        /* A file that was cut to nothing is written out by ext4 when it is closed: only if it must be. */
        if ((room > 0 && ftruncate(fd, 0) < 0) || ftruncate(fd, (off_t)size_bytes) < 0)
            return error_set_errno(err, errno, "cannot make a file of %" PRIu64 " bytes",
                                   size_bytes);
    } else if (room < size_bytes) {
        return error_set(err, &FAULT_NO_SPACE, "a device of %" PRIu64 " bytes for %" PRIu64, room,
                         size_bytes);
    }
    struct disk_raw_plan writable = *plan;
    writable.writable = true;
    *ret_disk = raw_new(&writable, fd, size_bytes);
    fd = -1;
    return true;
}
