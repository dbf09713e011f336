/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed clusters of a qcow2 file, laid behind each other without gaps. Compressing happens in the calling thread, beside others; only the place is taken with
 * the lock. A cluster that does not shrink is written plain.
 */
#include <endian.h>
#include <inttypes.h>
#include <unistd.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "proto/fault.h"

/* What one thread compresses with. */
struct packing {
    struct packing *next;
    struct qcow2_coder *coder;
    uint8_t packed[QCOW2_CLUSTER_BYTES]; /* larger would not pay */
    uint8_t tail[QCOW2_CLUSTER_BYTES];   /* the disk's last cluster, filled with zeroes */
};
/* As many clusters as one block of reference counts tells of. What is behind changes no more: its block is
 * written, so that memory does not grow with the file. */
struct count_page {
    uint16_t *counts; /* NULL: no frames, or retired */
    uint64_t block;   /* the cluster of the block; 0: not written */
};
struct qcow2_packer {
    enum disk_qcow2_compression compression;
    pthread_mutex_t lock; /* of the idle packinges */
    struct packing *idle;
    /* With the disk's lock: */
    uint64_t at;               /* where the next frame goes; 0: in a new cluster */
    uint64_t end;              /* of the cluster that `at` is in */
    struct count_page *counts; /* of frames in each cluster, by pages */
    uint64_t retired_count;    /* of those that stand in the file already */
    size_t page_count;
};

struct qcow2_packer *qcow2_packer_new(enum disk_qcow2_compression compression)
{
    struct qcow2_packer *packer = xcalloc(1, sizeof(*packer));
    packer->compression = compression;
    pthread_mutex_init(&packer->lock, NULL);
    return packer;
}

void qcow2_packer_free(struct qcow2_packer *packer)
{
    if (packer == NULL)
        return;
    while (packer->idle != NULL) {
        struct packing *next = packer->idle->next;
        qcow2_coder_free(packer->idle->coder);
        free(packer->idle);
        packer->idle = next;
    }
    for (size_t i = 0; i < packer->page_count; i++)
        free(packer->counts[i].counts);
    free(packer->counts);
    pthread_mutex_destroy(&packer->lock);
    free(packer);
}

static struct packing *packing_take(struct qcow2_packer *packer)
{
    pthread_mutex_lock(&packer->lock);
    struct packing *packing = packer->idle;
    if (packing != NULL)
        packer->idle = packing->next;
    pthread_mutex_unlock(&packer->lock);
    if (packing != NULL)
        return packing;
    packing = xcalloc(1, sizeof(*packing));
    packing->coder = qcow2_coder_new(packer->compression);
    return packing;
}

static void packing_give(struct qcow2_packer *packer, struct packing *packing)
{
    pthread_mutex_lock(&packer->lock);
    packing->next = packer->idle;
    packer->idle = packing;
    pthread_mutex_unlock(&packer->lock);
}

static bool page_retire(struct disk_qcow2 *qcow2, size_t index, struct error *err)
{
    struct count_page *page = &qcow2->packer->counts[index];
    if (page->counts == NULL)
        return true;
    for (size_t i = 0; i < QCOW2_BLOCK_COUNTS; i++)
        page->counts[i] = htobe16(page->counts[i] > 0 ? page->counts[i] : 1);
    uint64_t block = qcow2_take_cluster(qcow2);
    if (!file_pwrite_all(qcow2->fd, page->counts, QCOW2_CLUSTER_BYTES, block << QCOW2_CLUSTER_BITS,
                         err))
        return error_prefix(err, "%s: reference counts", qcow2->disk.description);
    page->block = block;
    free(page->counts);
    page->counts = NULL;
    qcow2->packer->retired_count++;
    return true;
}

