/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/gzip.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "proto/fault.h"

#define INPUT_BYTES (256u << 10)
#define WINDOW_BITS (15 + 16) /* zlib: the largest window, gzip's header and nothing else */
#define STEP_MOST (1u << 30)  /* zlib counts in 32 bits */

struct disk_gzip {
    struct disk disk;
    struct disk *file;
    z_stream stream;
    bool exact; /* the disk's size is what has to come out */
    bool ended; /* a member ended, and none has begun since */
    bool last;  /* nothing follows */
    uint64_t file_at;
    uint64_t at; /* bytes that came out */
    uint8_t input[INPUT_BYTES];
};

static bool damaged(const struct disk_gzip *gzip, const char *what, struct error *err)
{
    return error_set(err, &FAULT_DISK_INVALID, "%s: %s behind %" PRIu64 " bytes",
                     gzip->disk.description, what, gzip->at);
}

/* More of the file; at its end there is none. */
static bool fill(struct disk_gzip *gzip, struct error *err)
{
    uint64_t rest = disk_size_bytes(gzip->file) - gzip->file_at;
    size_t length = rest < INPUT_BYTES ? (size_t)rest : INPUT_BYTES;
    if (gzip->stream.avail_in > 0 || length == 0)
        return true;
    if (!disk_read(gzip->file, gzip->input, length, gzip->file_at, err))
        return false;
    gzip->file_at += length;
    gzip->stream.next_in = gzip->input;
    gzip->stream.avail_in = (uInt)length;
    return true;
}

/* Behind a member: another one, or zeroes up to the end. */
static bool begin_member(struct disk_gzip *gzip, struct error *err)
{
    bool padded = false;
    for (;;) {
        if (!fill(gzip, err))
            return false;
        gzip->last = gzip->stream.avail_in == 0;
        if (gzip->last || gzip->stream.next_in[0] != 0)
            break;
        padded = true;
        gzip->stream.next_in++;
        gzip->stream.avail_in--;
    }
    if (gzip->last)
        return true;
    if (padded || inflateReset(&gzip->stream) != Z_OK)
        return damaged(gzip, "something else follows", err);
    gzip->ended = false;
    return true;
}

/* Up to `length` bytes; none when all came out. */
static bool inflate_some(struct disk_gzip *gzip, uint8_t *to, size_t length, size_t *ret_got,
                         struct error *err)
{
    gzip->stream.next_out = to;
    gzip->stream.avail_out = (uInt)length;
    while (gzip->stream.avail_out == length && !gzip->last) {
        if (gzip->ended && !begin_member(gzip, err))
            return false;
        if (gzip->last)
            break;
        if (!fill(gzip, err))
            return false;
        if (gzip->stream.avail_in == 0)
            return damaged(gzip, "truncated", err);
        int result = inflate(&gzip->stream, Z_NO_FLUSH);
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return damaged(gzip, gzip->stream.msg != NULL ? gzip->stream.msg : "damaged", err);
        gzip->ended = result == Z_STREAM_END;
    }
    *ret_got = length - gzip->stream.avail_out;
    gzip->at += *ret_got;
    return true;
}

/* What has to end here ends here, its checksum included. */
static bool check_end(struct disk_gzip *gzip, struct error *err)
{
    uint8_t more;
    size_t got = 0;
    if (!inflate_some(gzip, &more, 1, &got, err))
        return false;
    return got == 0 || damaged(gzip, "more than the disk comes out", err);
}

static bool gzip_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct disk_gzip *gzip = (struct disk_gzip *)disk;
    uint8_t *to = ret_data;
    if (offset != gzip->at)
        return error_set(err, &FAULT_INVALID, "%s: %" PRIu64 " after %" PRIu64, disk->description,
                         offset, gzip->at);
    while (length > 0) {
        size_t step = length < STEP_MOST ? length : STEP_MOST, got = 0;
        if (!inflate_some(gzip, to, step, &got, err))
            return false;
        if (got == 0)
            return damaged(gzip, "truncated: it ends", err);
        to += got;
        length -= got;
    }
    return !gzip->exact || gzip->at < disk->size_bytes || check_end(gzip, err);
}

static char *gzip_identify(struct disk *disk)
{
    return disk_identify(((struct disk_gzip *)disk)->file);
}

static void gzip_interrupt(struct disk *disk)
{
    disk_interrupt(((struct disk_gzip *)disk)->file);
}

static void gzip_close(struct disk *disk)
{
    struct disk_gzip *gzip = (struct disk_gzip *)disk;
    inflateEnd(&gzip->stream);
    disk_close(gzip->file);
    disk_fini(disk);
    free(gzip);
}

static const struct disk_ops gzip_ops = {
    .name = "gzip",
    .read = gzip_read,
    .close = gzip_close,
    .identify = gzip_identify,
    .interrupt = gzip_interrupt,
};

bool disk_gzip_open(struct disk *file, uint64_t size_bytes, struct disk **ret_disk,
                    struct error *err)
{
    struct disk_gzip *gzip = xcalloc(1, sizeof(*gzip));
    gzip->file = file;
    gzip->exact = size_bytes > 0;
    if (inflateInit2(&gzip->stream, WINDOW_BITS) != Z_OK)
        abort();
    disk_init(&gzip->disk, &gzip_ops, xasprintf("gzip in %s", disk_describe(file)),
              xstrdup(disk_identity(file)), gzip->exact ? size_bytes : DISK_SIZE_MOST,
              DISK_SEQUENTIAL, 1);
    gzip->disk.held_bytes = sizeof(*gzip) + disk_held_bytes(file);
    if (size_bytes <= DISK_SIZE_MOST) {
        *ret_disk = &gzip->disk;
        return true;
    }
    gzip_close(&gzip->disk);
    return error_set(err, &FAULT_DISK_INVALID, "a disk of %" PRIu64 " bytes", size_bytes);
}

bool gzip_peek(const void *packed, size_t packed_length, void *ret_data, size_t length)
{
    z_stream stream = {.next_in = (Bytef *)packed, .avail_in = (uInt)packed_length};
    stream.next_out = ret_data;
    stream.avail_out = (uInt)length;
    if (inflateInit2(&stream, WINDOW_BITS) != Z_OK)
        abort();
    (void)inflate(&stream, Z_SYNC_FLUSH);
    inflateEnd(&stream);
    return stream.avail_out == 0;
}
