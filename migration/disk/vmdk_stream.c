/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/vmdk_stream.h"

#include <endian.h>
#include <inttypes.h>
#include <libdeflate.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "proto/fault.h"

#define SECTOR_BYTES 512u
#define MARKER_BYTES 12u
#define FLAG_MARKERS (1u << 17)
#define GRAIN_MOST (1u << 20)
#define OVERHEAD_MOST (64u << 20)
#define METADATA_MOST (1ull << 30) /* tables behind the grains */

enum { MARKER_END = 0, MARKER_TABLE = 1, MARKER_DIRECTORY = 2, MARKER_FOOTER = 3 };

struct disk_vmdk_stream {
    struct disk disk;
    struct disk_bytes bytes;
    struct disk *below; /* owned; NULL: not over a disk */
    uint64_t below_at;
    struct libdeflate_decompressor *decoder;
    uint32_t grain_bytes;
    uint64_t at;          /* guest bytes given */
    bool complete;        /* the disk's last grain came */
    bool ended;           /* the end-of-stream marker came */
    uint64_t grain_start; /* of the grain in hand */
    size_t grain_length;  /* 0: none in hand */
    size_t packed_most;
    uint8_t *packed;
    uint8_t *grain;
};

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

static bool pull(struct disk_vmdk_stream *stream, void *ret_data, size_t length, struct error *err)
{
    return stream->bytes.read(stream->bytes.context, ret_data, length, err);
}

static bool skip(struct disk_vmdk_stream *stream, uint64_t length, struct error *err)
{
    while (length > 0) {
        size_t step = length < stream->packed_most ? (size_t)length : stream->packed_most;
        if (!pull(stream, stream->packed, step, err))
            return false;
        length -= step;
    }
    return true;
}

static bool damaged(struct error *err, const char *what, uint64_t number)
{
    return error_set(err, &FAULT_DISK_INVALID, "vmdk stream: %s (%" PRIu64 ")", what, number);
}

/* The grain whose marker stands in packed[0..511]. */
static bool take_grain(struct disk_vmdk_stream *stream, uint64_t sector, uint32_t length,
                       struct error *err)
{
    uint64_t start = sector * SECTOR_BYTES;
    if (sector > DISK_SIZE_MOST / SECTOR_BYTES || start % stream->grain_bytes != 0 ||
        start < stream->at || start >= stream->disk.size_bytes ||
        (stream->grain_length > 0 && start <= stream->grain_start))
        return damaged(err, "a grain out of order", sector);
    size_t whole = ((size_t)MARKER_BYTES + length + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
    if (whole > stream->packed_most)
        return damaged(err, "an absurd grain", length);
    if (whole > SECTOR_BYTES &&
        !pull(stream, stream->packed + SECTOR_BYTES, whole - SECTOR_BYTES, err))
        return false;
    uint64_t rest = stream->disk.size_bytes - start;
    size_t wanted = rest < stream->grain_bytes ? (size_t)rest : stream->grain_bytes, got = 0;
    if (libdeflate_zlib_decompress(stream->decoder, stream->packed + MARKER_BYTES, length,
                                   stream->grain, stream->grain_bytes,
                                   &got) != LIBDEFLATE_SUCCESS ||
        got < wanted)
        return damaged(err, "a damaged grain", sector);
    stream->grain_start = start;
    stream->grain_length = wanted;
    stream->complete = start + wanted == stream->disk.size_bytes;
    return true;
}

/* qemu writes no end-of-stream marker: a file that ends behind the disk's last grain lacks nothing, since
 * grains are in order. */
static bool pull_marker(struct disk_vmdk_stream *stream, struct error *err)
{
    struct error fault = {0};
    if (pull(stream, stream->packed, SECTOR_BYTES, &fault))
        return true;
    if (stream->complete && fault.fault == &FAULT_DISK_INVALID) {
        memset(stream->packed, 0, SECTOR_BYTES);
        return true;
    }
    *err = fault;
    return false;
}

/* Goes on until a grain is in hand or the stream ends. */
static bool next_grain(struct disk_vmdk_stream *stream, struct error *err)
{
    uint64_t metadata = 0;
    stream->grain_length = 0;
    while (!stream->ended && stream->grain_length == 0) {
        if (!pull_marker(stream, err))
            return false;
        uint64_t value = get64(stream->packed);
        uint32_t length = get32(stream->packed + 8), type = get32(stream->packed + MARKER_BYTES);
        if (length > 0) {
            if (!take_grain(stream, value, length, err))
                return false;
        } else if (type == MARKER_END) {
            stream->ended = true;
        } else if (type > MARKER_FOOTER || value > METADATA_MOST / SECTOR_BYTES ||
                   (metadata += value * SECTOR_BYTES) > METADATA_MOST) {
            return damaged(err, "an unknown marker", type);
        } else if (!skip(stream, value * SECTOR_BYTES, err)) {
            return false;
        }
    }
    return true;
}

static bool stream_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                        struct error *err)
{
    struct disk_vmdk_stream *stream = (struct disk_vmdk_stream *)disk;
    uint8_t *to = ret_data;
    if (offset != stream->at)
        return error_set(err, &FAULT_INVALID, "vmdk stream: %" PRIu64 " after %" PRIu64, offset,
                         stream->at);
    while (length > 0) {
        if (stream->grain_length == 0 && !stream->ended && !next_grain(stream, err))
            return false;
        uint64_t data = stream->grain_length > 0 ? stream->grain_start : disk->size_bytes;
        uint64_t zeroes = data > stream->at ? data - stream->at : 0;
        size_t step;
        if (zeroes > 0) {
            step = zeroes < length ? (size_t)zeroes : length;
            memset(to, 0, step);
        } else {
            size_t inside = (size_t)(stream->at - stream->grain_start);
            step = stream->grain_length - inside < length ? stream->grain_length - inside : length;
            memcpy(to, stream->grain + inside, step);
            if (inside + step == stream->grain_length)
                stream->grain_length = 0;
        }
        to += step;
        stream->at += step;
        length -= step;
    }
    /* A stream that breaks behind its last grain is still a broken one. */
    while (stream->at == disk->size_bytes && !stream->ended) {
        if (!next_grain(stream, err))
            return false;
    }
    return true;
}

