/* SPDX-License-Identifier: Apache-2.0
 *
 * The disk over a qcow2 file that is being written.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "migration/disk/raw.h"
#include "proto/fault.h"

#define FILE_SLACK_BYTES (64u << 20)
#define QCOW2_PARALLEL 2
#define ROOM_AHEAD_BYTES (16ull << 20)
static const uint8_t zero_cluster[QCOW2_CLUSTER_BYTES];

/* A range that lies in one piece in the file, or nowhere. */
struct place {
    uint64_t length;
    uint64_t file_offset; /* 0: not allocated */
    uint64_t packed;      /* the entry of a compressed cluster, or 0 */
};

/* What the entry of `offset` says; where it says nothing and `make`, a cluster is taken. */
static uint64_t entry_get(struct disk_qcow2 *qcow2, struct qcow2_table *table, uint64_t offset,
                          bool make)
{
    uint64_t *entry = &table->entries[offset / QCOW2_CLUSTER_BYTES % QCOW2_TABLE_ENTRIES];
    if (*entry == 0 && make) {
        *entry = htobe64((qcow2_take_cluster(qcow2) << QCOW2_CLUSTER_BITS) | QCOW2_COPIED);
        table->dirty = true;
    }
    return be64toh(*entry);
}

/* Extends a place over the clusters behind it, as long as they continue it. */
static void place_extend(struct disk_qcow2 *qcow2, struct qcow2_table *table, uint64_t offset,
                         uint64_t length, bool make, struct place *place)
{
    while (place->length < length) {
        uint64_t at = offset + place->length; /* a cluster's start */
        if (at % QCOW2_TABLE_COVERS == 0)
            return; /* another table */
        uint64_t next = entry_get(qcow2, table, at, make);
        bool continues = place->file_offset == 0
                             ? next == 0
                             : (next & QCOW2_COMPRESSED) == 0 &&
                                   (next & QCOW2_OFFSET_MASK) == place->file_offset + place->length;
        if (!continues)
            return;
        uint64_t rest = length - place->length;
        place->length += rest < QCOW2_CLUSTER_BYTES ? rest : QCOW2_CLUSTER_BYTES;
    }
}

static bool place_find(struct disk_qcow2 *qcow2, uint64_t offset, uint64_t length, bool make,
                       struct place *ret_place, struct error *err)
{
    uint64_t inside = offset % QCOW2_CLUSTER_BYTES;
    struct place place = {.length = QCOW2_CLUSTER_BYTES - inside};
    if (place.length > length)
        place.length = length;
    struct qcow2_table *table = NULL;
    pthread_mutex_lock(&qcow2->lock);
    bool ok = qcow2_table_get(qcow2, offset, make, &table, err);
    if (ok && table == NULL) { /* nothing as far as a table would cover */
        uint64_t covered = QCOW2_TABLE_COVERS - offset % QCOW2_TABLE_COVERS;
        place.length = covered < length ? covered : length;
    } else if (ok) {
        uint64_t entry = entry_get(qcow2, table, offset, make);
        if ((entry & QCOW2_COMPRESSED) != 0)
            place.packed = entry;
        else if (entry != 0)
            place.file_offset = (entry & QCOW2_OFFSET_MASK) + inside;
        if (place.packed == 0)
            place_extend(qcow2, table, offset, length, make, &place);
    }
    pthread_mutex_unlock(&qcow2->lock);
    if (ok)
        *ret_place = place;
    return ok;
}

static bool read_packed(struct disk_qcow2 *qcow2, uint8_t *ret_data, const struct place *place,
                        uint64_t offset, struct error *err)
{
    uint8_t *cluster = xcalloc(1, QCOW2_CLUSTER_BYTES);
    bool ok = qcow2_unpack(qcow2, place->packed, cluster, err);
    if (ok)
        memcpy(ret_data, cluster + offset % QCOW2_CLUSTER_BYTES, (size_t)place->length);
    free(cluster);
    return ok;
}

