/* SPDX-License-Identifier: Apache-2.0
 *
 * qcow2 read out of another disk: versions 2 and 3, any size of clusters, zlib and zstd, no backing file.
 * Shares no code with the writers, so that it can prove what they wrote.
 */
#include <endian.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/qcow2.h"
#include "migration/disk/qcow2_inflate.h"
#include "proto/fault.h"

#define MAGIC 0x514649fbu
#define HEADER_BYTES 112u
#define L1_MOST (32u << 20) /* bytes, as qemu bounds it */
#define L2_CACHED 16u
#define L2_BYTES (1u << 20) /* of them, if two are not more */
#define ADDRESS_MASK 0x00fffffffffffe00ull
#define ENTRY_COMPRESSED (1ull << 62)
#define ENTRY_ZERO 1ull
#define FEATURES_KNOWN 9ull /* dirty (only reference counts are), compression type */

struct table {
    uint64_t address; /* 0: empty */
    uint64_t used_at;
    uint64_t *entries; /* as on disk */
};
struct disk_qcow2_read {
    struct disk disk;
    struct disk *file;
    uint32_t cluster_bits;
    struct qcow2_inflaters inflaters;
    uint64_t *l1; /* as on disk */
    uint64_t l1_entries;
    uint64_t table_covers; /* bytes of the disk */
    pthread_mutex_t lock;  /* of all below */
    uint64_t clock;
    unsigned table_count;
    struct table tables[L2_CACHED];
};

static uint64_t cluster_bytes(const struct disk_qcow2_read *self)
{
    return 1ull << self->cluster_bits;
}

static uint32_t get32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return be32toh(value);
}

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return be64toh(value);
}

/* -- tables ------------------------------------------------------------------------------------------- */

static bool table_get(struct disk_qcow2_read *self, uint64_t address, const uint64_t **ret_entries,
                      struct error *err)
{
    struct table *oldest = &self->tables[0];
    if (address % cluster_bytes(self) != 0)
        return error_set(err, &FAULT_DISK_INVALID, "%s: a table at %" PRIu64,
                         self->disk.description, address);
    for (unsigned i = 0; i < self->table_count; i++) {
        struct table *table = &self->tables[i];
        if (table->address == address) {
            table->used_at = ++self->clock;
            *ret_entries = table->entries;
            return true;
        }
        if (table->used_at < oldest->used_at)
            oldest = table;
    }
    if (oldest->entries == NULL)
        oldest->entries = xcalloc(1, cluster_bytes(self));
    oldest->address = 0;
    if (!disk_read(self->file, oldest->entries, cluster_bytes(self), address, err))
        return false;
    oldest->address = address;
    oldest->used_at = ++self->clock;
    *ret_entries = oldest->entries;
    return true;
}

/* The entry of the cluster that holds `offset`; 0: nothing there. */
static bool entry_get(struct disk_qcow2_read *self, uint64_t offset, uint64_t *ret_entry,
                      struct error *err)
{
    uint64_t cluster = offset >> self->cluster_bits, per = cluster_bytes(self) / 8;
    uint64_t first = cluster / per < self->l1_entries ? be64toh(self->l1[cluster / per]) : 0;
    const uint64_t *entries = NULL;
    *ret_entry = 0;
    if ((first & ADDRESS_MASK) == 0)
        return true;
    pthread_mutex_lock(&self->lock);
    bool good = table_get(self, first & ADDRESS_MASK, &entries, err);
    if (good)
        *ret_entry = be64toh(entries[cluster % per]);
    pthread_mutex_unlock(&self->lock);
    return good;
}

static bool is_data(uint64_t entry)
{
    return (entry & ENTRY_COMPRESSED) != 0 ||
           ((entry & ENTRY_ZERO) == 0 && (entry & ADDRESS_MASK) != 0);
}

/* -- clusters ----------------------------------------------------------------------------------------- */

/* What the cluster's entry leads to, inflated: into `to`, or for a part of it into the inflater, which
 * keeps it for the next part. */
static bool unpack(struct disk_qcow2_read *self, struct qcow2_inflater *inflater, uint64_t entry,
                   uint8_t *to, struct error *err)
{
    unsigned bits = 62 - (self->cluster_bits - 8);
    uint64_t address = entry & ((1ull << bits) - 1), end = disk_size_bytes(self->file);
    uint64_t sectors = ((entry & ~(3ull << 62)) >> bits) + 1;
    uint64_t length = sectors * 512 - address % 512;
    if (address < end && length > end - address)
        length = end - address; /* the last one may lack the end of its sector */
    if (address >= end || length > 2 * cluster_bytes(self))
        return error_set(err, &FAULT_DISK_INVALID, "%s: a compressed cluster at %" PRIu64,
                         self->disk.description, address);
    if (!disk_read(self->file, inflater->packed, (size_t)length, address, err))
        return false;
    return qcow2_inflate(&self->inflaters, inflater, (size_t)length, to) ||
           error_set(err, &FAULT_DISK_INVALID,
                     "%s: the compressed cluster at %" PRIu64 " is damaged", self->disk.description,
                     address);
}

