/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of sparse extents, and the way from a grain's number through directory and table to its place.
 */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "migration/disk/vmdk_inner.h"
#include "proto/fault.h"

#define HOSTED_MAGIC 0x564d444bu /* "KDMV" */
#define COWD_MAGIC 0x44574f43u   /* "COWD" */
#define SESPARSE_MAGIC 0x00000000cafebabeull
#define SESPARSE_VERSION 0x0000000200000001ull
#define FOOTER_AT_END UINT64_MAX
#define FLAG_ZERO_GRAINS (1u << 2)
#define FLAG_MARKERS (1u << 17)
#define COMPRESSION_DEFLATE 1u
#define COMPRESSED_GRAIN_MOST (4u << 20)
#define GRAIN_MOST (64u << 20)
#define TABLES_AHEAD 8u

static uint16_t get16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

static bool sectors_to_bytes(uint64_t sectors, uint64_t *ret_bytes)
{
    if (sectors > DISK_SIZE_MOST / VMDK_SECTOR_BYTES)
        return false;
    *ret_bytes = sectors * VMDK_SECTOR_BYTES;
    return true;
}

/* What all kinds have to keep, so that lookups need no check but against the file's end. */
static bool sparse_check(const struct vmdk_file *file, struct vmdk_sparse *sparse,
                         uint64_t grain_sectors, struct error *err)
{
    uint64_t grain_bytes = 0;
    if (sparse->capacity_bytes == 0)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": absurd capacity", file->name);
    if (!sectors_to_bytes(grain_sectors, &grain_bytes) || grain_bytes == 0 ||
        (grain_bytes & (grain_bytes - 1)) != 0 ||
        grain_bytes > (sparse->compressed ? COMPRESSED_GRAIN_MOST : GRAIN_MOST))
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": grains of %" PRIu64 " sectors",
                         file->name, grain_sectors);
    sparse->grain_bytes = (uint32_t)grain_bytes;
    if (sparse->table_entries == 0 ||
        (uint64_t)sparse->table_entries * sparse->entry_bytes > VMDK_CACHE_BLOCK_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": tables of %" PRIu32 " entries",
                         file->name, sparse->table_entries);
    uint64_t table_covers = grain_bytes * sparse->table_entries;
    sparse->directory_entries = (sparse->capacity_bytes + table_covers - 1) / table_covers;
    uint64_t directory_bytes = sparse->directory_entries * sparse->entry_bytes;
    if (sparse->directory_offset > file->size_bytes ||
        directory_bytes > file->size_bytes - sparse->directory_offset)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": truncated: its directory is missing",
                         file->name);
    return true;
}

static bool open_hosted(const struct vmdk_file *file, const uint8_t *header, bool is_footer,
                        struct vmdk_sparse *sparse, struct error *err)
{
    if (!is_footer && get64(header + 56) == FOOTER_AT_END) {
        uint8_t footer[VMDK_SECTOR_BYTES];
        if (file->size_bytes < 2 * sizeof(footer) ||
            !vmdk_file_read(file, footer, sizeof(footer), file->size_bytes - 2 * sizeof(footer),
                            err) ||
            get32(footer) != HOSTED_MAGIC || get64(footer + 56) == FOOTER_AT_END)
            return error_set(err, &FAULT_DISK_INVALID, "\"%s\": truncated: its footer is missing",
                             file->name);
        if (!open_hosted(file, footer, true, sparse, err))
            return false;
        uint64_t sectors = get64(header + 28); /* the descriptor is told by the header */
        if (sectors > 0 && !sectors_to_bytes(sectors, &sparse->descriptor_offset))
            return error_set(err, &FAULT_DISK_INVALID, "\"%s\": absurd header", file->name);
        sparse->descriptor_bytes = get64(header + 36) <= VMDK_DESCRIPTOR_MOST / VMDK_SECTOR_BYTES
                                       ? get64(header + 36) * VMDK_SECTOR_BYTES
                                       : VMDK_DESCRIPTOR_MOST + 1;
        return true;
    }
    uint32_t version = get32(header + 4), flags = get32(header + 8);
    uint16_t compression = get16(header + 77);
    if (version < 1 || version > 3 || compression > COMPRESSION_DEFLATE)
        return error_set(err, &FAULT_DISK_UNSUPPORTED,
                         "\"%s\": sparse extent of version %" PRIu32 ", compression %u", file->name,
                         version, compression);
    if (!sectors_to_bytes(get64(header + 12), &sparse->capacity_bytes) ||
        !sectors_to_bytes(get64(header + 28), &sparse->descriptor_offset) ||
        !sectors_to_bytes(get64(header + 36), &sparse->descriptor_bytes) ||
        !sectors_to_bytes(get64(header + 56), &sparse->directory_offset))
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": absurd header", file->name);
    sparse->kind = VMDK_HOSTED;
    sparse->table_entries = get32(header + 44);
    sparse->entry_bytes = 4;
    sparse->compressed = compression == COMPRESSION_DEFLATE;
    sparse->markers = (flags & FLAG_MARKERS) != 0;
    sparse->zero_grains = (flags & FLAG_ZERO_GRAINS) != 0 && version >= 2;
    return sparse_check(file, sparse, get64(header + 20), err);
}

