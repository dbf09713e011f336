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
/* A chunk's grains, compressed; what does not fit is inflated at once. */
#define GATHER_BYTES (1280u << 10)

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
    uint64_t next_start;  /* of the grain whose marker stands in packed[0..511], */
    uint32_t next_length; /* compressed; 0: there is none */
    uint64_t grain_start; /* of the grain in hand */
    size_t grain_length;  /* 0: none in hand */
    uint64_t grain_end;   /* of the last one that came */
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

/* The marker of a grain, in packed[0..511]. */
static bool take_marker(struct disk_vmdk_stream *stream, uint64_t sector, uint32_t length,
                        struct error *err)
{
    uint64_t start = sector * SECTOR_BYTES;
    if (sector > DISK_SIZE_MOST / SECTOR_BYTES || start % stream->grain_bytes != 0 ||
        start < stream->at || start < stream->grain_end || start >= stream->disk.size_bytes)
        return damaged(err, "a grain out of order", sector);
    if ((size_t)MARKER_BYTES + length > stream->packed_most - SECTOR_BYTES)
        return damaged(err, "an absurd grain", length);
    stream->next_start = start;
    stream->next_length = length;
    return true;
}

static size_t packed_bytes(uint32_t length)
{
    return ((size_t)MARKER_BYTES + length + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;
}

/* The bytes of a grain that the disk has; its last one may be cut. */
static size_t wanted_bytes(const struct disk_vmdk_stream *stream, uint64_t start)
{
    uint64_t rest = stream->disk.size_bytes - start;
    return rest < stream->grain_bytes ? (size_t)rest : stream->grain_bytes;
}

/* The next grain with its marker, compressed, to where packed_bytes of room are. */
static bool pull_grain(struct disk_vmdk_stream *stream, uint8_t *ret_packed, struct error *err)
{
    size_t whole = packed_bytes(stream->next_length);
    if (ret_packed != stream->packed)
        memcpy(ret_packed, stream->packed, SECTOR_BYTES);
    if (whole > SECTOR_BYTES && !pull(stream, ret_packed + SECTOR_BYTES, whole - SECTOR_BYTES, err))
        return false;
    stream->grain_end = stream->next_start + wanted_bytes(stream, stream->next_start);
    stream->complete = stream->grain_end == stream->disk.size_bytes;
    stream->next_length = 0;
    return true;
}

/* Inflates to where a whole grain has room. */
static bool inflate(struct libdeflate_decompressor *decoder, const uint8_t *packed, uint32_t length,
                    uint8_t *ret_grain, size_t grain_bytes, size_t wanted, struct error *err)
{
    size_t got = 0;
    return (libdeflate_zlib_decompress(decoder, packed + MARKER_BYTES, length, ret_grain,
                                       grain_bytes, &got) == LIBDEFLATE_SUCCESS &&
            got >= wanted) ||
           damaged(err, "a damaged grain", get64(packed));
}

/* The next grain becomes the one in hand. */
static bool take_grain(struct disk_vmdk_stream *stream, struct error *err)
{
    uint64_t start = stream->next_start;
    uint32_t length = stream->next_length;
    if (!pull_grain(stream, stream->packed, err) ||
        !inflate(stream->decoder, stream->packed, length, stream->grain, stream->grain_bytes,
                 wanted_bytes(stream, start), err))
        return false;
    stream->grain_start = start;
    stream->grain_length = wanted_bytes(stream, start);
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

/* Goes on until a grain's marker is there or the stream ends. */
static bool next_marker(struct disk_vmdk_stream *stream, struct error *err)
{
    uint64_t metadata = 0;
    while (!stream->ended && stream->next_length == 0) {
        if (!pull_marker(stream, err))
            return false;
        uint64_t value = get64(stream->packed);
        uint32_t length = get32(stream->packed + 8), type = get32(stream->packed + MARKER_BYTES);
        if (length > 0) {
            if (!take_marker(stream, value, length, err))
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

/* A stream that breaks behind its last grain is still a broken one. */
static bool end_well(struct disk_vmdk_stream *stream, struct error *err)
{
    return stream->at < stream->disk.size_bytes || stream->ended || next_marker(stream, err);
}

static bool next_grain(struct disk_vmdk_stream *stream, struct error *err)
{
    return next_marker(stream, err) && (stream->ended || take_grain(stream, err));
}

static bool is_at(const struct disk_vmdk_stream *stream, uint64_t offset, struct error *err)
{
    return offset == stream->at ||
           error_set(err, &FAULT_INVALID, "vmdk stream: %" PRIu64 " after %" PRIu64, offset,
                     stream->at);
}

static bool stream_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                        struct error *err)
{
    struct disk_vmdk_stream *stream = (struct disk_vmdk_stream *)disk;
    uint8_t *to = ret_data;
    if (!is_at(stream, offset, err))
        return false;
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
    return end_well(stream, err);
}

/* -- in two halves: the grains of a range as they come, then inflated beside the stream ------------------ */

struct gathered {
    uint64_t start;
    uint32_t at; /* in bytes */
    uint32_t length;
};
/* At the beginning of the room that is lent. */
struct gathering {
    uint32_t count;
    uint32_t used;
    size_t length;
    bool zeroed; /* the data; some of it is there already */
    struct gathered grains[64];
    uint8_t bytes[];
};
_Static_assert(sizeof(struct gathering) < GATHER_BYTES / 2, "there is room for grains");

static bool gather_grain(struct disk_vmdk_stream *stream, struct gathering *all, uint8_t *ret_data,
                         uint64_t offset, struct error *err)
{
    uint64_t start = stream->next_start;
    uint32_t length = stream->next_length;
    size_t rest = GATHER_BYTES - sizeof(*all) - all->used;
    if (all->count == COUNT_OF(all->grains) || packed_bytes(length) > rest) {
        if (!take_grain(stream, err))
            return false;
        if (!all->zeroed)
            memset(ret_data, 0, all->length);
        all->zeroed = true;
        memcpy(ret_data + (start - offset), stream->grain, stream->grain_length);
        stream->grain_length = 0;
        return true;
    }
    all->grains[all->count++] = (struct gathered){start, all->used, length};
    all->used += (uint32_t)packed_bytes(length);
    return pull_grain(stream, all->bytes + all->used - packed_bytes(length), err);
}

static bool stream_gather(struct disk *disk, void *ret_data, void *ret_room, size_t length,
                          uint64_t offset, struct error *err)
{
    struct disk_vmdk_stream *stream = (struct disk_vmdk_stream *)disk;
    struct gathering *all = ret_room;
    uint64_t end = offset + length;
    *all = (struct gathering){.length = length};
    if (offset % stream->grain_bytes != 0 || stream->grain_length > 0 ||
        (length % stream->grain_bytes != 0 && end < disk->size_bytes)) {
        all->zeroed = true;
        return stream_read(disk, ret_data, length, offset, err);
    }
    if (!is_at(stream, offset, err))
        return false;
    for (;;) {
        if (!next_marker(stream, err))
            return false;
        if (stream->ended || stream->next_start >= end)
            break;
        if (!gather_grain(stream, all, ret_data, offset, err))
            return false;
    }
    stream->at = end;
    return end_well(stream, err);
}

/* The disk's last grain, if it is cut, has no room in the data: it goes through a buffer of its own. */
static bool inflate_one(const struct disk_vmdk_stream *stream,
                        struct libdeflate_decompressor *decoder, const uint8_t *packed,
                        const struct gathered *grain, uint8_t *ret_data, struct error *err)
{
    size_t wanted = wanted_bytes(stream, grain->start);
    if (wanted == stream->grain_bytes)
        return inflate(decoder, packed, grain->length, ret_data, wanted, wanted, err);
    uint8_t *whole = xcalloc(1, stream->grain_bytes);
    bool ok = inflate(decoder, packed, grain->length, whole, stream->grain_bytes, wanted, err);
    if (ok)
        memcpy(ret_data, whole, wanted);
    free(whole);
    return ok;
}

static bool stream_decode(struct disk *disk, void *ret_data, const void *room, uint64_t offset,
                          struct error *err)
{
    const struct disk_vmdk_stream *stream = (const struct disk_vmdk_stream *)disk;
    const struct gathering *all = room;
    struct libdeflate_decompressor *decoder = libdeflate_alloc_decompressor();
    bool ok = true;
    if (decoder == NULL)
        abort();
    if (!all->zeroed)
        memset(ret_data, 0, all->length);
    for (uint32_t i = 0; ok && i < all->count; i++)
        ok = inflate_one(stream, decoder, all->bytes + all->grains[i].at, &all->grains[i],
                         (uint8_t *)ret_data + (all->grains[i].start - offset), err);
    libdeflate_free_decompressor(decoder);
    return ok;
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
    .gather = stream_gather,
    .decode = stream_decode,
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
    stream->disk.held_bytes += stream->packed_most + stream->grain_bytes;
    return skip(stream, (overhead - 1) * SECTOR_BYTES, err);
}

static struct disk_vmdk_stream *stream_new(void)
{
    struct disk_vmdk_stream *stream = xcalloc(1, sizeof(*stream));
    stream->decoder = libdeflate_alloc_decompressor();
    if (stream->decoder == NULL)
        abort();
    disk_init(&stream->disk, &stream_ops, xstrdup("vmdk stream"), NULL, 0, DISK_SEQUENTIAL, 1);
    stream->disk.gather_bytes = GATHER_BYTES;
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