static void stream_close(struct disk *disk)
{
    struct disk_vmdk_stream *stream = (struct disk_vmdk_stream *)disk;
    disk_close(stream->below);
    libdeflate_free_decompressor(stream->decoder);
    free(stream->packed);
    free(stream->grain);
    disk_fini(disk);
    free(stream);
}

static void stream_interrupt(struct disk *disk)
{
    struct disk_vmdk_stream *stream = (struct disk_vmdk_stream *)disk;
    if (stream->bytes.interrupt != NULL)
        stream->bytes.interrupt(stream->bytes.context);
}

static char *stream_identify(struct disk *disk)
{
    struct disk_vmdk_stream *stream = (struct disk_vmdk_stream *)disk;
    return stream->below != NULL ? disk_identify(stream->below) : NULL;
}

static const struct disk_ops stream_ops = {
    .name = "vmdk stream",
    .read = stream_read,
    .close = stream_close,
    .identify = stream_identify,
    .interrupt = stream_interrupt,
};

static bool header_read(struct disk_vmdk_stream *stream, struct error *err)
{
    uint8_t header[SECTOR_BYTES];
    if (!pull(stream, header, sizeof(header), err))
        return false;
    uint64_t capacity = get64(header + 12), grain = get64(header + 20),
             overhead = get64(header + 64);
    if (memcmp(header, "KDMV", 4) != 0)
        return damaged(err, "not a VMDK", get32(header));
    if (header[77] != 1 || header[78] != 0 || (get32(header + 8) & FLAG_MARKERS) == 0)
        return error_set(err, &FAULT_DISK_UNSUPPORTED,
                         "a VMDK that is not streamOptimized cannot be read as a stream");
    if (capacity == 0 || capacity > DISK_SIZE_MOST / SECTOR_BYTES)
        return damaged(err, "absurd capacity", capacity);
    if (grain == 0 || (grain & (grain - 1)) != 0 || grain > GRAIN_MOST / SECTOR_BYTES)
        return damaged(err, "absurd grain", grain);
    if (overhead == 0 || overhead > OVERHEAD_MOST / SECTOR_BYTES)
        return damaged(err, "absurd overhead", overhead);
    stream->disk.size_bytes = capacity * SECTOR_BYTES;
    stream->grain_bytes = (uint32_t)(grain * SECTOR_BYTES);
    stream->packed_most = (size_t)stream->grain_bytes + stream->grain_bytes / 8 + 2048;
    stream->packed = xcalloc(1, stream->packed_most);
    stream->grain = xcalloc(1, stream->grain_bytes);
    return skip(stream, (overhead - 1) * SECTOR_BYTES, err);
}

static struct disk_vmdk_stream *stream_new(void)
{
    struct disk_vmdk_stream *stream = xcalloc(1, sizeof(*stream));
    stream->decoder = libdeflate_alloc_decompressor();
    if (stream->decoder == NULL)
        abort();
    disk_init(&stream->disk, &stream_ops, xstrdup("vmdk stream"), NULL, 0, DISK_SEQUENTIAL, 1);
    return stream;
}

static bool stream_begin(struct disk_vmdk_stream *stream, struct disk **ret_disk, struct error *err)
{
    if (!header_read(stream, err)) {
        stream_close(&stream->disk);
        return false;
    }
    *ret_disk = &stream->disk;
    return true;
}

bool disk_vmdk_stream_open(struct disk_bytes bytes, struct disk **ret_disk, struct error *err)
{
    struct disk_vmdk_stream *stream = stream_new();
    stream->bytes = bytes;
    return stream_begin(stream, ret_disk, err);
}

static bool read_below(void *context, void *ret_data, size_t length, struct error *err)
{
    struct disk_vmdk_stream *stream = context;
    if (length > disk_size_bytes(stream->below) - stream->below_at)
        return damaged(err, "truncated", stream->below_at);
    stream->below_at += length;
    return disk_read(stream->below, ret_data, length, stream->below_at - length, err);
}

static void interrupt_below(void *context)
{
    disk_interrupt(((struct disk_vmdk_stream *)context)->below);
}

bool disk_vmdk_stream_open_over(struct disk *bytes, struct disk **ret_disk, struct error *err)
{
    struct disk_vmdk_stream *stream = stream_new();
    stream->below = bytes;
    stream->disk.held_bytes = disk_held_bytes(bytes);
    stream->disk.identity = xstrdup(disk_identity(bytes));
    stream->bytes = (struct disk_bytes){read_below, stream, interrupt_below};
    return stream_begin(stream, ret_disk, err);
}
