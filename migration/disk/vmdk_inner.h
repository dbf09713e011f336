/* SPDX-License-Identifier: Apache-2.0
 *
 * The inner parts of the VMDK reader, for vmdk*.c and its fuzz targets only:
 *   descriptor  text into a plain struct
 *   sparse      header of a sparse extent into a plain struct; grains looked up in tables
 *   cache       blocks of tables, bounded
 *   grain       compressed grains into bytes
 *   chain       files, extents, layers opened and checked
 *   vmdk        the disk over them
 *   pack        grains handed on compressed
 */
#ifndef GUTS_MIGRATION_DISK_VMDK_INNER_H
#define GUTS_MIGRATION_DISK_VMDK_INNER_H

#include <pthread.h>

#include "migration/disk/disk_ops.h"
#include "migration/disk/vmdk.h"

#define VMDK_SECTOR_BYTES 512u
#define VMDK_LAYERS_MOST 64u
#define VMDK_EXTENTS_MOST 16384u /* of one layer */
#define VMDK_FILES_MOST 16384u   /* of a whole disk */
#define VMDK_DESCRIPTOR_MOST (1u << 20)
#define VMDK_NAME_MOST 1024u

/* -- descriptor ----------------------------------------------------------------------------------- */
#define VMDK_NO_PARENT 0xffffffffu
enum vmdk_line_kind {
    VMDK_LINE_FLAT,
    VMDK_LINE_SPARSE,
    VMDK_LINE_COWD,
    VMDK_LINE_SESPARSE,
    VMDK_LINE_ZERO
};
struct vmdk_line {
    enum vmdk_line_kind kind;
    uint64_t sectors;
    uint64_t offset_sectors; /* of flat ones */
    char *name;              /* bytes as they stand; NULL for zero extents */
};
struct vmdk_descriptor {
    uint32_t cid;
    uint32_t parent_cid;
    char create_type[32];
    char encoding[32]; /* of the names; "" when not told */
    char *parent_name; /* NULL: none told */
    struct vmdk_line *lines;
    size_t line_count;
};
bool vmdk_descriptor_parse(const char *text, size_t length, struct vmdk_descriptor *ret_descriptor,
                           struct error *err) MUST_CHECK;
void vmdk_descriptor_fini(struct vmdk_descriptor *descriptor);
/* Refuses names that leave their directory. */
bool vmdk_name_check(const char *name, struct error *err) MUST_CHECK;

/* -- files ---------------------------------------------------------------------------------------- */
struct vmdk_file {
    char *name;
    int fd;               /* or */
    struct disk *bytes;   /* owned; NULL: the descriptor */
    uint64_t start_bytes; /* where the image starts in it (a member of a tar) */
    uint64_t size_bytes;  /* of the image */
    uint64_t device;
    uint64_t inode;
    int64_t mtime_ns;
};
/* Exactly length bytes of the image; beyond its end is FAULT_DISK_INVALID. */
bool vmdk_file_read(const struct vmdk_file *file, void *ret_data, size_t length, uint64_t offset,
                    struct error *err) MUST_CHECK;

/* -- cache ---------------------------------------------------------------------------------------- */
#define VMDK_CACHE_SLOTS 128u
#define VMDK_CACHE_BLOCK_MOST (32u << 10)
#define VMDK_DIRECTORY_BLOCK_BYTES 4096u
struct vmdk_cache_slot {
    pthread_mutex_t lock;
    const struct vmdk_file *file; /* NULL: empty */
    uint64_t offset;
    size_t length;
    uint8_t *data;
};
struct vmdk_cache {
    struct vmdk_cache_slot slots[VMDK_CACHE_SLOTS];
};
void vmdk_cache_init(struct vmdk_cache *cache);
void vmdk_cache_fini(struct vmdk_cache *cache);
/* Copies bytes [at, at + length) of the block of block_bytes at `offset` of the file. */
bool vmdk_cache_get(struct vmdk_cache *cache, const struct vmdk_file *file, uint64_t offset,
                    size_t block_bytes, size_t at, void *ret_data, size_t length,
                    struct error *err) MUST_CHECK;