/* A frame may still begin in the page before the newest, in none behind that. */
static bool count_add(struct disk_qcow2 *qcow2, uint64_t cluster, struct error *err)
{
    struct qcow2_packer *packer = qcow2->packer;
    size_t page = (size_t)(cluster / QCOW2_BLOCK_COUNTS), before = packer->page_count;
    if (page >= packer->page_count) {
        packer->counts = xreallocarray(packer->counts, page + 1, sizeof(*packer->counts));
        for (; packer->page_count <= page; packer->page_count++)
            packer->counts[packer->page_count] = (struct count_page){.counts = NULL};
    }
    if (packer->counts[page].counts == NULL)
        packer->counts[page].counts = xcalloc(QCOW2_BLOCK_COUNTS, sizeof(uint16_t));
    packer->counts[page].counts[cluster % QCOW2_BLOCK_COUNTS]++;
    for (size_t i = before > 2 ? before - 2 : 0; i + 1 < page && before <= page; i++) {
        if (!page_retire(qcow2, i, err))
            return false;
    }
    return true;
}

uint16_t qcow2_packed_count(const struct qcow2_packer *packer, uint64_t cluster)
{
    size_t page = (size_t)(cluster / QCOW2_BLOCK_COUNTS);
    if (page >= packer->page_count || packer->counts[page].counts == NULL)
        return 0;
    return packer->counts[page].counts[cluster % QCOW2_BLOCK_COUNTS];
}

uint64_t qcow2_retired_count(const struct qcow2_packer *packer)
{
    return packer->retired_count;
}

uint64_t qcow2_retired_block(const struct qcow2_packer *packer, uint64_t index)
{
    return index < packer->page_count ? packer->counts[index].block : 0;
}

/* Room for a frame of `length` bytes: behind the last one, where the next cluster follows it directly. */
static bool room_take(struct disk_qcow2 *qcow2, size_t length, uint64_t *ret_place,
                      struct error *err)
{
    struct qcow2_packer *packer = qcow2->packer;
    if (packer->at == 0 || packer->at + length > packer->end) {
        uint64_t cluster = qcow2_take_cluster(qcow2);
        if (packer->at == 0 || cluster << QCOW2_CLUSTER_BITS != packer->end)
            packer->at = cluster << QCOW2_CLUSTER_BITS;
        packer->end = (cluster + 1) << QCOW2_CLUSTER_BITS;
    }
    uint64_t offset = packer->at;
    packer->at += length;
    uint64_t last = (offset + length - 1) >> QCOW2_CLUSTER_BITS;
    for (uint64_t i = offset >> QCOW2_CLUSTER_BITS; i <= last; i++) {
        if (!count_add(qcow2, i, err))
            return false;
    }
    *ret_place = offset;
    return true;
}

uint64_t qcow2_packed_entry(uint64_t place, size_t length)
{
    uint64_t sectors = (place + length - 1) / QCOW2_SECTOR_BYTES - place / QCOW2_SECTOR_BYTES;
    return place | sectors << QCOW2_ENTRY_OFFSET_BITS | QCOW2_COMPRESSED;
}

static bool entry_set(struct disk_qcow2 *qcow2, uint64_t offset, size_t packed_length,
                      uint64_t *ret_file_offset, struct error *err)
{
    struct qcow2_table *table = NULL;
    pthread_mutex_lock(&qcow2->lock);
    bool ok = qcow2_table_get(qcow2, offset, true, &table, err);
    if (ok) {
        uint64_t *entry = &table->entries[offset / QCOW2_CLUSTER_BYTES % QCOW2_TABLE_ENTRIES];
        uint64_t place = 0, value = 0;
        if (*entry != 0) {
            ok = error_set(err, &FAULT_UNSUPPORTED,
                           "%s: a compressed cluster is written once (%" PRIu64 ")",
                           qcow2->disk.description, offset);
        } else if (packed_length == 0) { /* plain */
            place = qcow2_take_cluster(qcow2) << QCOW2_CLUSTER_BITS;
            value = place | QCOW2_COPIED;
        } else {
            ok = room_take(qcow2, packed_length, &place, err);
            value = qcow2_packed_entry(place, packed_length);
        }
        if (ok) {
            *entry = htobe64(value);
            table->dirty = true;
            *ret_file_offset = place;
        }
    }
    pthread_mutex_unlock(&qcow2->lock);
    return ok;
}

