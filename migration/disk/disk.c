/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/disk.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "proto/fault.h"

#define DECODERS_BYTES (8u << 20)
#define ZERO_STEP_BYTES (256u << 10)
static const uint8_t zero_step[ZERO_STEP_BYTES];

void disk_init(struct disk *disk, const struct disk_ops *ops, char *description, char *identity,
               uint64_t size_bytes, enum disk_access access, unsigned parallel)
{
    disk->ops = ops;
    disk->description = description;
    disk->identity = identity;
    disk->size_bytes = size_bytes;
    disk->access = access;
    disk->parallel = parallel > 0 ? parallel : 1;
    disk->block_bytes = 4096;
}

void disk_fini(struct disk *disk)
{
    free(disk->description);
    free(disk->identity);
    disk->description = disk->identity = NULL;
}

const char *disk_describe(const struct disk *disk)
{
    return disk->description;
}

uint64_t disk_size_bytes(const struct disk *disk)
{
    return disk->size_bytes;
}

enum disk_access disk_access(const struct disk *disk)
{
    return disk->access;
}

unsigned disk_parallel(const struct disk *disk)
{
    return disk->parallel;
}

bool disk_is_writable(const struct disk *disk)
{
    return disk->ops->write != NULL;
}

uint64_t disk_held_bytes(const struct disk *disk)
{
    return disk->held_bytes;
}

uint32_t disk_block_bytes(const struct disk *disk)
{
    return disk->block_bytes;
}

const char *disk_identity(const struct disk *disk)
{
    return disk->identity != NULL ? disk->identity : "";
}

char *disk_identify(struct disk *disk)
{
    return disk->ops->identify != NULL ? disk->ops->identify(disk) : NULL;
}

bool disk_identity_check(struct disk *disk, struct error *err)
{
    char *now = disk_identify(disk);
    bool same = now == NULL || strcmp(now, disk_identity(disk)) == 0;
    if (!same)
        error_set(err, &FAULT_SOURCE_CHANGED, "%s was changed while it was read: %s, then %s",
                  disk->description, disk_identity(disk), now);
    free(now);
    return same;
}

static bool range_check(const struct disk *disk, uint64_t offset, uint64_t length,
                        struct error *err)
{
    if (offset <= disk->size_bytes && length <= disk->size_bytes - offset)
        return true;
    return error_set(err, &FAULT_INVALID,
                     "%s: %" PRIu64 " bytes at %" PRIu64 " leave the disk of %" PRIu64 " bytes",
                     disk->description, length, offset, disk->size_bytes);
}

static bool write_check(const struct disk *disk, uint64_t offset, uint64_t length,
                        struct error *err)
{
    if (!disk_is_writable(disk))
        return error_set(err, &FAULT_UNSUPPORTED, "%s: cannot be written", disk->description);
    return range_check(disk, offset, length, err);
}

/* What a peer told may be anything: in order, without gaps, inside the range, or it is refused. */
static bool extents_check(const struct disk *disk, uint64_t offset, uint64_t length,
                          const struct disk_extent *extents, size_t count, struct error *err)
{
    uint64_t at = offset;
    for (size_t i = 0; i < count; i++) {
        if (extents[i].offset != at || extents[i].length == 0 ||
            extents[i].length > offset + length - at)
            return error_set(err, &FAULT_DISK_INVALID, "%s: extents out of order at %" PRIu64,
                             disk->description, at);
        at += extents[i].length;
    }
    if (count == 0)
        return error_set(err, &FAULT_DISK_INVALID, "%s: no extents at %" PRIu64, disk->description,
                         offset);
    return true;
}

bool disk_extents(struct disk *disk, uint64_t offset, uint64_t length,
                  struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                  struct error *err)
{
    assert(most > 0);
    if (!range_check(disk, offset, length, err))
        return false;
    if (length == 0)
        return error_set(err, &FAULT_INVALID, "%s: extents of an empty range", disk->description);
    if (disk->ops->extents == NULL) {
        ret_extents[0] = (struct disk_extent){offset, length, DISK_EXTENT_DATA};
        *ret_count = 1;
        return true;
    }
    size_t count = 0;
    if (!disk->ops->extents(disk, offset, length, ret_extents, most, &count, err) ||
        !extents_check(disk, offset, length, ret_extents, count, err))
        return false;
    *ret_count = count;
    return true;
}

bool disk_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset, struct error *err)
{
    if (!range_check(disk, offset, length, err))
        return false;
    return length == 0 || disk->ops->read(disk, ret_data, length, offset, err);
}

bool disk_gather(struct disk *disk, void *ret_data, void *ret_room, size_t length, uint64_t offset,
                 struct error *err)
{
    return range_check(disk, offset, length, err) &&
           disk->ops->gather(disk, ret_data, ret_room, length, offset, err);
}

bool disk_decode(struct disk *disk, void *ret_data, const void *room, uint64_t offset,
                 struct error *err)
{
    return disk->ops->decode(disk, ret_data, room, offset, err);
}

bool disk_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                struct error *err)
{
    if (!write_check(disk, offset, length, err))
        return false;
    return length == 0 || disk->ops->write(disk, data, length, offset, err);
}

bool disk_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    if (!write_check(disk, offset, length, err))
        return false;
    if (length > 0 && disk->ops->zero != NULL)
        return disk->ops->zero(disk, offset, length, err);
    while (length > 0) {
        size_t step = length < ZERO_STEP_BYTES ? (size_t)length : ZERO_STEP_BYTES;
        if (!disk->ops->write(disk, zero_step, step, offset, err))
            return false;
        offset += step;
        length -= step;
    }
    return true;
}

bool disk_flush(struct disk *disk, struct error *err)
{
    return disk->ops->flush == NULL || disk->ops->flush(disk, err);
}

bool disk_finish(struct disk *disk, struct error *err)
{
    bool ok = disk->ops->finish != NULL ? disk->ops->finish(disk, err) : disk_flush(disk, err);
    disk_close(disk);
    return ok;
}

unsigned disk_decoders(uint64_t bytes_each)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t most = cores > 1 ? (uint64_t)cores + 1 : 2, paid = DECODERS_BYTES / (bytes_each + 1);
    most = most < paid ? most : paid;
    return most > 0 ? (unsigned)most : 1;
}

void disk_expect(struct disk *disk, uint64_t length, uint64_t offset)
{
    if (disk->ops->expect == NULL || offset >= disk->size_bytes || length == 0)
        return;
    uint64_t rest = disk->size_bytes - offset;
    disk->ops->expect(disk, length < rest ? length : rest, offset);
}

bool disk_room(struct disk *disk, uint64_t length, uint64_t offset)
{
    return disk->ops->room != NULL && offset < disk->size_bytes &&
           length <= disk->size_bytes - offset && disk->ops->room(disk, length, offset);
}

void disk_interrupt(struct disk *disk)
{
    if (disk->ops->interrupt != NULL)
        disk->ops->interrupt(disk);
}

void disk_close(struct disk *disk)
{
    if (disk != NULL)
        disk->ops->close(disk); /* frees it */
}

void disk_closep(struct disk **disk)
{
    disk_close(*disk);
    *disk = NULL;
}