/* -- sparse --------------------------------------------------------------------------------------- */
enum vmdk_sparse_kind { VMDK_HOSTED, VMDK_COWD, VMDK_SESPARSE };
struct vmdk_sparse {
    enum vmdk_sparse_kind kind;
    uint64_t capacity_bytes;
    uint32_t grain_bytes;
    uint32_t table_entries; /* of one grain table */
    uint32_t entry_bytes;   /* 4, or 8 (SE-sparse) */
    uint64_t directory_offset;
    uint64_t directory_entries;
    uint64_t tables_offset; /* SE-sparse */
    uint64_t grains_offset; /* SE-sparse */
    bool compressed;
    bool markers;               /* a grain has its address and length in front */
    bool zero_grains;           /* entry 1 means zeroes */
    uint64_t descriptor_offset; /* bytes; 0: none */
    uint64_t descriptor_bytes;
};
/* Reads and checks the header (and footer) of a sparse extent of any kind. */
bool vmdk_sparse_open(const struct vmdk_file *file, struct vmdk_sparse *ret_sparse,
                      struct error *err) MUST_CHECK;

#define VMDK_GRAIN_NONE 0u /* not in this layer */
#define VMDK_GRAIN_ZERO 1u
#define VMDK_GRAINS_MOST 256u
/* Looks up grains from `first` on: at most `most`, at least one. Each is the offset of its bytes in the
 * file, or VMDK_GRAIN_NONE or _ZERO. Where a whole table is missing, ret_count is the number of grains
 * to its end (it may exceed `most`), ret_grains is not filled and ret_missing set. */
bool vmdk_sparse_lookup(struct vmdk_cache *cache, const struct vmdk_file *file,
                        const struct vmdk_sparse *sparse, uint64_t first, size_t most,
                        uint64_t *ret_grains, uint64_t *ret_count, bool *ret_missing,
                        struct error *err) MUST_CHECK;

/* -- grain ---------------------------------------------------------------------------------------- */
struct libdeflate_decompressor;
/* What one call needs to inflate: kept in a pool, one for each call at once. */
struct vmdk_inflater {
    struct vmdk_inflater *next;
    struct libdeflate_decompressor *decoder;
    const struct vmdk_file *file; /* of the window: compressed bytes in hand */
    uint64_t window_offset;
    size_t window_length;
    size_t window_capacity;
    uint8_t *window;
    size_t grain_capacity;
    uint8_t *grain;
};
struct vmdk_inflaters {
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct vmdk_inflater *idle;
    unsigned made;
};
/* What those for such grains hold at most. */
uint64_t vmdk_inflaters_bytes(uint32_t grain_bytes);
void vmdk_inflaters_init(struct vmdk_inflaters *inflaters);
void vmdk_inflaters_fini(struct vmdk_inflaters *inflaters);
/* Waits while as many as there may be (disk_decoders) are in use. */
struct vmdk_inflater *vmdk_inflater_take(struct vmdk_inflaters *inflaters, uint32_t grain_bytes);
void vmdk_inflater_give(struct vmdk_inflaters *inflaters, struct vmdk_inflater *inflater);
/* One grain, whose compressed form is at `offset`: bytes [at, at + length) of it. `grain_start` is its
 * place in the extent, against which its marker is checked. `ahead` bytes from offset on will be wanted
 * soon (0: unknown). */
struct vmdk_grain {
    uint64_t offset;
    uint64_t grain_start;
    uint64_t ahead;
    size_t at;
    size_t length;
    uint8_t
        *pack; /* NULL, or room for DISK_PACK_BYTES: its stream, when the grain is such a block */
    uint32_t *pack_length;
};
bool vmdk_inflate(struct vmdk_inflater *inflater, const struct vmdk_file *file,
                  const struct vmdk_sparse *sparse, const struct vmdk_grain *grain,
                  uint8_t *ret_data, struct error *err) MUST_CHECK;

