/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/vmdk.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/raw.h"
#include "migration/disk/vmdk_inner.h"
#include "proto/fault.h"

#define VMDK_PARALLEL 2
#define EXTENT_STEPS_MOST 65536u /* one answer costs at most so many lookups */

/* Extents lie behind each other without gaps: the last that starts at or before the offset. */
static const struct vmdk_extent *find_extent(const struct vmdk_layer *layer, uint64_t offset)
{
    size_t low = 0, high = layer->extent_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (layer->extents[middle].start_bytes <= offset)
            low = middle;
        else
            high = middle;
    }
    return &layer->extents[low];
}

/* The part of [offset, offset + length) that lies in one extent of the layer; without a layer, or behind
 * its end (a child may be larger than its parent), extent is NULL: zeroes. */
struct vmdk_piece vmdk_find_piece(const struct disk_vmdk *vmdk, unsigned layer, uint64_t offset,
                                  uint64_t length)
{
    struct vmdk_piece piece = {layer, NULL, offset, length};
    if (layer >= vmdk->chain.layer_count || offset >= vmdk->chain.layers[layer].size_bytes)
        return piece;
    piece.extent = find_extent(&vmdk->chain.layers[layer], offset);
    uint64_t rest = piece.extent->start_bytes + piece.extent->length_bytes - offset;
    if (rest < length)
        piece.length = rest;
    return piece;
}

/* -- reading -------------------------------------------------------------------------------------- */

bool vmdk_run_lookup(struct disk_vmdk *vmdk, const struct vmdk_piece *piece,
                     struct vmdk_run *ret_run, struct error *err)
{
    const struct vmdk_sparse *sparse = &piece->extent->sparse;
    uint64_t inside = piece->offset - piece->extent->start_bytes;
    uint64_t first = inside / sparse->grain_bytes;
    uint64_t last = (inside + piece->length - 1) / sparse->grain_bytes;
    uint64_t most = last - first + 1 < VMDK_GRAINS_MOST ? last - first + 1 : VMDK_GRAINS_MOST;
    ret_run->piece = *piece;
    ret_run->inside = inside;
    if (!vmdk_sparse_lookup(&vmdk->cache, piece->extent->file, sparse, first, (size_t)most,
                            ret_run->grains, &ret_run->count, &ret_run->missing, err))
        return false;
    uint64_t covered = (first + ret_run->count) * sparse->grain_bytes - inside;
    if (covered < ret_run->piece.length)
        ret_run->piece.length = covered;
    return true;
}

uint64_t vmdk_grain_kind(uint64_t grain)
{
    return grain > VMDK_GRAIN_ZERO ? VMDK_GRAIN_ZERO + 1 : grain;
}

/* How many grains from `at` on are of one kind, and where they lie in the file behind each other. */
uint64_t vmdk_same_grains(const struct vmdk_run *run, uint64_t at, uint32_t grain_bytes,
                          bool adjacent)
{
    uint64_t count = 1;
    for (; at + count < run->count; count++) {
        uint64_t next = run->grains[at + count];
        if (vmdk_grain_kind(next) != vmdk_grain_kind(run->grains[at]))
            break;
        if (adjacent && next > VMDK_GRAIN_ZERO && next != run->grains[at] + count * grain_bytes)
            break;
    }
    return count;
}

/* How many bytes behind the grain `at` hold the compressed grains that follow it, as far as its
 * neighbours in the run tell; the last one's length is not known: half a grain is guessed. */
static uint64_t bytes_ahead(const struct vmdk_run *run, uint64_t at, uint32_t grain_bytes)
{
    uint64_t last = run->grains[at];
    for (uint64_t i = at + 1; i < run->count && run->grains[i] > last; i++)
        last = run->grains[i];
    return last - run->grains[at] + grain_bytes / 2;
}

/* packs NULL: not wanted. */
bool vmdk_inflate_grains(struct disk_vmdk *vmdk, const struct vmdk_run *run, uint64_t at,
                         uint8_t *ret_data, const struct disk_packs *packs, uint64_t from,
                         size_t length, struct error *err)
{
    const struct vmdk_extent *extent = run->piece.extent;
    uint32_t grain_bytes = extent->sparse.grain_bytes;
    struct vmdk_inflater *inflater = vmdk_inflater_take(&vmdk->inflaters, grain_bytes);
    bool ok = true;
    for (size_t i = 0; ok && length > 0; i++) {
        struct vmdk_grain grain = {.offset = run->grains[at],
                                   .grain_start = from - from % grain_bytes,
                                   .ahead = bytes_ahead(run, at, grain_bytes),
                                   .at = (size_t)(from % grain_bytes)};
        if (packs != NULL) {
            grain.pack = packs->data + i * DISK_PACK_BYTES;
            grain.pack_length = packs->lengths + i;
        }
        grain.length = grain_bytes - grain.at < length ? grain_bytes - grain.at : length;
        ok = vmdk_inflate(inflater, extent->file, &extent->sparse, &grain, ret_data, err);
        ret_data += grain.length;
        from += grain.length;
        length -= grain.length;
        at++;
    }
    vmdk_inflater_give(&vmdk->inflaters, inflater);
    return ok;
}