static bool read_packed(struct disk_qcow2_read *self, uint64_t entry, uint8_t *to, size_t length,
                        uint64_t within, struct error *err)
{
    struct qcow2_inflater *inflater = qcow2_inflater_take(&self->inflaters, entry);
    bool good = true;
    if (length == cluster_bytes(self)) {
        good = unpack(self, inflater, entry, to, err);
    } else {
        if (inflater->held != entry) {
            inflater->held = 0;
            good = unpack(self, inflater, entry, inflater->cluster, err);
            inflater->held = good ? entry : 0;
        }
        if (good)
            memcpy(to, inflater->cluster + within, length);
    }
    qcow2_inflater_give(&self->inflaters, inflater);
    return good;
}

/* A range within one cluster. */
static bool read_part(struct disk_qcow2_read *self, uint64_t entry, uint8_t *to, size_t length,
                      uint64_t within, struct error *err)
{
    if (!is_data(entry)) {
        memset(to, 0, length);
        return true;
    }
    if ((entry & ENTRY_COMPRESSED) == 0) {
        uint64_t address = entry & ADDRESS_MASK;
        if (address % cluster_bytes(self) != 0)
            return error_set(err, &FAULT_DISK_INVALID, "%s: a cluster at %" PRIu64,
                             self->disk.description, address);
        return disk_read(self->file, to, length, address + within, err);
    }
    return read_packed(self, entry, to, length, within, err);
}

/* How many bytes from `offset` on lie behind each other in the file, too, as far as `length`. */
static bool run_length(struct disk_qcow2_read *self, uint64_t offset, uint64_t entry,
                       uint64_t length, uint64_t *ret_length, struct error *err)
{
    uint64_t size = cluster_bytes(self), run = size - offset % size, next;
    bool data = is_data(entry);
    while (run < length && (entry & ENTRY_COMPRESSED) == 0) {
        if (!entry_get(self, offset + run, &next, err))
            return false;
        uint64_t wanted = (entry & ADDRESS_MASK) + (run + offset % size);
        if (is_data(next) != data || (next & ENTRY_COMPRESSED) != 0 ||
            (data && (next & ADDRESS_MASK) != wanted))
            break;
        run += size;
    }
    *ret_length = run < length ? run : length;
    return true;
}

static bool read_range(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                       struct error *err)
{
    struct disk_qcow2_read *self = (struct disk_qcow2_read *)disk;
    uint8_t *to = ret_data;
    while (length > 0) {
        uint64_t entry, run;
        if (!entry_get(self, offset, &entry, err) ||
            !run_length(self, offset, entry, length, &run, err) ||
            !read_part(self, entry, to, (size_t)run, offset % cluster_bytes(self), err))
            return false;
        to += run;
        offset += run;
        length -= (size_t)run;
    }
    return true;
}

static bool is_table_missing(const struct disk_qcow2_read *self, uint64_t offset)
{
    uint64_t index = offset / self->table_covers;
    return index >= self->l1_entries || (be64toh(self->l1[index]) & ADDRESS_MASK) == 0;
}

static bool extents(struct disk *disk, uint64_t offset, uint64_t length,
                    struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                    struct error *err)
{
    struct disk_qcow2_read *self = (struct disk_qcow2_read *)disk;
    uint64_t size = cluster_bytes(self), end = offset + length;
    size_t count = 0;
    while (offset < end) {
        uint64_t entry, step = size - offset % size;
        if (!entry_get(self, offset, &entry, err))
            return false;
        enum disk_extent_kind kind = is_data(entry)              ? DISK_EXTENT_DATA
                                     : (entry & ENTRY_ZERO) != 0 ? DISK_EXTENT_ZERO
                                                                 : DISK_EXTENT_HOLE;
        if (entry == 0 && is_table_missing(self, offset))
            step = self->table_covers - offset % self->table_covers;
        step = step < end - offset ? step : end - offset;
        if (count > 0 && ret_extents[count - 1].kind == kind)
            ret_extents[count - 1].length += step;
        else if (count == most)
            break;
        else
            ret_extents[count++] = (struct disk_extent){offset, step, kind};
        offset += step;
    }
    *ret_count = count;
    return true;
}

