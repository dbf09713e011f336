/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/pack.h"

#include <inttypes.h>
#include <string.h>

#include "migration/disk/disk_ops.h"
#include "proto/fault.h"

bool disk_gives_packs(const struct disk *disk)
{
    return disk->ops->read_packs != NULL;
}

bool disk_takes_packs(const struct disk *disk)
{
    return disk->ops->write_packs != NULL;
}

static bool blocks_check(const struct disk *disk, uint64_t offset, uint64_t length,
                         struct error *err)
{
    bool inside = offset <= disk->size_bytes && length <= disk->size_bytes - offset;
    bool whole = offset % DISK_PACK_BYTES == 0 &&
                 (length % DISK_PACK_BYTES == 0 || offset + length == disk->size_bytes);
    if (inside && whole)
        return true;
    return error_set(err, &FAULT_INVALID,
                     "%s: %" PRIu64 " bytes at %" PRIu64 " are no whole blocks of %" PRIu64
                     " bytes",
                     disk->description, length, offset, disk->size_bytes);
}

bool disk_read_packs(struct disk *disk, void *ret_data, struct disk_packs packs, size_t length,
                     uint64_t offset, struct error *err)
{
    if (!disk_gives_packs(disk))
        return error_set(err, &FAULT_UNSUPPORTED, "%s: gives no packs", disk->description);
    if (!blocks_check(disk, offset, length, err))
        return false;
    memset(packs.lengths, 0,
           (length + DISK_PACK_BYTES - 1) / DISK_PACK_BYTES * sizeof(*packs.lengths));
    return length == 0 || disk->ops->read_packs(disk, ret_data, packs, length, offset, err);
}

bool disk_write_packs(struct disk *disk, const void *data, struct disk_packs packs, size_t length,
                      uint64_t offset, struct error *err)
{
    if (!disk_takes_packs(disk))
        return error_set(err, &FAULT_UNSUPPORTED, "%s: takes no packs", disk->description);
    if (!blocks_check(disk, offset, length, err))
        return false;
    return length == 0 || disk->ops->write_packs(disk, data, packs, length, offset, err);
}

bool disk_pack_rooms(struct disk *disk, uint64_t offset, size_t count, uint32_t *ret_rooms,
                     struct error *err)
{
    memset(ret_rooms, 0, count * sizeof(*ret_rooms));
    if (count == 0 || disk->ops->pack_rooms == NULL)
        return true;
    uint64_t rest = offset < disk->size_bytes ? disk->size_bytes - offset : 0;
    uint64_t length = (uint64_t)count * DISK_PACK_BYTES;
    return blocks_check(disk, offset, length < rest ? length : rest, err) &&
           disk->ops->pack_rooms(disk, offset, count, ret_rooms, err);
}
