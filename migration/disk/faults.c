/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/faults.h"

#include <inttypes.h>
#include <pthread.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"

struct disk_faulty {
    struct disk disk;
    struct disk *inner;
    struct disk_faults *faults;
    bool interrupted;
    pthread_mutex_t lock;
    pthread_cond_t wake;
};

void disk_faults_init(struct disk_faults *faults)
{
    faults->fail_read_at = faults->hang_read_at = faults->room_bytes = UINT64_MAX;
    faults->fail_write_at = faults->hang_write_at = UINT64_MAX;
    faults->fail_flush = faults->hang_flush = faults->hang_extents = false;
    faults->read_count = faults->read_bytes = faults->flush_count = 0;
    faults->written_bytes = faults->zeroed_bytes = 0;
}

static bool covers(uint64_t point, uint64_t offset, uint64_t length)
{
    return point >= offset && point - offset < length;
}

static bool hang(struct disk_faulty *faulty, struct error *err)
{
    pthread_mutex_lock(&faulty->lock);
    while (!faulty->interrupted)
        pthread_cond_wait(&faulty->wake, &faulty->lock);
    pthread_mutex_unlock(&faulty->lock);
    return error_set(err, &FAULT_IO, "%s: interrupted", faulty->disk.description);
}

static bool faulty_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                        struct error *err)
{
    struct disk_faulty *faulty = (struct disk_faulty *)disk;
    faulty->faults->read_count++;
    faulty->faults->read_bytes += length;
    if (covers(faulty->faults->hang_read_at, offset, length))
        return hang(faulty, err);
    if (covers(faulty->faults->fail_read_at, offset, length))
        return error_set(err, &FAULT_IO, "%s: unreadable at %" PRIu64, disk->description,
                         (uint64_t)faulty->faults->fail_read_at);
    return disk_read(faulty->inner, ret_data, length, offset, err);
}

static bool faulty_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                         struct error *err)
{
    struct disk_faulty *faulty = (struct disk_faulty *)disk;
    if (covers(faulty->faults->hang_write_at, offset, length))
        return hang(faulty, err);
    if (covers(faulty->faults->fail_write_at, offset, length))
        return error_set(err, &FAULT_IO, "%s: unwritable at %" PRIu64, disk->description,
                         (uint64_t)faulty->faults->fail_write_at);
    uint64_t written = atomic_fetch_add(&faulty->faults->written_bytes, length) + length;
    if (written > atomic_load(&faulty->faults->room_bytes))
        return error_set(err, &FAULT_NO_SPACE, "%s: full", disk->description);
    return disk_write(faulty->inner, data, length, offset, err);
}

static bool faulty_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    struct disk_faulty *faulty = (struct disk_faulty *)disk;
    faulty->faults->zeroed_bytes += length;
    return disk_zero(faulty->inner, offset, length, err);
}

static bool faulty_extents(struct disk *disk, uint64_t offset, uint64_t length,
                           struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                           struct error *err)
{
    struct disk_faulty *faulty = (struct disk_faulty *)disk;
    if (faulty->faults->hang_extents)
        return hang(faulty, err);
    return disk_extents(faulty->inner, offset, length, ret_extents, most, ret_count, err);
}

static bool faulty_flush(struct disk *disk, struct error *err)
{
    struct disk_faulty *faulty = (struct disk_faulty *)disk;
    faulty->faults->flush_count++;
    if (faulty->faults->hang_flush)
        return hang(faulty, err);
    if (faulty->faults->fail_flush)
        return error_set(err, &FAULT_IO, "%s: cannot flush", disk->description);
    return disk_flush(faulty->inner, err);
}

static char *faulty_identify(struct disk *disk)
{
    return disk_identify(((struct disk_faulty *)disk)->inner);
}

static void faulty_interrupt(struct disk *disk)
{
    struct disk_faulty *faulty = (struct disk_faulty *)disk;
    pthread_mutex_lock(&faulty->lock);
    faulty->interrupted = true;
    pthread_cond_broadcast(&faulty->wake);
    pthread_mutex_unlock(&faulty->lock);
    disk_interrupt(faulty->inner);
}

static void faulty_close(struct disk *disk)
{
    struct disk_faulty *faulty = (struct disk_faulty *)disk;
    disk_close(faulty->inner);
    pthread_cond_destroy(&faulty->wake);
    pthread_mutex_destroy(&faulty->lock);
    disk_fini(disk);
    free(faulty);
}

static const struct disk_ops reader_ops = {
    .name = "faults",
    .read = faulty_read,
    .close = faulty_close,
    .extents = faulty_extents,
    .identify = faulty_identify,
    .interrupt = faulty_interrupt,
};
static const struct disk_ops writer_ops = {
    .name = "faults",
    .read = faulty_read,
    .close = faulty_close,
    .extents = faulty_extents,
    .write = faulty_write,
    .zero = faulty_zero,
    .flush = faulty_flush,
    .interrupt = faulty_interrupt,
};

struct disk *disk_faults_wrap(struct disk *inner, struct disk_faults *faults)
{
    struct disk_faulty *faulty = xcalloc(1, sizeof(*faulty));
    faulty->inner = inner;
    faulty->faults = faults;
    pthread_mutex_init(&faulty->lock, NULL);
    pthread_cond_init(&faulty->wake, NULL);
    disk_init(&faulty->disk, disk_is_writable(inner) ? &writer_ops : &reader_ops,
              xasprintf("faulty %s", disk_describe(inner)), xstrdup(disk_identity(inner)),
              disk_size_bytes(inner), disk_access(inner), disk_parallel(inner));
    faulty->disk.block_bytes = disk_block_bytes(inner);
    faulty->disk.held_bytes = disk_held_bytes(inner);
    return &faulty->disk;
}