static void close_disk(struct disk *disk)
{
    struct disk_qcow2_read *self = (struct disk_qcow2_read *)disk;
    disk_close(self->file);
    for (unsigned i = 0; i < L2_CACHED; i++)
        free(self->tables[i].entries);
    free(self->l1);
    qcow2_inflaters_fini(&self->inflaters);
    pthread_mutex_destroy(&self->lock);
    disk_fini(disk);
    free(self);
}

static char *identify(struct disk *disk)
{
    return disk_identify(((struct disk_qcow2_read *)disk)->file);
}

static void interrupt(struct disk *disk)
{
    disk_interrupt(((struct disk_qcow2_read *)disk)->file);
}

static const struct disk_ops ops = {
    .name = "qcow2",
    .read = read_range,
    .extents = extents,
    .identify = identify,
    .interrupt = interrupt,
    .close = close_disk,
};

/* -- opening ------------------------------------------------------------------------------------------ */

static bool invalid(const struct disk *file, const char *what, struct error *err)
{
    return error_set(err, &FAULT_DISK_INVALID, "%s: %s", disk_describe(file), what);
}

static bool unsupported(const struct disk *file, const char *what, struct error *err)
{
    return error_set(err, &FAULT_DISK_UNSUPPORTED, "%s: %s", disk_describe(file), what);
}

/* Source: qemu, docs/interop/qcow2.txt, "Header". */
static bool check_header(const uint8_t *header, const struct disk *file, struct error *err)
{
    uint32_t version = get32(header + 4), bits = get32(header + 20);
    uint64_t size = get64(header + 24), features = version >= 3 ? get64(header + 72) : 0;
    if (get32(header) != MAGIC)
        return invalid(file, "is no qcow2", err);
    if (version != 2 && version != 3)
        return unsupported(file, "a version of qcow2 that is not known", err);
    if (get64(header + 8) != 0)
        return unsupported(file, "has a backing file", err);
    if (get32(header + 32) != 0)
        return unsupported(file, "is encrypted", err);
    if (bits < 9 || bits > 21)
        return invalid(file, "an absurd size of clusters", err);
    if ((features & ~FEATURES_KNOWN) != 0 || ((features & 8) != 0 && header[104] > 1))
        return unsupported(file, "has features that are not known", err);
    if (size == 0 || size > DISK_SIZE_MOST)
        return invalid(file, "an absurd size", err);
    return true;
}

static bool load(struct disk_qcow2_read *self, const uint8_t *header, struct error *err)
{
    uint64_t bytes = (uint64_t)get32(header + 36) * 8;
    self->cluster_bits = get32(header + 20);
    bool zstd = get32(header + 4) >= 3 && (get64(header + 72) & 8) != 0 && header[104] == 1;
    qcow2_inflaters_init(&self->inflaters, cluster_bytes(self), zstd);
    self->table_covers = cluster_bytes(self) / 8 * cluster_bytes(self);
    if (bytes > L1_MOST)
        return invalid(self->file, "an absurd first table", err);
    uint64_t needed = (self->disk.size_bytes + self->table_covers - 1) / self->table_covers * 8;
    bytes = bytes < needed ? bytes : needed;
    self->l1_entries = bytes / 8;
    uint64_t tables = L2_BYTES / cluster_bytes(self);
    self->table_count = tables < 2 ? 2 : tables > L2_CACHED ? L2_CACHED : (unsigned)tables;
    self->disk.held_bytes +=
        bytes + self->table_count * cluster_bytes(self) + qcow2_inflaters_bytes(&self->inflaters);
    self->l1 = xcalloc(bytes + 8, 1);
    return bytes == 0 || disk_read(self->file, self->l1, bytes, get64(header + 40), err);
}

bool disk_qcow2_read_open(struct disk *file, struct disk **ret_disk, struct error *err)
{
    uint8_t header[HEADER_BYTES] = {0};
    uint64_t there = disk_size_bytes(file);
    size_t length = there < HEADER_BYTES ? (size_t)there : HEADER_BYTES;
    if (!disk_read(file, header, length, 0, err) || !check_header(header, file, err)) {
        disk_close(file);
        return false;
    }
    struct disk_qcow2_read *self = xcalloc(1, sizeof(*self));
    self->file = file;
    pthread_mutex_init(&self->lock, NULL);
    disk_init(&self->disk, &ops, xasprintf("qcow2 in %s", disk_describe(file)),
              xstrdup(disk_identity(file)), get64(header + 24), disk_access(file),
              disk_parallel(file));
    self->disk.held_bytes = disk_held_bytes(file);
    if (!load(self, header, err)) {
        close_disk(&self->disk);
        return false;
    }
    *ret_disk = &self->disk;
    return true;
}