static bool open_cowd(const struct vmdk_file *file, const uint8_t *header,
                      struct vmdk_sparse *sparse, struct error *err)
{
    if (get32(header + 4) != 1)
        return error_set(err, &FAULT_DISK_UNSUPPORTED, "\"%s\": COWD version %" PRIu32, file->name,
                         get32(header + 4));
    sparse->kind = VMDK_COWD;
    sparse->capacity_bytes = (uint64_t)get32(header + 12) * VMDK_SECTOR_BYTES;
    sparse->table_entries = 4096;
    sparse->entry_bytes = 4;
    sparse->directory_offset = (uint64_t)get32(header + 20) * VMDK_SECTOR_BYTES;
    return sparse_check(file, sparse, get32(header + 16), err);
}

static bool open_sesparse(const struct vmdk_file *file, const uint8_t *header,
                          struct vmdk_sparse *sparse, struct error *err)
{
    uint64_t table_sectors = get64(header + 32);
    if (get64(header + 8) != SESPARSE_VERSION || table_sectors == 0 ||
        table_sectors > VMDK_CACHE_BLOCK_MOST / VMDK_SECTOR_BYTES)
        return error_set(err, &FAULT_DISK_UNSUPPORTED,
                         "\"%s\": an SE-sparse extent of another kind", file->name);
    if (!sectors_to_bytes(get64(header + 16), &sparse->capacity_bytes) ||
        !sectors_to_bytes(get64(header + 128), &sparse->directory_offset) ||
        !sectors_to_bytes(get64(header + 144), &sparse->tables_offset) ||
        !sectors_to_bytes(get64(header + 192), &sparse->grains_offset))
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": absurd header", file->name);
    uint8_t journal[VMDK_SECTOR_BYTES]; /* the volatile header: a journal to replay? */
    uint64_t journal_offset = 0;
    if (!sectors_to_bytes(get64(header + 80), &journal_offset) ||
        !vmdk_file_read(file, journal, sizeof(journal), journal_offset, err))
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": truncated header", file->name);
    if (get64(journal) != 0x00000000cafecafeull || journal[24] != 0)
        return error_set(err, &FAULT_DISK_UNSUPPORTED,
                         "\"%s\": SE-sparse with a journal to replay: start and stop the vm once",
                         file->name);
    sparse->kind = VMDK_SESPARSE;
    sparse->entry_bytes = 8;
    sparse->table_entries = (uint32_t)(table_sectors * VMDK_SECTOR_BYTES / 8);
    return sparse_check(file, sparse, get64(header + 24), err);
}

bool vmdk_sparse_open(const struct vmdk_file *file, struct vmdk_sparse *ret_sparse,
                      struct error *err)
{
    uint8_t header[VMDK_SECTOR_BYTES];
    if (!vmdk_file_read(file, header, sizeof(header), 0, err))
        return false;
    struct vmdk_sparse sparse = {0};
    bool ok;
    if (get32(header) == HOSTED_MAGIC)
        ok = open_hosted(file, header, false, &sparse, err);
    else if (get32(header) == COWD_MAGIC)
        ok = open_cowd(file, header, &sparse, err);
    else if (get64(header) == SESPARSE_MAGIC)
        ok = open_sesparse(file, header, &sparse, err);
    else
        ok = error_set(err, &FAULT_DISK_INVALID, "\"%s\": not a sparse extent", file->name);
    if (ok)
        *ret_sparse = sparse;
    return ok;
}

/* -- lookup --------------------------------------------------------------------------------------- */

/* Where the grain table `index` lies; 0: there is none. */
static bool find_table(struct vmdk_cache *cache, const struct vmdk_file *file,
                       const struct vmdk_sparse *sparse, uint64_t index, uint64_t *ret_offset,
                       struct error *err)
{
    uint8_t raw[8] = {0};
    uint64_t at = index * sparse->entry_bytes;
    if (!vmdk_cache_get(cache, file,
                        sparse->directory_offset + at - at % VMDK_DIRECTORY_BLOCK_BYTES,
                        VMDK_DIRECTORY_BLOCK_BYTES, at % VMDK_DIRECTORY_BLOCK_BYTES, raw,
                        sparse->entry_bytes, err))
        return false;
    uint64_t entry = sparse->entry_bytes == 8 ? get64(raw) : get32(raw);
    if (sparse->kind != VMDK_SESPARSE) {
        *ret_offset = entry * VMDK_SECTOR_BYTES;
        return true;
    }
    if (entry != 0 && entry >> 32 != 0x10000000u)
        return error_set(err, &FAULT_DISK_INVALID, "\"%s\": directory entry %" PRIu64 " is damaged",
                         file->name, index);
    uint64_t table_bytes = (uint64_t)sparse->table_entries * sparse->entry_bytes;
    *ret_offset = entry == 0 ? 0 : sparse->tables_offset + (entry & 0xffffffffu) * table_bytes;
    return true;
}