/* Bytes [from, from + length) of the extent, all in grains of one kind from `at` on. */
static bool read_grains(struct disk_vmdk *vmdk, const struct vmdk_run *run, uint64_t at,
                        uint8_t *ret_data, uint64_t from, size_t length, struct error *err)
{
    const struct vmdk_extent *extent = run->piece.extent;
    uint64_t grain = run->missing ? VMDK_GRAIN_NONE : run->grains[at];
    if (grain == VMDK_GRAIN_NONE)
        return vmdk_layer_read(vmdk, run->piece.layer + 1, ret_data, length,
                               extent->start_bytes + from, err);
    if (grain == VMDK_GRAIN_ZERO) {
        memset(ret_data, 0, length);
        return true;
    }
    if (extent->sparse.compressed)
        return vmdk_inflate_grains(vmdk, run, at, ret_data, NULL, from, length, err);
    return vmdk_file_read(extent->file, ret_data, length, grain + from % extent->sparse.grain_bytes,
                          err);
}

static bool run_read(struct disk_vmdk *vmdk, const struct vmdk_run *run, uint8_t *ret_data,
                     struct error *err)
{
    const struct vmdk_sparse *sparse = &run->piece.extent->sparse;
    uint64_t from = run->inside, end = run->inside + run->piece.length;
    uint64_t first = from / sparse->grain_bytes;
    while (from < end) {
        uint64_t at = from / sparse->grain_bytes - first;
        uint64_t count = run->missing
                             ? run->count
                             : vmdk_same_grains(run, at, sparse->grain_bytes, !sparse->compressed);
        uint64_t until = (first + at + count) * sparse->grain_bytes;
        size_t length = (size_t)((until < end ? until : end) - from);
        if (!read_grains(vmdk, run, at, ret_data, from, length, err))
            return false;
        ret_data += length;
        from += length;
    }
    return true;
}

static bool piece_read(struct disk_vmdk *vmdk, struct vmdk_piece *piece, uint8_t *ret_data,
                       struct error *err)
{
    const struct vmdk_extent *extent = piece->extent;
    if (extent == NULL || extent->kind == VMDK_EXTENT_ZERO) {
        memset(ret_data, 0, (size_t)piece->length);
        return true;
    }
    if (extent->kind == VMDK_EXTENT_FLAT)
        return vmdk_file_read(extent->file, ret_data, (size_t)piece->length,
                              extent->file_offset + (piece->offset - extent->start_bytes), err);
    struct vmdk_run run;
    if (!vmdk_run_lookup(vmdk, piece, &run, err))
        return false;
    piece->length = run.piece.length;
    return run_read(vmdk, &run, ret_data, err);
}

bool vmdk_layer_read(struct disk_vmdk *vmdk, unsigned layer, uint8_t *ret_data, size_t length,
                     uint64_t offset, struct error *err)
{
    while (length > 0) {
        struct vmdk_piece piece = vmdk_find_piece(vmdk, layer, offset, length);
        if (!piece_read(vmdk, &piece, ret_data, err))
            return false;
        ret_data += piece.length;
        offset += piece.length;
        length -= (size_t)piece.length;
    }
    return true;
}

static bool vmdk_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                      struct error *err)
{
    if (vmdk_layer_read((struct disk_vmdk *)disk, 0, ret_data, length, offset, err))
        return true;
    return error_prefix(err, "%s", disk->description);
}

/* -- extents -------------------------------------------------------------------------------------- */

static bool sparse_extent_at(struct disk_vmdk *vmdk, const struct vmdk_piece *piece,
                             struct disk_extent *ret_extent, bool *ret_below, struct error *err)
{
    struct vmdk_run run;
    if (!vmdk_run_lookup(vmdk, piece, &run, err))
        return false;
    uint32_t grain_bytes = piece->extent->sparse.grain_bytes;
    uint64_t kind = run.missing ? VMDK_GRAIN_NONE : vmdk_grain_kind(run.grains[0]);
    uint64_t count = run.missing ? run.count : vmdk_same_grains(&run, 0, grain_bytes, false);
    uint64_t covered = (run.inside / grain_bytes + count) * grain_bytes - run.inside;
    ret_extent->length = covered < run.piece.length ? covered : run.piece.length;
    *ret_below = kind == VMDK_GRAIN_NONE;
    ret_extent->kind = kind == VMDK_GRAIN_NONE   ? DISK_EXTENT_HOLE
                       : kind == VMDK_GRAIN_ZERO ? DISK_EXTENT_ZERO
                                                 : DISK_EXTENT_DATA;
    return true;
}