/* The file may end inside its last cluster: what is not there reads as zeroes. */
static bool read_plain(struct disk_qcow2 *qcow2, uint8_t *ret_data, const struct place *place,
                       struct error *err)
{
    size_t length = (size_t)place->length;
    uint64_t offset = place->file_offset;
    while (length > 0) {
        ssize_t got = pread(qcow2->fd, ret_data, length, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "%s: cannot read", qcow2->disk.description);
        if (got == 0) {
            memset(ret_data, 0, length);
            return true;
        }
        ret_data += got;
        offset += (uint64_t)got;
        length -= (size_t)got;
    }
    return true;
}

static bool qcow2_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                       struct error *err)
{
    struct disk_qcow2 *qcow2 = (struct disk_qcow2 *)disk;
    uint8_t *to = ret_data;
    while (length > 0) {
        struct place place;
        bool ok = place_find(qcow2, offset, length, false, &place, err);
        if (ok && place.packed != 0)
            ok = read_packed(qcow2, to, &place, offset, err);
        else if (ok && place.file_offset != 0)
            ok = read_plain(qcow2, to, &place, err);
        else if (ok)
            memset(to, 0, (size_t)place.length);
        if (!ok)
            return false;
        to += place.length;
        offset += place.length;
        length -= (size_t)place.length;
    }
    return true;
}

static bool qcow2_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                        struct error *err)
{
    struct disk_qcow2 *qcow2 = (struct disk_qcow2 *)disk;
    const uint8_t *from = data;
    if (qcow2->compress)
        return qcow2_pack(qcow2, data, NULL, length, offset, err);
    while (length > 0) {
        struct place place;
        if (!place_find(qcow2, offset, length, true, &place, err))
            return false;
        if (!lane_write(&qcow2->lane, from, (size_t)place.length, place.file_offset, err))
            return error_prefix(err, "%s at %" PRIu64, disk->description, offset);
        from += place.length;
        offset += place.length;
        length -= (size_t)place.length;
    }
    return true;
}

static bool qcow2_write_packs(struct disk *disk, const void *data, struct disk_packs packs,
                              size_t length, uint64_t offset, struct error *err)
{
    return qcow2_pack((struct disk_qcow2 *)disk, data, &packs, length, offset, err);
}

/* Zeroes in a cluster that is there become a hole of the file; no entry changes. */
static bool zero_place(struct disk_qcow2 *qcow2, const struct place *place, struct error *err)
{
    if (fallocate(qcow2->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)place->file_offset,
                  (off_t)place->length) == 0)
        return true;
    if (errno != EOPNOTSUPP)
        return error_set_errno(err, errno, "%s: cannot punch a hole", qcow2->disk.description);
    for (uint64_t at = 0; at < place->length; at += QCOW2_CLUSTER_BYTES) {
        uint64_t rest = place->length - at;
        size_t step = rest < QCOW2_CLUSTER_BYTES ? (size_t)rest : QCOW2_CLUSTER_BYTES;
        if (!file_pwrite_all(qcow2->fd, zero_cluster, step, place->file_offset + at, err))
            return error_prefix(err, "%s", qcow2->disk.description);
    }
    return true;
}

static bool qcow2_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    struct disk_qcow2 *qcow2 = (struct disk_qcow2 *)disk;
    while (length > 0) {
        struct place place;
        if (!place_find(qcow2, offset, length, false, &place, err))
            return false;
        if (place.packed != 0)
            return error_set(err, &FAULT_UNSUPPORTED, "%s: a compressed cluster is written once",
                             disk->description);
        if (place.file_offset != 0 && !zero_place(qcow2, &place, err))
            return false;
        offset += place.length;
        length -= place.length;
    }
    return true;
}

static bool qcow2_extents(struct disk *disk, uint64_t offset, uint64_t length,
                          struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                          struct error *err)
{
    size_t count = 0;
    while (length > 0) {
        struct place place;
        if (!place_find((struct disk_qcow2 *)disk, offset, length, false, &place, err))
            return false;
        enum disk_extent_kind kind =
            place.file_offset == 0 && place.packed == 0 ? DISK_EXTENT_HOLE : DISK_EXTENT_DATA;
        if (count > 0 && ret_extents[count - 1].kind == kind)
            ret_extents[count - 1].length += place.length;
        else if (count == most)
            break;
        else
            ret_extents[count++] = (struct disk_extent){offset, place.length, kind};
        offset += place.length;
        length -= place.length;
    }
    *ret_count = count;
    return true;
}

