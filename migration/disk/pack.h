/* SPDX-License-Identifier: Apache-2.0
 *
 * Packs: blocks handed on compressed, as they stand at the source, without being coded again. A pack is
 * one raw deflate stream (RFC 1951) of the DISK_PACK_BYTES guest-visible bytes of an aligned block, and
 * shorter than they are. Its distances may reach back to the start of the block.
 *
 * Threads: as disk.h.
 */
#ifndef GUTS_MIGRATION_DISK_PACK_H
#define GUTS_MIGRATION_DISK_PACK_H

#include "migration/disk/disk.h"

#define DISK_PACK_BYTES (64u << 10)

/* The packs of blocks behind each other: that of block i at data + i * DISK_PACK_BYTES, lengths[i] bytes
 * of it; 0: the block has none; DISK_PACK_BYTES: nor would one be shorter than the block is. */
struct disk_packs {
    uint8_t *data;
    uint32_t *lengths;
};

/* May some blocks of the disk have packs? */
bool disk_gives_packs(const struct disk *disk);
bool disk_takes_packs(const struct disk *disk);
/* disk_read of whole blocks (the disk's last may be shorter), and what packs they have. Each was inflated
 * and checked: ret_data is what came out. */
bool disk_read_packs(struct disk *disk, void *ret_data, struct disk_packs packs, size_t length,
                     uint64_t offset, struct error *err) MUST_CHECK;
/* disk_write of what was read so. */
bool disk_write_packs(struct disk *disk, const void *data, struct disk_packs packs, size_t length,
                      uint64_t offset, struct error *err) MUST_CHECK;
/* How long the packs of `count` blocks from offset on may be, learned without reading them: an upper
 * bound in bytes for each, 0 where the block has none or its length cannot be told. */
bool disk_pack_rooms(struct disk *disk, uint64_t offset, size_t count, uint32_t *ret_rooms,
                     struct error *err) MUST_CHECK;

#endif