/* What stands at the offset, through all layers, as far as it is of one kind in one piece. */
static bool extent_at(struct disk_vmdk *vmdk, uint64_t offset, uint64_t length,
                      struct disk_extent *ret_extent, struct error *err)
{
    *ret_extent = (struct disk_extent){offset, length, DISK_EXTENT_HOLE};
    bool below = true;
    for (unsigned layer = 0; below && layer < vmdk->chain.layer_count; layer++) {
        struct vmdk_piece piece = vmdk_find_piece(vmdk, layer, offset, ret_extent->length);
        const struct vmdk_extent *extent = piece.extent;
        ret_extent->length = piece.length;
        below = false;
        if (extent == NULL)
            return true; /* behind the end of this layer: zeroes */
        if (extent->kind == VMDK_EXTENT_ZERO)
            ret_extent->kind = DISK_EXTENT_HOLE;
        else if (extent->kind == VMDK_EXTENT_FLAT)
            ret_extent->kind =
                raw_extent(extent->file->fd, extent->file_offset + (offset - extent->start_bytes),
                           piece.length, &ret_extent->length);
        else if (!sparse_extent_at(vmdk, &piece, ret_extent, &below, err))
            return false;
    }
    return true;
}

static bool vmdk_extents(struct disk *disk, uint64_t offset, uint64_t length,
                         struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                         struct error *err)
{
    size_t count = 0;
    for (unsigned steps = 0; length > 0 && steps < EXTENT_STEPS_MOST; steps++) {
        struct disk_extent extent;
        if (!extent_at((struct disk_vmdk *)disk, offset, length, &extent, err))
            return error_prefix(err, "%s", disk->description);
        if (count > 0 && ret_extents[count - 1].kind == extent.kind)
            ret_extents[count - 1].length += extent.length;
        else if (count == most)
            break;
        else
            ret_extents[count++] = extent;
        offset += extent.length;
        length -= extent.length;
    }
    *ret_count = count;
    return true;
}

/* -- opening -------------------------------------------------------------------------------------- */

static void vmdk_close(struct disk *disk)
{
    struct disk_vmdk *vmdk = (struct disk_vmdk *)disk;
    vmdk_chain_fini(&vmdk->chain);
    vmdk_cache_fini(&vmdk->cache);
    vmdk_inflaters_fini(&vmdk->inflaters);
    disk_fini(disk);
    free(vmdk);
}

static void vmdk_interrupt(struct disk *disk)
{
    const struct vmdk_chain *chain = &((struct disk_vmdk *)disk)->chain;
    for (size_t i = 0; i < chain->file_count; i++) {
        if (chain->files[i]->bytes != NULL)
            disk_interrupt(chain->files[i]->bytes);
    }
}