/* Tables first; one sync makes them and the data that was written before durable. An entry may come to
 * stand on the disk before its data does: whoever resumes writes such ranges again. */
static bool qcow2_flush(struct disk *disk, struct error *err)
{
    struct disk_qcow2 *qcow2 = (struct disk_qcow2 *)disk;
    pthread_mutex_lock(&qcow2->lock);
    bool ok = qcow2_tables_write(qcow2, err);
    pthread_mutex_unlock(&qcow2->lock);
    if (ok && !qcow2->lazy && fdatasync(qcow2->fd) < 0)
        return error_set_errno(err, errno, "%s: cannot flush", disk->description);
    return ok;
}

static bool qcow2_finish(struct disk *disk, struct error *err)
{
    return qcow2_seal((struct disk_qcow2 *)disk, err);
}

static void qcow2_close(struct disk *disk)
{
    struct disk_qcow2 *qcow2 = (struct disk_qcow2 *)disk;
    for (unsigned i = 0; i < QCOW2_TABLES_CACHED; i++)
        free(qcow2->tables[i].entries);
    qcow2_packer_free(qcow2->packer);
    free(qcow2->l1);
    free(qcow2->old_used);
    lane_fini(&qcow2->lane);
    fd_closep(&qcow2->fd);
    pthread_mutex_destroy(&qcow2->lock);
    disk_fini(disk);
    free(qcow2);
}

static const struct disk_ops qcow2_ops = {
    .name = "qcow2",
    .read = qcow2_read,
    .close = qcow2_close,
    .extents = qcow2_extents,
    .write = qcow2_write,
    .zero = qcow2_zero,
    .flush = qcow2_flush,
    .finish = qcow2_finish,
};

static const struct disk_ops qcow2_repack_ops = {
    .name = "qcow2",
    .read = qcow2_read,
    .close = qcow2_close,
    .extents = qcow2_extents,
    .write = qcow2_write,
    .write_packs = qcow2_write_packs,
    .zero = qcow2_zero,
    .flush = qcow2_flush,
    .finish = qcow2_finish,
};

