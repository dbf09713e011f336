/* SPDX-License-Identifier: Apache-2.0
 *
 * Compressed grains: a marker (address, length) and a zlib stream each, read through a window, so that
 * grains that lie behind each other cost one read, and inflated by libdeflate.
 */
#include <endian.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/vmdk_inner.h"
#include "proto/fault.h"

#define MARKER_BYTES 12u
#define WINDOW_BYTES (256u << 10)

void vmdk_inflaters_init(struct vmdk_inflaters *inflaters)
{
    inflaters->idle = NULL;
    inflaters->made = 0;
    pthread_mutex_init(&inflaters->lock, NULL);
    pthread_cond_init(&inflaters->given, NULL);
}

static void inflater_free(struct vmdk_inflater *inflater)
{
    libdeflate_free_decompressor(inflater->decoder);
    free(inflater->window);
    free(inflater->grain);
    free(inflater);
}

void vmdk_inflaters_fini(struct vmdk_inflaters *inflaters)
{
    while (inflaters->idle != NULL) {
        struct vmdk_inflater *next = inflaters->idle->next;
        inflater_free(inflaters->idle);
        inflaters->idle = next;
    }
    pthread_cond_destroy(&inflaters->given);
    pthread_mutex_destroy(&inflaters->lock);
}

/* The most that a grain may take when compressed, marker included; more is a lie. */
static size_t compressed_most(uint32_t grain_bytes)
{
    return MARKER_BYTES + (size_t)grain_bytes + grain_bytes / 8 + 1024;
}

static size_t window_bytes(uint32_t grain_bytes)
{
    size_t most = compressed_most(grain_bytes);
    return most > WINDOW_BYTES ? most : WINDOW_BYTES;
}

static uint64_t bytes_each(uint32_t grain_bytes)
{
    return window_bytes(grain_bytes) + (uint64_t)grain_bytes;
}

uint64_t vmdk_inflaters_bytes(uint32_t grain_bytes)
{
    return bytes_each(grain_bytes) * disk_decoders(bytes_each(grain_bytes));
}

struct vmdk_inflater *vmdk_inflater_take(struct vmdk_inflaters *inflaters, uint32_t grain_bytes)
{
    unsigned most = disk_decoders(bytes_each(grain_bytes));
    pthread_mutex_lock(&inflaters->lock);
    while (inflaters->idle == NULL && inflaters->made >= most)
        pthread_cond_wait(&inflaters->given, &inflaters->lock);
    struct vmdk_inflater *inflater = inflaters->idle;
    if (inflater != NULL)
        inflaters->idle = inflater->next;
    else
        inflaters->made++;
    pthread_mutex_unlock(&inflaters->lock);
    if (inflater == NULL) {
        inflater = xcalloc(1, sizeof(*inflater));
        inflater->decoder = libdeflate_alloc_decompressor();
        if (inflater->decoder == NULL)
            abort();
    }
    inflater->window_length = 0;
    if (inflater->grain_capacity < grain_bytes) {
        inflater->window_capacity = window_bytes(grain_bytes);
        inflater->window = xreallocarray(inflater->window, inflater->window_capacity, 1);
        inflater->grain = xreallocarray(inflater->grain, grain_bytes, 1);
        inflater->grain_capacity = grain_bytes;
    }
    return inflater;
}

void vmdk_inflater_give(struct vmdk_inflaters *inflaters, struct vmdk_inflater *inflater)
{
    pthread_mutex_lock(&inflaters->lock);
    inflater->next = inflaters->idle;
    inflaters->idle = inflater;
    pthread_cond_signal(&inflaters->given);
    pthread_mutex_unlock(&inflaters->lock);
}

