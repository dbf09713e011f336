/* SPDX-License-Identifier: Apache-2.0
 *
 * One cluster compressed and inflated: zstd (a frame), deflate in a window of 12 bits (zlib, for libdeflate
 * has none) or deflate with distances as they come (libdeflate, four times as fast).
 */
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"

#define LEVEL 1
#define WINDOW_BITS 12
#define MEMORY_LEVEL 9 /* of 9: speed for 256 KiB */

struct qcow2_coder {
    enum disk_qcow2_compression compression;
    ZSTD_CCtx *zstd;
    z_stream zlib;
    bool zlib_open;
    struct libdeflate_compressor *deflate;
    struct libdeflate_decompressor *inflate;
};

struct qcow2_coder *qcow2_coder_new(enum disk_qcow2_compression compression)
{
    struct qcow2_coder *coder = xcalloc(1, sizeof(*coder));
    bool ok = true;
    coder->compression = compression;
    if (compression == DISK_QCOW2_ZSTD) {
        coder->zstd = ZSTD_createCCtx();
        ok = coder->zstd != NULL;
    } else if (compression == DISK_QCOW2_DEFLATE) {
        ok = deflateInit2(&coder->zlib, LEVEL, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL,
                          Z_DEFAULT_STRATEGY) == Z_OK;
        coder->zlib_open = ok;
    } else {
        coder->deflate = libdeflate_alloc_compressor(LEVEL);
        ok = coder->deflate != NULL;
    }
    if (!ok)
        abort(); /* memory */
    return coder;
}

void qcow2_coder_free(struct qcow2_coder *coder)
{
    if (coder == NULL)
        return;
    ZSTD_freeCCtx(coder->zstd);
    if (coder->zlib_open)
        deflateEnd(&coder->zlib);
    libdeflate_free_compressor(coder->deflate);
    libdeflate_free_decompressor(coder->inflate);
    free(coder);
}

static size_t encode_zlib(struct qcow2_coder *coder, const uint8_t *cluster, uint8_t *ret_packed,
                          size_t most)
{
    coder->zlib.next_in = (z_const Bytef *)cluster;
    coder->zlib.avail_in = QCOW2_CLUSTER_BYTES;
    coder->zlib.next_out = ret_packed;
    coder->zlib.avail_out = (uInt)most;
    int result = deflate(&coder->zlib, Z_FINISH);
    size_t packed = most - coder->zlib.avail_out;
    if (deflateReset(&coder->zlib) != Z_OK)
        abort();
    return result == Z_STREAM_END ? packed : 0;
}

size_t qcow2_encode(struct qcow2_coder *coder, const uint8_t *cluster, uint8_t *ret_packed,
                    size_t most)
{
    if (coder->compression == DISK_QCOW2_DEFLATE)
        return encode_zlib(coder, cluster, ret_packed, most);
    if (coder->compression == DISK_QCOW2_REPACK)
        return libdeflate_deflate_compress(coder->deflate, cluster, QCOW2_CLUSTER_BYTES, ret_packed,
                                           most);
    size_t packed =
        ZSTD_compressCCtx(coder->zstd, ret_packed, most, cluster, QCOW2_CLUSTER_BYTES, LEVEL);
    return ZSTD_isError(packed) ? 0 : packed;
}

static bool decode_zstd(const uint8_t *packed, size_t length, uint8_t *ret_cluster)
{
    size_t frame = ZSTD_findFrameCompressedSize(packed, length);
    return !ZSTD_isError(frame) &&
           ZSTD_decompress(ret_cluster, QCOW2_CLUSTER_BYTES, packed, frame) == QCOW2_CLUSTER_BYTES;
}

bool qcow2_decode(struct qcow2_coder *coder, const uint8_t *packed, size_t length,
                  uint8_t *ret_cluster)
{
    if (coder->compression == DISK_QCOW2_ZSTD)
        return decode_zstd(packed, length, ret_cluster);
    if (coder->inflate == NULL)
        coder->inflate = libdeflate_alloc_decompressor();
    if (coder->inflate == NULL)
        abort();
    size_t used = 0, got = 0;
    return libdeflate_deflate_decompress_ex(coder->inflate, packed, length, ret_cluster,
                                            QCOW2_CLUSTER_BYTES, &used,
                                            &got) == LIBDEFLATE_SUCCESS &&
           got == QCOW2_CLUSTER_BYTES;
}