/* One line for all files: which they are, how long, when changed until now. */
static char *chain_identity(const struct vmdk_chain *chain)
{
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    for (size_t i = 0; i < chain->file_count; i++) {
        const struct vmdk_file *file = chain->files[i];
        struct stat about = {0};
        if (file->fd >= 0 && fstat(file->fd, &about) < 0)
            about.st_mtim.tv_sec = -1;
        int64_t mtime_ns = (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
        uint64_t facts[] = {file->device, file->inode, file->size_bytes, file->start_bytes,
                            (uint64_t)mtime_ns};
        XXH3_128bits_update(state, file->name, strlen(file->name) + 1);
        XXH3_128bits_update(state, facts, sizeof(facts));
    }
    XXH128_hash_t digest = XXH3_128bits_digest(state);
    XXH3_freeState(state);
    return xasprintf("vmdk %zu files %016" PRIx64 "%016" PRIx64, chain->file_count, digest.high64,
                     digest.low64);
}

static char *vmdk_identify(struct disk *disk)
{
    const struct vmdk_chain *chain = &((struct disk_vmdk *)disk)->chain;
    if (chain->files[0]->bytes != NULL)
        return disk_identify(chain->files[0]->bytes);
    return chain_identity(chain);
}

static const struct disk_ops vmdk_ops = {
    .name = "vmdk",
    .read = vmdk_read,
    .close = vmdk_close,
    .extents = vmdk_extents,
    .read_packs = vmdk_read_packs,
    .pack_rooms = vmdk_pack_rooms,
    .identify = vmdk_identify,
    .interrupt = vmdk_interrupt,
};

static struct disk_vmdk *vmdk_new(void)
{
    struct disk_vmdk *vmdk = xcalloc(1, sizeof(*vmdk));
    vmdk_cache_init(&vmdk->cache);
    vmdk_inflaters_init(&vmdk->inflaters);
    return vmdk;
}

/* What tables and decoders may come to hold. */
static uint64_t held_bytes(const struct vmdk_chain *chain)
{
    uint64_t block = 0, inflaters = 0;
    for (unsigned i = 0; i < chain->layer_count; i++) {
        for (size_t j = 0; j < chain->layers[i].extent_count; j++) {
            const struct vmdk_extent *extent = &chain->layers[i].extents[j];
            const struct vmdk_sparse *sparse = &extent->sparse;
            if (extent->kind != VMDK_EXTENT_SPARSE)
                continue;
            uint64_t table = (uint64_t)sparse->table_entries * sparse->entry_bytes;
            uint64_t more = sparse->compressed ? vmdk_inflaters_bytes(sparse->grain_bytes) : 0;
            table = table > VMDK_DIRECTORY_BLOCK_BYTES ? table : VMDK_DIRECTORY_BLOCK_BYTES;
            block = table > block ? table : block;
            inflaters = more > inflaters ? more : inflaters;
        }
    }
    return block * VMDK_CACHE_SLOTS + inflaters;
}

static struct disk *vmdk_ready(struct disk_vmdk *vmdk, const char *name)
{
    disk_init(&vmdk->disk, &vmdk_ops, xasprintf("vmdk %s", name), chain_identity(&vmdk->chain),
              vmdk->chain.layers[0].size_bytes, DISK_RANDOM, VMDK_PARALLEL);
    vmdk->disk.held_bytes = held_bytes(&vmdk->chain);
    return &vmdk->disk;
}

bool disk_vmdk_open(const struct disk_opener *opener, const char *name, struct disk **ret_disk,
                    struct error *err)
{
    struct disk_vmdk *vmdk = vmdk_new();
    if (!vmdk_chain_open(&vmdk->chain, opener, name, err)) {
        vmdk_close(&vmdk->disk);
        return error_prefix(err, "vmdk \"%s\"", name);
    }
    *ret_disk = vmdk_ready(vmdk, name);
    return true;
}

bool disk_vmdk_open_part(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                         const char *description, struct disk **ret_disk, struct error *err)
{
    struct disk_vmdk *vmdk = vmdk_new();
    if (!vmdk_chain_open_part(&vmdk->chain, fd, offset_bytes, length_bytes, err)) {
        vmdk_close(&vmdk->disk);
        return error_prefix(err, "vmdk \"%s\"", description);
    }
    *ret_disk = vmdk_ready(vmdk, description);
    return true;
}

bool disk_vmdk_open_over(struct disk *bytes, struct disk **ret_disk, struct error *err)
{
    struct disk_vmdk *vmdk = vmdk_new();
    if (!vmdk_chain_open_over(&vmdk->chain, bytes, err)) {
        vmdk_close(&vmdk->disk);
        return error_prefix(err, "vmdk");
    }
    *ret_disk = vmdk_ready(vmdk, disk_describe(bytes));
    free((*ret_disk)->identity);
    (*ret_disk)->identity = xstrdup(disk_identity(bytes));
    (*ret_disk)->held_bytes += disk_held_bytes(bytes);
    return true;
}

bool disk_vmdk_info(const struct disk_opener *opener, const char *name, struct arena *arena,
                    struct disk_vmdk_info *ret_info, struct error *err)
{
    struct disk *disk = NULL;
    if (!disk_vmdk_open(opener, name, &disk, err))
        return false;
    const struct vmdk_chain *chain = &((struct disk_vmdk *)disk)->chain;
    struct disk_vmdk_file *files = arena_calloc(arena, chain->file_count, sizeof(*files));
    for (size_t i = 0; i < chain->file_count; i++) {
        const struct vmdk_file *file = chain->files[i];
        files[i] = (struct disk_vmdk_file){.name = arena_strdup(arena, file->name),
                                           .device = file->device,
                                           .inode = file->inode,
                                           .size_bytes = file->size_bytes,
                                           .mtime_ns = file->mtime_ns};
    }
    *ret_info = (struct disk_vmdk_info){
        .capacity_bytes = disk->size_bytes,
        .create_type = arena_strdup(arena, chain->layers[0].create_type),
        .depth = chain->layer_count,
        .files = files,
        .file_count = chain->file_count,
    };
    disk_close(disk);
    return true;
}