/* Takes plan's descriptor. */
static struct disk_qcow2 *qcow2_new(const struct disk_qcow2_plan *plan, uint64_t size_bytes)
{
    struct disk_qcow2 *qcow2 = xcalloc(1, sizeof(*qcow2));
    qcow2->fd = plan->fd;
    qcow2->lazy = plan->lazy;
    qcow2->compress = plan->compression != DISK_QCOW2_PLAIN;
    qcow2->zstd = plan->compression == DISK_QCOW2_ZSTD;
    if (qcow2->compress)
        qcow2->packer = qcow2_packer_new(plan->compression);
    lane_init(&qcow2->lane, plan->fd, ROOM_AHEAD_BYTES);
    qcow2->l1_entries = qcow2_l1_entries(size_bytes);
    qcow2->l1_offset = QCOW2_CLUSTER_BYTES;
    qcow2->l1 = xcalloc(qcow2->l1_entries, sizeof(*qcow2->l1));
    uint64_t l1_clusters =
        ((uint64_t)qcow2->l1_entries * 8 + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES;
    qcow2->next_cluster = 1 + l1_clusters;
    pthread_mutex_init(&qcow2->lock, NULL);
    disk_init(&qcow2->disk, plan->compression == DISK_QCOW2_REPACK ? &qcow2_repack_ops : &qcow2_ops,
              xstrdup(plan->description != NULL ? plan->description : "qcow2"), NULL, size_bytes,
              DISK_RANDOM, QCOW2_PARALLEL);
    qcow2->disk.block_bytes = QCOW2_CLUSTER_BYTES;
    qcow2->disk.whole_blocks = qcow2->compress;
    return qcow2;
}

static bool regular_check(int fd, uint64_t *ret_bytes, struct error *err)
{
    struct stat about;
    if (fstat(fd, &about) < 0)
        return error_set_errno(err, errno, "cannot look at a file");
    if (!S_ISREG(about.st_mode))
        return error_set(err, &FAULT_UNSUPPORTED, "qcow2 is written to regular files only");
    *ret_bytes = (uint64_t)about.st_size;
    return true;
}

static bool header_begin(const struct disk_qcow2 *qcow2, struct error *err)
{
    struct qcow2_header header = {.size_bytes = (qcow2->disk.size_bytes + 511) / 512 * 512,
                                  .l1_entries = qcow2->l1_entries,
                                  .l1_offset = qcow2->l1_offset,
                                  .dirty = true,
                                  .zstd = qcow2->zstd};
    uint8_t data[QCOW2_HEADER_BYTES];
    qcow2_header_encode(&header, data);
    return file_pwrite_all(qcow2->fd, data, sizeof(data), 0, err);
}

bool disk_qcow2_create(const struct disk_qcow2_plan *plan, struct disk **ret_disk,
                       struct error *err)
{
    CLEANUP(fd_closep) int fd = plan->fd;
    uint64_t file_bytes = 0;
    if (plan->size_bytes > DISK_SIZE_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "a disk of %" PRIu64 " bytes", plan->size_bytes);
    if (!regular_check(fd, &file_bytes, err))
        return false;
    struct disk_qcow2 *qcow2 = qcow2_new(plan, plan->size_bytes);
    fd = -1; /* the disk's */
    uint64_t begin_bytes = qcow2->next_cluster << QCOW2_CLUSTER_BITS;
    /* A file that was cut to nothing is written out by ext4 when it is closed: only where it must be. */
    if ((file_bytes > 0 && ftruncate(qcow2->fd, 0) < 0) ||
        ftruncate(qcow2->fd, (off_t)begin_bytes) < 0) {
        error_set_errno(err, errno, "%s: cannot cut the file", qcow2->disk.description);
    } else if (header_begin(qcow2, err)) {
        qcow2->lane.end_bytes = begin_bytes;
        *ret_disk = &qcow2->disk;
        return true;
    }
    qcow2_close(&qcow2->disk);
    return false;
}

static bool read_header(int fd, struct qcow2_header *ret_header, struct error *err)
{
    uint8_t data[QCOW2_HEADER_BYTES];
    return file_pread_all(fd, data, sizeof(data), 0, err) &&
           qcow2_header_decode(data, ret_header, err);
}

/* Clusters that hold what nobody flushed: their room is given back, and they read as zeroes. */
static bool punch_free(struct disk_qcow2 *qcow2, struct error *err)
{
    for (uint64_t i = 0; i < qcow2->old_clusters; i++) {
        uint64_t first = i;
        while (i < qcow2->old_clusters && (qcow2->old_used[i / 64] >> (i % 64) & 1) == 0)
            i++;
        struct place gap = {.length = (i - first) << QCOW2_CLUSTER_BITS,
                            .file_offset = first << QCOW2_CLUSTER_BITS};
        if (gap.length > 0 && !zero_place(qcow2, &gap, err))
            return false;
    }
    return true;
}

bool disk_qcow2_reopen(const struct disk_qcow2_plan *plan, struct disk **ret_disk,
                       struct error *err)
{
    CLEANUP(fd_closep) int fd = plan->fd;
    uint64_t file_bytes = 0;
    struct qcow2_header header;
    if (!regular_check(fd, &file_bytes, err) || !read_header(fd, &header, err))
        return false;
    if (header.zstd || plan->compression != DISK_QCOW2_PLAIN)
        return error_set(err, &FAULT_UNSUPPORTED, "compressed qcow2 is begun again, not resumed");
    /* Tables and counts are a small part of a disk: what is much longer was not written here, and would
     * cost memory by its length. */
    if (file_bytes / 2 > header.size_bytes + FILE_SLACK_BYTES)
        return error_set(err, &FAULT_DISK_INVALID,
                         "a file of %" PRIu64 " bytes for a disk of %" PRIu64, file_bytes,
                         header.size_bytes);
    struct disk_qcow2 *qcow2 = qcow2_new(plan, header.size_bytes);
    fd = -1; /* the disk's */
    if (file_pread_all(qcow2->fd, qcow2->l1, (size_t)qcow2->l1_entries * 8, qcow2->l1_offset,
                       err) &&
        qcow2_scan(qcow2, file_bytes, err) && header_begin(qcow2, err) && punch_free(qcow2, err)) {
        *ret_disk = &qcow2->disk;
        return true;
    }
    qcow2_close(&qcow2->disk);
    return false;
}
