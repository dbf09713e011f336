/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed clusters of a qcow2 file: zstd, each cluster a frame of its own, laid behind each other
 * without gaps. Compressing happens in the calling thread, beside others; only the place is taken with
 * the lock. A cluster that does not shrink is written plain.
 */
#include <endian.h>
#include <inttypes.h>
#include <unistd.h>
#include <string.h>
#include <zstd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "proto/fault.h"

#define LEVEL 1
#define ENTRY_OFFSET_BITS 54u /* 62 − (cluster bits − 8) */
#define SECTOR_BYTES 512u
#define COUNT_PAGE 32768u

/* What one thread compresses with. */
struct qcow2_coder {
    struct qcow2_coder *next;
    ZSTD_CCtx *context;
    uint8_t packed[QCOW2_CLUSTER_BYTES]; /* larger would not pay */
    uint8_t tail[QCOW2_CLUSTER_BYTES];   /* the disk's last cluster, filled with zeroes */
};
struct qcow2_packer {
    pthread_mutex_t lock; /* of the idle coders */
    struct qcow2_coder *idle;
    /* With the disk's lock: */
    uint64_t at;       /* where the next frame goes; 0: in a new cluster */
    uint64_t end;      /* of the cluster that `at` is in */
    uint16_t **counts; /* of frames in each cluster, by pages */
    size_t page_count;
};

struct qcow2_packer *qcow2_packer_new(void)
{
    struct qcow2_packer *packer = xcalloc(1, sizeof(*packer));
    pthread_mutex_init(&packer->lock, NULL);
    return packer;
}

void qcow2_packer_free(struct qcow2_packer *packer)
{
    if (packer == NULL)
        return;
    while (packer->idle != NULL) {
        struct qcow2_coder *next = packer->idle->next;
        ZSTD_freeCCtx(packer->idle->context);
        free(packer->idle);
        packer->idle = next;
    }
    for (size_t i = 0; i < packer->page_count; i++)
        free(packer->counts[i]);
    free(packer->counts);
    pthread_mutex_destroy(&packer->lock);
    free(packer);
}

static struct qcow2_coder *coder_take(struct qcow2_packer *packer)
{
    pthread_mutex_lock(&packer->lock);
    struct qcow2_coder *coder = packer->idle;
    if (coder != NULL)
        packer->idle = coder->next;
    pthread_mutex_unlock(&packer->lock);
    if (coder != NULL)
        return coder;
    coder = xcalloc(1, sizeof(*coder));
    coder->context = ZSTD_createCCtx();
    if (coder->context == NULL)
        abort();
    return coder;
}

static void coder_give(struct qcow2_packer *packer, struct qcow2_coder *coder)
{
    pthread_mutex_lock(&packer->lock);
    coder->next = packer->idle;
    packer->idle = coder;
    pthread_mutex_unlock(&packer->lock);
}

static void count_add(struct qcow2_packer *packer, uint64_t cluster)
{
    size_t page = (size_t)(cluster / COUNT_PAGE);
    if (page >= packer->page_count) {
        packer->counts = xreallocarray(packer->counts, page + 1, sizeof(*packer->counts));
        for (; packer->page_count <= page; packer->page_count++)
            packer->counts[packer->page_count] = NULL;
    }
    if (packer->counts[page] == NULL)
        packer->counts[page] = xcalloc(COUNT_PAGE, sizeof(uint16_t));
    packer->counts[page][cluster % COUNT_PAGE]++;
}

uint16_t qcow2_packed_count(const struct qcow2_packer *packer, uint64_t cluster)
{
    size_t page = (size_t)(cluster / COUNT_PAGE);
    if (page >= packer->page_count || packer->counts[page] == NULL)
        return 0;
    return packer->counts[page][cluster % COUNT_PAGE];
}

/* Room for a frame of `length` bytes: behind the last one, where the next cluster follows it directly. */
static uint64_t room_take(struct disk_qcow2 *qcow2, size_t length)
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
    for (uint64_t i = offset >> QCOW2_CLUSTER_BITS; i <= last; i++)
        count_add(packer, i);
    return offset;
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
            place = room_take(qcow2, packed_length);
            uint64_t sectors = (place + packed_length - 1) / SECTOR_BYTES - place / SECTOR_BYTES;
            value = place | sectors << ENTRY_OFFSET_BITS | QCOW2_COMPRESSED;
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

static bool pack_one(struct disk_qcow2 *qcow2, struct qcow2_coder *coder, const uint8_t *data,
                     uint64_t offset, struct error *err)
{
    /* A frame spans at most the sectors that an entry can tell, which a plain cluster's worth does. */
    size_t packed = ZSTD_compressCCtx(coder->context, coder->packed, QCOW2_CLUSTER_BYTES - 1, data,
                                      QCOW2_CLUSTER_BYTES, LEVEL);
    bool plain = ZSTD_isError(packed) != 0; /* it does not fit: it would not shrink */
    uint64_t place = 0;
    if (!entry_set(qcow2, offset, plain ? 0 : packed, &place, err))
        return false;
    if (file_pwrite_all(qcow2->fd, plain ? data : coder->packed,
                        plain ? QCOW2_CLUSTER_BYTES : packed, place, err))
        return true;
    return error_prefix(err, "%s at %" PRIu64, qcow2->disk.description, offset);
}

bool qcow2_pack(struct disk_qcow2 *qcow2, const uint8_t *data, size_t length, uint64_t offset,
                struct error *err)
{
    bool to_the_end = offset + length == qcow2->disk.size_bytes;
    if (offset % QCOW2_CLUSTER_BYTES != 0 || (length % QCOW2_CLUSTER_BYTES != 0 && !to_the_end))
        return error_set(err, &FAULT_UNSUPPORTED,
                         "%s: compressed clusters are written whole, not %zu bytes at %" PRIu64,
                         qcow2->disk.description, length, offset);
    struct qcow2_coder *coder = coder_take(qcow2->packer);
    bool ok = true;
    while (ok && length > 0) {
        size_t step = length < QCOW2_CLUSTER_BYTES ? length : QCOW2_CLUSTER_BYTES;
        const uint8_t *from = data;
        if (step < QCOW2_CLUSTER_BYTES) {
            memset(coder->tail, 0, sizeof(coder->tail));
            memcpy(coder->tail, data, step);
            from = coder->tail;
        }
        ok = pack_one(qcow2, coder, from, offset, err);
        data += step;
        offset += step;
        length -= step;
    }
    coder_give(qcow2->packer, coder);
    return ok;
}

bool qcow2_unpack(struct disk_qcow2 *qcow2, uint64_t entry, uint8_t *ret_cluster, struct error *err)
{
    uint64_t place = entry & ((1ull << ENTRY_OFFSET_BITS) - 1);
    uint64_t sectors = (entry >> ENTRY_OFFSET_BITS & 0xff) + 1;
    size_t length = (size_t)(sectors * SECTOR_BYTES - place % SECTOR_BYTES);
    uint8_t *packed = xcalloc(length, 1);
    ssize_t got = pread(qcow2->fd, packed, length, (off_t)place); /* may end with the file */
    size_t frame = got > 0 ? ZSTD_findFrameCompressedSize(packed, (size_t)got) : 0;
    bool ok =
        got > 0 && ZSTD_isError(frame) == 0 &&
        ZSTD_decompress(ret_cluster, QCOW2_CLUSTER_BYTES, packed, frame) == QCOW2_CLUSTER_BYTES;
    free(packed);
    return ok || error_set(err, &FAULT_IO, "%s: a compressed cluster cannot be read",
                           qcow2->disk.description);
}