/* Makes [offset, offset + length) of the file stand in the window; `ahead` may be read with it. */
static bool window_fill(struct vmdk_inflater *inflater, const struct vmdk_file *file,
                        uint64_t offset, size_t length, uint64_t ahead, struct error *err)
{
    if (inflater->window_length > 0 && inflater->file == file &&
        offset >= inflater->window_offset &&
        offset - inflater->window_offset <= inflater->window_length &&
        length <= inflater->window_length - (offset - inflater->window_offset))
        return true;
    if (offset > file->size_bytes || length > file->size_bytes - offset ||
        length > inflater->window_capacity)
        return error_set(err, &FAULT_DISK_INVALID,
                         "\"%s\": truncated: a grain ends behind the file", file->name);
    uint64_t want = ahead > length ? ahead : length;
    if (want > inflater->window_capacity)
        want = inflater->window_capacity;
    if (want > file->size_bytes - offset)
        want = file->size_bytes - offset;
    inflater->window_length = 0;
    if (!vmdk_file_read(file, inflater->window, (size_t)want, offset, err))
        return false;
    inflater->file = file;
    inflater->window_offset = offset;
    inflater->window_length = (size_t)want;
    return true;
}

/* The zlib stream of the grain, in the window. */
static bool find_stream(struct vmdk_inflater *inflater, const struct vmdk_file *file,
                        const struct vmdk_sparse *sparse, const struct vmdk_grain *grain,
                        const uint8_t **ret_data, size_t *ret_length, struct error *err)
{
    size_t most = compressed_most(sparse->grain_bytes);
    uint64_t rest = file->size_bytes - grain->offset; /* looked up: inside the file */
    uint64_t ahead = grain->ahead > 0 ? grain->ahead : most / 2;
    if (!sparse->markers) { /* its length is not told: the stream itself ends it */
        *ret_length = rest < most ? (size_t)rest : most;
        if (!window_fill(inflater, file, grain->offset, *ret_length, ahead, err))
            return false;
        *ret_data = inflater->window + (grain->offset - inflater->window_offset);
        return true;
    }
    if (!window_fill(inflater, file, grain->offset, MARKER_BYTES, ahead, err))
        return false;
    const uint8_t *marker = inflater->window + (grain->offset - inflater->window_offset);
    uint64_t sector;
    uint32_t length;
    memcpy(&sector, marker, sizeof(sector));
    memcpy(&length, marker + 8, sizeof(length));
    length = le32toh(length);
    if (le64toh(sector) != grain->grain_start / VMDK_SECTOR_BYTES || length == 0 ||
        length > most - MARKER_BYTES)
        return error_set(err, &FAULT_DISK_INVALID,
                         "\"%s\": the marker of the grain at %" PRIu64 " is damaged", file->name,
                         grain->grain_start);
    if (!window_fill(inflater, file, grain->offset, MARKER_BYTES + length, ahead, err))
        return false;
    *ret_data = inflater->window + (grain->offset - inflater->window_offset) + MARKER_BYTES;
    *ret_length = length;
    return true;
}

/* Hands the stream on, without its header of 2 bytes and its checksum of 4, which was looked at. */
static void give_pack(const struct vmdk_grain *grain, const uint8_t *stream, size_t used)
{
    size_t length = used > 6 ? used - 6 : 0;
    if (length < DISK_PACK_BYTES)
        memcpy(grain->pack, stream + 2, length);
    *grain->pack_length = length < DISK_PACK_BYTES ? (uint32_t)length : DISK_PACK_BYTES;
}

bool vmdk_inflate(struct vmdk_inflater *inflater, const struct vmdk_file *file,
                  const struct vmdk_sparse *sparse, const struct vmdk_grain *grain,
                  uint8_t *ret_data, struct error *err)
{
    const uint8_t *stream = NULL;
    size_t stream_length = 0, used = 0, length = 0;
    if (!find_stream(inflater, file, sparse, grain, &stream, &stream_length, err))
        return false;
    bool direct = grain->at == 0 && grain->length == sparse->grain_bytes;
    uint8_t *to = direct ? ret_data : inflater->grain;
    enum libdeflate_result result = libdeflate_zlib_decompress_ex(
        inflater->decoder, stream, stream_length, to, sparse->grain_bytes, &used, &length);
    if (result != LIBDEFLATE_SUCCESS || length < grain->at + grain->length)
        return error_set(err, &FAULT_DISK_INVALID,
                         "\"%s\": the compressed grain at %" PRIu64 " is damaged", file->name,
                         grain->grain_start);
    if (grain->pack != NULL && length == DISK_PACK_BYTES && direct)
        give_pack(grain, stream, used);
    if (!direct)
        memcpy(ret_data, to + grain->at, grain->length);
    return true;
}