/* An entry can tell the sectors of a plain cluster's worth of bytes wherever they begin. */
static bool pack_one(struct disk_qcow2 *qcow2, struct packing *packing, const uint8_t *data,
                     const uint8_t *pack, uint32_t pack_length, uint64_t offset, struct error *err)
{
    const uint8_t *packed = pack;
    size_t length = pack_length < QCOW2_CLUSTER_BYTES ? pack_length : 0;
    uint64_t place = 0;
    if (pack_length == 0) {
        packed = packing->packed;
        length = qcow2_encode(packing->coder, data, packing->packed, QCOW2_CLUSTER_BYTES - 1);
    }
    if (!entry_set(qcow2, offset, length, &place, err))
        return false;
    if (lane_write(&qcow2->lane, length == 0 ? data : packed,
                   length == 0 ? QCOW2_CLUSTER_BYTES : length, place, err))
        return true;
    return error_prefix(err, "%s at %" PRIu64, qcow2->disk.description, offset);
}

bool qcow2_pack(struct disk_qcow2 *qcow2, const uint8_t *data, const struct disk_packs *packs,
                size_t length, uint64_t offset, struct error *err)
{
    bool to_the_end = offset + length == qcow2->disk.size_bytes;
    if (offset % QCOW2_CLUSTER_BYTES != 0 || (length % QCOW2_CLUSTER_BYTES != 0 && !to_the_end))
        return error_set(err, &FAULT_UNSUPPORTED,
                         "%s: compressed clusters are written whole, not %zu bytes at %" PRIu64,
                         qcow2->disk.description, length, offset);
    struct packing *packing = packing_take(qcow2->packer);
    bool ok = true;
    for (size_t i = 0; ok && length > 0; i++) {
        size_t step = length < QCOW2_CLUSTER_BYTES ? length : QCOW2_CLUSTER_BYTES;
        const uint8_t *from = data;
        if (step < QCOW2_CLUSTER_BYTES) {
            memset(packing->tail, 0, sizeof(packing->tail));
            memcpy(packing->tail, data, step);
            from = packing->tail;
        }
        ok = packs == NULL || step < QCOW2_CLUSTER_BYTES
                 ? pack_one(qcow2, packing, from, NULL, 0, offset, err)
                 : pack_one(qcow2, packing, from, packs->data + i * DISK_PACK_BYTES,
                            packs->lengths[i], offset, err);
        data += step;
        offset += step;
        length -= step;
    }
    packing_give(qcow2->packer, packing);
    return ok;
}

bool qcow2_unpack(struct disk_qcow2 *qcow2, uint64_t entry, uint8_t *ret_cluster, struct error *err)
{
    uint64_t place = entry & ((1ull << QCOW2_ENTRY_OFFSET_BITS) - 1);
    uint64_t sectors = (entry >> QCOW2_ENTRY_OFFSET_BITS & 0xff) + 1;
    size_t length = (size_t)(sectors * QCOW2_SECTOR_BYTES - place % QCOW2_SECTOR_BYTES);
    uint8_t *packed = xcalloc(length, 1);
    ssize_t got = pread(qcow2->fd, packed, length, (off_t)place); /* may end with the file */
    struct packing *packing = packing_take(qcow2->packer);
    bool ok = got > 0 && qcow2_decode(packing->coder, packed, (size_t)got, ret_cluster);
    packing_give(qcow2->packer, packing);
    free(packed);
    return ok || error_set(err, &FAULT_IO, "%s: a compressed cluster cannot be read",
                           qcow2->disk.description);
}
