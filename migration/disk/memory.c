/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/memory.h"

#include <pthread.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"

struct disk_memory {
    struct disk disk;
    pthread_mutex_t lock;
    uint8_t **blocks; /* NULL: never written */
    size_t block_count;
};

static uint64_t part_length(uint64_t offset, uint64_t length, uint64_t block)
{
    uint64_t part = block - offset % block;
    return part < length ? part : length;
}

static bool memory_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                        struct error *err)
{
    struct disk_memory *memory = (struct disk_memory *)disk;
    uint8_t *to = ret_data;
    pthread_mutex_lock(&memory->lock);
    while (length > 0) {
        size_t part = (size_t)part_length(offset, length, DISK_MEMORY_BLOCK_BYTES);
        const uint8_t *block = memory->blocks[offset / DISK_MEMORY_BLOCK_BYTES];
        if (block == NULL)
            memset(to, 0, part);
        else
            memcpy(to, block + offset % DISK_MEMORY_BLOCK_BYTES, part);
        to += part;
        offset += part;
        length -= part;
    }
    pthread_mutex_unlock(&memory->lock);
    return true;
}

static bool memory_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                         struct error *err)
{
    struct disk_memory *memory = (struct disk_memory *)disk;
    const uint8_t *from = data;
    pthread_mutex_lock(&memory->lock);
    while (length > 0) {
        size_t part = (size_t)part_length(offset, length, DISK_MEMORY_BLOCK_BYTES);
        uint8_t **block = &memory->blocks[offset / DISK_MEMORY_BLOCK_BYTES];
        if (*block == NULL)
            *block = xcalloc(1, DISK_MEMORY_BLOCK_BYTES);
        memcpy(*block + offset % DISK_MEMORY_BLOCK_BYTES, from, part);
        from += part;
        offset += part;
        length -= part;
    }
    pthread_mutex_unlock(&memory->lock);
    return true;
}

static bool memory_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    struct disk_memory *memory = (struct disk_memory *)disk;
    pthread_mutex_lock(&memory->lock);
    while (length > 0) {
        uint64_t part = part_length(offset, length, DISK_MEMORY_BLOCK_BYTES);
        uint8_t **block = &memory->blocks[offset / DISK_MEMORY_BLOCK_BYTES];
        if (part == DISK_MEMORY_BLOCK_BYTES) {
            free(*block);
            *block = NULL;
        } else if (*block != NULL) {
            memset(*block + offset % DISK_MEMORY_BLOCK_BYTES, 0, (size_t)part);
        }
        offset += part;
        length -= part;
    }
    pthread_mutex_unlock(&memory->lock);
    return true;
}

static bool memory_extents(struct disk *disk, uint64_t offset, uint64_t length,
                           struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                           struct error *err)
{
    struct disk_memory *memory = (struct disk_memory *)disk;
    size_t count = 0;
    pthread_mutex_lock(&memory->lock);
    while (length > 0) {
        uint64_t part = part_length(offset, length, DISK_MEMORY_BLOCK_BYTES);
        enum disk_extent_kind kind = memory->blocks[offset / DISK_MEMORY_BLOCK_BYTES] != NULL
                                         ? DISK_EXTENT_DATA
                                         : DISK_EXTENT_HOLE;
        if (count > 0 && ret_extents[count - 1].kind == kind)
            ret_extents[count - 1].length += part;
        else if (count == most)
            break;
        else
            ret_extents[count++] = (struct disk_extent){offset, part, kind};
        offset += part;
        length -= part;
    }
    pthread_mutex_unlock(&memory->lock);
    *ret_count = count;
    return true;
}

static void memory_close(struct disk *disk)
{
    struct disk_memory *memory = (struct disk_memory *)disk;
    for (size_t i = 0; i < memory->block_count; i++)
        free(memory->blocks[i]);
    free(memory->blocks);
    pthread_mutex_destroy(&memory->lock);
    disk_fini(disk);
    free(memory);
}

static const struct disk_ops memory_ops = {
    .name = "memory",
    .read = memory_read,
    .close = memory_close,
    .extents = memory_extents,
    .write = memory_write,
    .zero = memory_zero,
};

struct disk *disk_memory_new(uint64_t size_bytes)
{
    struct disk_memory *memory = xcalloc(1, sizeof(*memory));
    memory->block_count =
        (size_t)((size_bytes + DISK_MEMORY_BLOCK_BYTES - 1) / DISK_MEMORY_BLOCK_BYTES);
    memory->blocks = xcalloc(memory->block_count + 1, sizeof(*memory->blocks));
    pthread_mutex_init(&memory->lock, NULL);
    disk_init(&memory->disk, &memory_ops, xstrdup("memory"), NULL, size_bytes, DISK_RANDOM, 4);
    memory->disk.block_bytes = DISK_MEMORY_BLOCK_BYTES;
    return &memory->disk;
}

/* -- pattern ---------------------------------------------------------------------------------------*/

struct disk_pattern {
    struct disk disk;
    uint64_t seed;
    uint64_t block_bytes;
    unsigned data_of_hundred;
};

static uint64_t mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static bool pattern_is_data(const struct disk_pattern *pattern, uint64_t offset)
{
    uint64_t block = offset / pattern->block_bytes;
    return mix(pattern->seed ^ mix(block)) % 100 < pattern->data_of_hundred;
}

static bool pattern_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                         struct error *err)
{
    const struct disk_pattern *pattern = (const struct disk_pattern *)disk;
    uint8_t *to = ret_data;
    while (length > 0) {
        size_t part = (size_t)part_length(offset, length, pattern->block_bytes);
        bool is_data = pattern_is_data(pattern, offset);
        for (size_t i = 0; i < part; i++) {
            uint64_t word = is_data ? mix(pattern->seed + (offset + i) / 8) | 1 : 0;
            to[i] = (uint8_t)(word >> ((offset + i) % 8 * 8));
        }
        to += part;
        offset += part;
        length -= part;
    }
    return true;
}

static bool pattern_extents(struct disk *disk, uint64_t offset, uint64_t length,
                            struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                            struct error *err)
{
    const struct disk_pattern *pattern = (const struct disk_pattern *)disk;
    size_t count = 0;
    for (unsigned steps = 0; length > 0 && steps < 1u << 20; steps++) {
        uint64_t part = part_length(offset, length, pattern->block_bytes);
        enum disk_extent_kind kind =
            pattern_is_data(pattern, offset) ? DISK_EXTENT_DATA : DISK_EXTENT_HOLE;
        if (count > 0 && ret_extents[count - 1].kind == kind)
            ret_extents[count - 1].length += part;
        else if (count == most)
            break;
        else
            ret_extents[count++] = (struct disk_extent){offset, part, kind};
        offset += part;
        length -= part;
    }
    *ret_count = count;
    return true;
}

static void pattern_close(struct disk *disk)
{
    disk_fini(disk);
    free(disk);
}

static const struct disk_ops pattern_ops = {
    .name = "pattern",
    .read = pattern_read,
    .close = pattern_close,
    .extents = pattern_extents,
};

struct disk *disk_pattern_new(const struct disk_pattern_plan *plan)
{
    struct disk_pattern *pattern = xcalloc(1, sizeof(*pattern));
    pattern->seed = plan->seed;
    pattern->block_bytes = plan->block_bytes > 0 ? plan->block_bytes : 64u << 10;
    pattern->data_of_hundred = plan->data_of_hundred;
    disk_init(&pattern->disk, &pattern_ops, xstrdup("pattern"), NULL, plan->size_bytes,
              plan->access, 4);
    return &pattern->disk;
}