/* Tables lie among the data. From a peer each costs a round trip, if they are not asked for together. */
static void expect_tables(struct vmdk_cache *cache, const struct vmdk_file *file,
                          const struct vmdk_sparse *sparse, uint64_t table)
{
    uint64_t last = table + TABLES_AHEAD, first = table == 0 ? 1 : last;
    for (; first <= last && first < sparse->directory_entries; first++) {
        struct error ignored = {0}; /* whoever needs it will see */
        uint64_t offset = 0;
        if (find_table(cache, file, sparse, first, &offset, &ignored) && offset > 0)
            disk_expect(file->bytes, (uint64_t)sparse->table_entries * sparse->entry_bytes,
                        file->start_bytes + offset);
    }
}

/* An entry of an SE-sparse table: 4 bits of kind, 12 high bits of the address in front of 48 low ones. */
static bool decode_sesparse(const struct vmdk_sparse *sparse, uint64_t entry, uint64_t *ret_grain)
{
    switch (entry >> 60) {
    case 0:
        *ret_grain = VMDK_GRAIN_NONE;
        return entry == 0;
    case 1: /* unmapped by the guest */
    case 2:
        *ret_grain = VMDK_GRAIN_ZERO;
        return true;
    case 3: {
        uint64_t grain = (entry & 0x0fff000000000000u) >> 48 | (entry & 0x0000ffffffffffffu) << 12;
        if (grain > DISK_SIZE_MOST / sparse->grain_bytes)
            return false;
        *ret_grain = sparse->grains_offset + grain * sparse->grain_bytes;
        return true;
    }
    default:
        return false;
    }
}

static bool decode_entry(const struct vmdk_file *file, const struct vmdk_sparse *sparse,
                         const uint8_t *raw, uint64_t *ret_grain, struct error *err)
{
    bool ok = true;
    if (sparse->kind == VMDK_SESPARSE) {
        ok = decode_sesparse(sparse, get64(raw), ret_grain);
    } else {
        uint64_t entry = get32(raw);
        *ret_grain = entry * VMDK_SECTOR_BYTES;
        if (entry == 1 && sparse->zero_grains)
            *ret_grain = VMDK_GRAIN_ZERO;
    }
    if (ok && *ret_grain < file->size_bytes)
        return true;
    return error_set(err, &FAULT_DISK_INVALID,
                     "\"%s\": truncated or damaged: a grain lies behind its end", file->name);
}

bool vmdk_sparse_lookup(struct vmdk_cache *cache, const struct vmdk_file *file,
                        const struct vmdk_sparse *sparse, uint64_t first, size_t most,
                        uint64_t *ret_grains, uint64_t *ret_count, bool *ret_missing,
                        struct error *err)
{
    uint64_t table = first / sparse->table_entries;
    uint64_t at = first % sparse->table_entries;
    uint64_t table_offset = 0;
    if (table >= sparse->directory_entries)
        return error_set(err, &FAULT_INTERNAL, "grain %" PRIu64 " leaves its extent", first);
    if (!find_table(cache, file, sparse, table, &table_offset, err))
        return false;
    if (at == 0 && file->bytes != NULL)
        expect_tables(cache, file, sparse, table);
    *ret_missing = table_offset == 0;
    *ret_count = sparse->table_entries - at;
    if (*ret_missing)
        return true;
    uint64_t table_bytes = (uint64_t)sparse->table_entries * sparse->entry_bytes;
    if (table_offset > file->size_bytes || table_bytes > file->size_bytes - table_offset)
        return error_set(err, &FAULT_DISK_INVALID,
                         "\"%s\": truncated: table %" PRIu64 " is missing", file->name, table);
    if (most > VMDK_GRAINS_MOST)
        most = VMDK_GRAINS_MOST;
    if (*ret_count > most)
        *ret_count = most;
    uint8_t raw[VMDK_GRAINS_MOST * 8];
    if (!vmdk_cache_get(cache, file, table_offset, (size_t)table_bytes,
                        (size_t)at * sparse->entry_bytes, raw,
                        (size_t)*ret_count * sparse->entry_bytes, err))
        return false;
    for (size_t i = 0; i < *ret_count; i++) {
        if (!decode_entry(file, sparse, raw + i * sparse->entry_bytes, &ret_grains[i], err))
            return false;
    }
    return true;
}
