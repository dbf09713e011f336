/* SPDX-License-Identifier: Apache-2.0
 *
 * Grains handed on compressed (pack.h): found through the layers, and how long they may be told from where
 * their neighbours lie.
 */
#include "migration/disk/vmdk_inner.h"

/* The layer in which the blocks from `offset` on stand as compressed grains of their size: ret_run holds
 * them, behind each other from its first on, and *ret_length covers them. Where they do not, ret_found is
 * false, and *ret_length covers what is no better. */
static bool find_packed(struct disk_vmdk *vmdk, uint64_t offset, uint64_t *ret_length,
                        struct vmdk_run *ret_run, bool *ret_found, struct error *err)
{
    uint64_t length = *ret_length;
    *ret_found = false;
    for (unsigned layer = 0; layer < vmdk->chain.layer_count && !*ret_found; layer++) {
        struct vmdk_piece piece = vmdk_find_piece(vmdk, layer, offset, length);
        const struct vmdk_extent *extent = piece.extent;
        length = piece.length;
        if (extent == NULL || extent->kind != VMDK_EXTENT_SPARSE || !extent->sparse.compressed ||
            extent->sparse.grain_bytes != DISK_PACK_BYTES ||
            (offset - extent->start_bytes) % DISK_PACK_BYTES != 0)
            break;
        if (!vmdk_run_lookup(vmdk, &piece, ret_run, err))
            return false;
        uint64_t kind = ret_run->missing ? VMDK_GRAIN_NONE : vmdk_grain_kind(ret_run->grains[0]);
        uint64_t count = ret_run->missing ? ret_run->count
                                          : vmdk_same_grains(ret_run, 0, DISK_PACK_BYTES, false);
        if (count * DISK_PACK_BYTES < length)
            length = count * DISK_PACK_BYTES;
        *ret_found = kind > VMDK_GRAIN_ZERO;
        if (kind == VMDK_GRAIN_ZERO)
            break;
    }
    /* A layer may end inside a block. */
    if (length < *ret_length && length % DISK_PACK_BYTES != 0) {
        uint64_t whole = length - length % DISK_PACK_BYTES;
        *ret_found = *ret_found && whole > 0;
        length = whole > 0 ? whole : *ret_length < DISK_PACK_BYTES ? *ret_length : DISK_PACK_BYTES;
    }
    *ret_length = length;
    return true;
}

bool vmdk_read_packs(struct disk *disk, void *ret_data, struct disk_packs packs, size_t length,
                     uint64_t offset, struct error *err)
{
    struct disk_vmdk *vmdk = (struct disk_vmdk *)disk;
    uint8_t *to = ret_data;
    while (length > 0) {
        struct vmdk_run run;
        uint64_t step = length;
        bool found = false;
        bool ok = find_packed(vmdk, offset, &step, &run, &found, err);
        if (ok)
            ok = found
                     ? vmdk_inflate_grains(vmdk, &run, 0, to, &packs, run.inside, (size_t)step, err)
                     : vmdk_layer_read(vmdk, 0, to, (size_t)step, offset, err);
        if (!ok)
            return error_prefix(err, "%s", disk->description);
        size_t blocks = (size_t)((step + DISK_PACK_BYTES - 1) / DISK_PACK_BYTES);
        packs.data += blocks * DISK_PACK_BYTES;
        packs.lengths += blocks;
        to += step;
        offset += step;
        length -= (size_t)step;
    }
    return true;
}

/* Where the first grain behind those of the run lies in the file; 0: that cannot be told. */
static bool find_next_grain(struct disk_vmdk *vmdk, const struct vmdk_run *run, uint64_t *ret_next,
                            struct error *err)
{
    const struct vmdk_extent *extent = run->piece.extent;
    uint64_t first = run->inside / DISK_PACK_BYTES + run->count;
    struct vmdk_run behind = {.count = 0};
    *ret_next = 0;
    if (first * DISK_PACK_BYTES >= extent->length_bytes)
        return true;
    if (!vmdk_sparse_lookup(&vmdk->cache, extent->file, &extent->sparse, first, VMDK_GRAINS_MOST,
                            behind.grains, &behind.count, &behind.missing, err))
        return false;
    for (uint64_t i = 0; i < behind.count && !behind.missing && *ret_next == 0; i++)
        *ret_next = behind.grains[i] > VMDK_GRAIN_ZERO ? behind.grains[i] : 0;
    return true;
}

/* Grains of a streamOptimized file lie behind each other, so that one ends where the next begins. */
static bool rooms_of_run(struct disk_vmdk *vmdk, const struct vmdk_run *run, uint64_t count,
                         uint32_t *ret_rooms, struct error *err)
{
    uint64_t next = 0, overhead = run->piece.extent->sparse.markers ? 18 : 6;
    if (!find_next_grain(vmdk, run, &next, err))
        return false;
    for (uint64_t i = run->count; i-- > 0;) {
        uint64_t grain = run->grains[i];
        if (grain <= VMDK_GRAIN_ZERO)
            continue;
        uint64_t room = next > grain ? next - grain : 0;
        if (i < count && room > overhead && room <= DISK_PACK_BYTES)
            ret_rooms[i] = (uint32_t)(room - overhead);
        next = grain;
    }
    return true;
}

bool vmdk_pack_rooms(struct disk *disk, uint64_t offset, size_t count, uint32_t *ret_rooms,
                     struct error *err)
{
    for (size_t i = 0; i < count && offset < disk->size_bytes;) {
        struct vmdk_run run;
        uint64_t rest = disk->size_bytes - offset;
        uint64_t length = (uint64_t)(count - i) * DISK_PACK_BYTES;
        length = length < rest ? length : rest;
        bool found = false;
        bool ok = find_packed((struct disk_vmdk *)disk, offset, &length, &run, &found, err);
        uint64_t blocks = (length + DISK_PACK_BYTES - 1) / DISK_PACK_BYTES;
        if (ok && found)
            ok = rooms_of_run((struct disk_vmdk *)disk, &run, blocks, ret_rooms + i, err);
        if (!ok)
            return error_prefix(err, "%s", disk->description);
        i += (size_t)blocks;
        offset += blocks * DISK_PACK_BYTES;
    }
    return true;
}
