/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of directories and tables, found by file and offset. A block has one slot that it may be in; a
 * newcomer replaces what is there. Disks are read mostly upwards, so that few are in use at a time.
 */
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/vmdk_inner.h"

void vmdk_cache_init(struct vmdk_cache *cache)
{
    for (size_t i = 0; i < VMDK_CACHE_SLOTS; i++) {
        cache->slots[i] = (struct vmdk_cache_slot){.file = NULL};
        pthread_mutex_init(&cache->slots[i].lock, NULL);
    }
}

void vmdk_cache_fini(struct vmdk_cache *cache)
{
    for (size_t i = 0; i < VMDK_CACHE_SLOTS; i++) {
        pthread_mutex_destroy(&cache->slots[i].lock);
        free(cache->slots[i].data);
    }
}

static struct vmdk_cache_slot *slot_for(struct vmdk_cache *cache, const struct vmdk_file *file,
                                        uint64_t offset)
{
    uint64_t mixed = (offset / 512 + (uintptr_t)file / 64) * 0x9e3779b97f4a7c15u;
    return &cache->slots[mixed >> 57]; /* 7 bits: VMDK_CACHE_SLOTS */
}

static bool slot_load(struct vmdk_cache_slot *slot, const struct vmdk_file *file, uint64_t offset,
                      size_t block_bytes, struct error *err)
{
    if (slot->file == file && slot->offset == offset && slot->length == block_bytes)
        return true;
    uint64_t rest = offset < file->size_bytes ? file->size_bytes - offset : 0;
    size_t there = rest < block_bytes ? (size_t)rest : block_bytes; /* a directory's last block */
    slot->file = NULL;
    if (slot->length < block_bytes)
        slot->data = xreallocarray(slot->data, block_bytes, 1);
    slot->length = block_bytes;
    if (!vmdk_file_read(file, slot->data, there, offset, err))
        return false;
    memset(slot->data + there, 0, block_bytes - there);
    slot->file = file;
    slot->offset = offset;
    return true;
}

bool vmdk_cache_get(struct vmdk_cache *cache, const struct vmdk_file *file, uint64_t offset,
                    size_t block_bytes, size_t at, void *ret_data, size_t length, struct error *err)
{
    struct vmdk_cache_slot *slot = slot_for(cache, file, offset);
    pthread_mutex_lock(&slot->lock);
    bool ok = slot_load(slot, file, offset, block_bytes, err);
    if (ok)
        memcpy(ret_data, slot->data + at, length);
    pthread_mutex_unlock(&slot->lock);
    return ok;
}