/* -- chain ---------------------------------------------------------------------------------------- */
struct vmdk_extent {
    enum { VMDK_EXTENT_FLAT, VMDK_EXTENT_SPARSE, VMDK_EXTENT_ZERO } kind;
    uint64_t start_bytes; /* in the layer */
    uint64_t length_bytes;
    struct vmdk_file *file;
    uint64_t file_offset; /* of flat ones */
    struct vmdk_sparse sparse;
};
struct vmdk_layer {
    struct vmdk_file *descriptor_file;
    char create_type[32];
    uint32_t cid;
    uint32_t parent_cid;
    char *parent_name;
    uint64_t size_bytes;
    struct vmdk_extent *extents;
    size_t extent_count;
};
struct vmdk_chain {
    const struct disk_opener *opener;           /* only while opening */
    struct vmdk_layer layers[VMDK_LAYERS_MOST]; /* topmost first */
    unsigned layer_count;
    struct vmdk_file **files;
    size_t file_count;
};
bool vmdk_chain_open(struct vmdk_chain *chain, const struct disk_opener *opener, const char *name,
                     struct error *err) MUST_CHECK;
/* fd is taken. */
bool vmdk_chain_open_part(struct vmdk_chain *chain, int fd, uint64_t offset, uint64_t length,
                          struct error *err) MUST_CHECK;
/* bytes is taken. */
bool vmdk_chain_open_over(struct vmdk_chain *chain, struct disk *bytes,
                          struct error *err) MUST_CHECK;
void vmdk_chain_fini(struct vmdk_chain *chain);

/* -- disk ----------------------------------------------------------------------------------------- */
struct disk_vmdk {
    struct disk disk;
    struct vmdk_chain chain;
    struct vmdk_cache cache;
    struct vmdk_inflaters inflaters;
};
/* A piece of one extent of one layer. */
struct vmdk_piece {
    unsigned layer;
    const struct vmdk_extent *extent;
    uint64_t offset; /* in the layer */
    uint64_t length;
};
/* The part of [offset, offset + length) that lies in one extent of the layer; without a layer, or behind
 * its end (a child may be larger than its parent), extent is NULL: zeroes. */
struct vmdk_piece vmdk_find_piece(const struct disk_vmdk *vmdk, unsigned layer, uint64_t offset,
                                  uint64_t length);
/* The grains of one lookup, and where the caller's bytes lie in them. */
struct vmdk_run {
    struct vmdk_piece piece;
    uint64_t inside; /* offset in the extent */
    uint64_t grains[VMDK_GRAINS_MOST];
    uint64_t count;
    bool missing;
};
bool vmdk_run_lookup(struct disk_vmdk *vmdk, const struct vmdk_piece *piece,
                     struct vmdk_run *ret_run, struct error *err) MUST_CHECK;
/* VMDK_GRAIN_NONE, _ZERO, or another number for all that hold data. */
uint64_t vmdk_grain_kind(uint64_t grain);
/* How many grains from `at` on are of one kind, and where they lie in the file behind each other if
 * `adjacent`. */
uint64_t vmdk_same_grains(const struct vmdk_run *run, uint64_t at, uint32_t grain_bytes,
                          bool adjacent);
/* Bytes [from, from + length) of the extent, in compressed grains from `at` of the run on. packs NULL:
 * not wanted. */
bool vmdk_inflate_grains(struct disk_vmdk *vmdk, const struct vmdk_run *run, uint64_t at,
                         uint8_t *ret_data, const struct disk_packs *packs, uint64_t from,
                         size_t length, struct error *err) MUST_CHECK;
/* Bytes of the layer and those below it. */
bool vmdk_layer_read(struct disk_vmdk *vmdk, unsigned layer, uint8_t *ret_data, size_t length,
                     uint64_t offset, struct error *err) MUST_CHECK;

/* -- packs ---------------------------------------------------------------------------------------- */
bool vmdk_read_packs(struct disk *disk, void *ret_data, struct disk_packs packs, size_t length,
                     uint64_t offset, struct error *err) MUST_CHECK;
bool vmdk_pack_rooms(struct disk *disk, uint64_t offset, size_t count, uint32_t *ret_rooms,
                     struct error *err) MUST_CHECK;

#endif
