/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/fake_disk.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/memory.h"

struct fake_disk {
    struct disk disk;
    struct disk *pattern; /* NULL: zeroes */
    uint64_t bytes_per_second;
    _Atomic uint64_t free_us; /* when the next byte may leave */
    int world_fd;             /* -1: none */
};

/* Each read takes its turn on the line and waits until its last byte has passed. */
static void pace(struct fake_disk *fake, size_t length)
{
    if (fake->bytes_per_second == 0)
        return;
    uint64_t cost = (uint64_t)length * 1000000 / fake->bytes_per_second;
    uint64_t now = clock_mono_us(), before = atomic_load(&fake->free_us), end;
    do
        end = (before > now ? before : now) + cost;
    while (!atomic_compare_exchange_weak(&fake->free_us, &before, end));
    while (clock_mono_us() < end)
        usleep((useconds_t)(end - now < 100000 ? end - now : 100000));
}

/* A source that has slowed to nothing: its reads neither end nor fail. */
static void stall(const struct fake_disk *fake)
{
    while (fake->world_fd >= 0 && faccessat(fake->world_fd, "stalled", F_OK, 0) == 0)
        usleep(50000);
}

static bool fake_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct fake_disk *fake = (struct fake_disk *)disk;
    stall(fake);
    pace(fake, length);
    if (fake->pattern)
        return disk_read(fake->pattern, ret_data, length, offset, err);
    memset(ret_data, 0, length);
    return true;
}

static bool fake_extents(struct disk *disk, uint64_t offset, uint64_t length,
                         struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                         struct error *err)
{
    struct fake_disk *fake = (struct fake_disk *)disk;
    if (fake->pattern)
        return disk_extents(fake->pattern, offset, length, ret_extents, most, ret_count, err);
    ret_extents[0] = (struct disk_extent){offset, length, DISK_EXTENT_HOLE};
    *ret_count = 1;
    return true;
}

static bool forget(struct disk *disk, const void *data, size_t length, uint64_t offset,
                   struct error *err)
{
    return true;
}

static bool forget_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    return true;
}

static bool nothing(struct disk *disk, struct error *err)
{
    return true;
}

static void fake_close(struct disk *disk)
{
    struct fake_disk *fake = (struct fake_disk *)disk;
    disk_close(fake->pattern);
    disk_fini(disk);
    free(fake);
}

static const struct disk_ops source_ops = {
    .name = "fake", .read = fake_read, .extents = fake_extents, .close = fake_close};
static const struct disk_ops null_ops = {.name = "null",
                                         .read = fake_read,
                                         .extents = fake_extents,
                                         .close = fake_close,
                                         .write = forget,
                                         .zero = forget_zero,
                                         .flush = nothing,
                                         .finish = nothing};

struct disk *fake_disk_new(const struct fake_disk_plan *plan)
{
    struct fake_disk *fake = xcalloc(1, sizeof(*fake));
    char *identity = xasprintf("fake %s %zu generation %llu", plan->vm, plan->index,
                               (unsigned long long)plan->generation);
    struct disk_pattern_plan pattern = {
        .size_bytes = plan->size_bytes,
        .seed = XXH3_64bits(identity, strlen(identity)),
        .data_of_hundred = plan->data_of_hundred,
        .access = DISK_RANDOM,
    };
    fake->pattern = disk_pattern_new(&pattern);
    fake->bytes_per_second = plan->bytes_per_second;
    fake->world_fd = plan->world_fd;
    disk_init(&fake->disk, &source_ops, xasprintf("fake %s %zu", plan->vm, plan->index), identity,
              plan->size_bytes, DISK_RANDOM, 4);
    return &fake->disk;
}

struct disk *fake_disk_null_new(uint64_t size_bytes)
{
    struct fake_disk *fake = xcalloc(1, sizeof(*fake));
    fake->world_fd = -1;
    disk_init(&fake->disk, &null_ops, xstrdup("null"), NULL, size_bytes, DISK_RANDOM, 4);
    return &fake->disk;
}
