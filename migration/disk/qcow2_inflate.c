/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/qcow2_inflate.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <zstd.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"

#define CLUSTERS_EACH 3u /* two packed, and one inflated */

void qcow2_inflaters_init(struct qcow2_inflaters *inflaters, size_t cluster_bytes, bool zstd)
{
    inflaters->cluster_bytes = cluster_bytes;
    inflaters->zstd = zstd;
    inflaters->idle = NULL;
    inflaters->made = 0;
    inflaters->most = disk_decoders(CLUSTERS_EACH * cluster_bytes);
    pthread_mutex_init(&inflaters->lock, NULL);
    pthread_cond_init(&inflaters->given, NULL);
}

uint64_t qcow2_inflaters_bytes(const struct qcow2_inflaters *inflaters)
{
    return (uint64_t)inflaters->most * CLUSTERS_EACH * inflaters->cluster_bytes;
}

static void inflater_free(const struct qcow2_inflaters *inflaters, struct qcow2_inflater *inflater)
{
    if (inflaters->zstd)
        ZSTD_freeDCtx(inflater->decoder);
    else
        libdeflate_free_decompressor(inflater->decoder);
    free(inflater->packed);
    free(inflater->cluster);
    free(inflater);
}

void qcow2_inflaters_fini(struct qcow2_inflaters *inflaters)
{
    while (inflaters->idle != NULL) {
        struct qcow2_inflater *next = inflaters->idle->next;
        inflater_free(inflaters, inflaters->idle);
        inflaters->idle = next;
    }
    pthread_cond_destroy(&inflaters->given);
    pthread_mutex_destroy(&inflaters->lock);
}

static struct qcow2_inflater *inflater_new(const struct qcow2_inflaters *inflaters)
{
    struct qcow2_inflater *inflater = xcalloc(1, sizeof(*inflater));
    inflater->decoder =
        inflaters->zstd ? (void *)ZSTD_createDCtx() : (void *)libdeflate_alloc_decompressor();
    if (inflater->decoder == NULL)
        abort();
    inflater->packed = xcalloc(2, inflaters->cluster_bytes);
    inflater->cluster = xcalloc(1, inflaters->cluster_bytes);
    return inflater;
}

struct qcow2_inflater *qcow2_inflater_take(struct qcow2_inflaters *inflaters, uint64_t entry)
{
    pthread_mutex_lock(&inflaters->lock);
    while (inflaters->idle == NULL && inflaters->made >= inflaters->most)
        pthread_cond_wait(&inflaters->given, &inflaters->lock);
    struct qcow2_inflater **link = &inflaters->idle;
    while (*link != NULL && (*link)->held != entry)
        link = &(*link)->next;
    if (*link == NULL)
        link = &inflaters->idle;
    struct qcow2_inflater *inflater = *link;
    if (inflater != NULL)
        *link = inflater->next;
    else
        inflaters->made++;
    pthread_mutex_unlock(&inflaters->lock);
    return inflater != NULL ? inflater : inflater_new(inflaters);
}

void qcow2_inflater_give(struct qcow2_inflaters *inflaters, struct qcow2_inflater *inflater)
{
    pthread_mutex_lock(&inflaters->lock);
    inflater->next = inflaters->idle;
    inflaters->idle = inflater;
    pthread_cond_signal(&inflaters->given);
    pthread_mutex_unlock(&inflaters->lock);
}

bool qcow2_inflate(const struct qcow2_inflaters *inflaters, struct qcow2_inflater *inflater,
                   size_t length, uint8_t *ret_cluster)
{
    size_t size = inflaters->cluster_bytes, used = 0, made = 0;
    const uint8_t *packed = inflater->packed;
    if (inflaters->zstd) {
        size_t frame = ZSTD_findFrameCompressedSize(packed, length);
        return !ZSTD_isError(frame) &&
               ZSTD_decompressDCtx(inflater->decoder, ret_cluster, size, packed, frame) == size;
    }
    return libdeflate_deflate_decompress_ex(inflater->decoder, packed, length, ret_cluster, size,
                                            &used, &made) == LIBDEFLATE_SUCCESS &&
           made == size;
}
