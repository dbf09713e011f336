/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/stream.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"

#define ZERO_BYTES (256u << 10)
static const uint8_t zeroes[ZERO_BYTES];

struct disk_raw_stream {
    struct disk disk;
    struct disk_sink sink;
    uint64_t at;
};

void disk_sink_interrupt(const struct disk_sink *sink)
{
    if (sink->interrupt != NULL)
        sink->interrupt(sink->context);
}

static bool order_check(const struct disk_raw_stream *stream, uint64_t offset, struct error *err)
{
    if (offset == stream->at)
        return true;
    return error_set(err, &FAULT_INVALID, "%s: %" PRIu64 " after %" PRIu64,
                     stream->disk.description, offset, stream->at);
}

static bool stream_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                        struct error *err)
{
    return error_set(err, &FAULT_UNSUPPORTED, "%s: cannot be read", disk->description);
}

static bool stream_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                         struct error *err)
{
    struct disk_raw_stream *stream = (struct disk_raw_stream *)disk;
    if (!order_check(stream, offset, err) ||
        !stream->sink.write(stream->sink.context, data, length, err))
        return false;
    stream->at += length;
    return true;
}

static bool stream_zero(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    while (length > 0) {
        size_t step = length < ZERO_BYTES ? (size_t)length : ZERO_BYTES;
        if (!stream_write(disk, zeroes, step, offset, err))
            return false;
        offset += step;
        length -= step;
    }
    return true;
}

static bool stream_finish(struct disk *disk, struct error *err)
{
    const struct disk_raw_stream *stream = (const struct disk_raw_stream *)disk;
    return stream->at == disk->size_bytes ||
           error_set(err, &FAULT_INVALID, "%s: ends at %" PRIu64 " of %" PRIu64, disk->description,
                     stream->at, disk->size_bytes);
}

static void stream_interrupt(struct disk *disk)
{
    disk_sink_interrupt(&((struct disk_raw_stream *)disk)->sink);
}

static void stream_close(struct disk *disk)
{
    disk_fini(disk);
    free(disk);
}

static const struct disk_ops stream_ops = {
    .name = "raw stream",
    .read = stream_read,
    .close = stream_close,
    .write = stream_write,
    .zero = stream_zero,
    .finish = stream_finish,
    .interrupt = stream_interrupt,
};

struct disk *disk_raw_stream_new(uint64_t size_bytes, struct disk_sink sink)
{
    struct disk_raw_stream *stream = xcalloc(1, sizeof(*stream));
    stream->sink = sink;
    disk_init(&stream->disk, &stream_ops, xstrdup("raw stream"), NULL, size_bytes, DISK_SEQUENTIAL,
              4);
    stream->disk.held_bytes = sink.held_bytes;
    return &stream->disk;
}

/* -- digest --------------------------------------------------------------------------------------- */

struct disk_sink_digest {
    struct disk_sink inner;
    EVP_MD_CTX *context;
};

static bool digest_write(void *context, const void *data, size_t length, struct error *err)
{
    struct disk_sink_digest *digest = context;
    if (EVP_DigestUpdate(digest->context, data, length) != 1)
        return error_set(err, &FAULT_INTERNAL, "SHA-512 failed");
    return digest->inner.write(digest->inner.context, data, length, err);
}

static void digest_interrupt(void *context)
{
    disk_sink_interrupt(&((struct disk_sink_digest *)context)->inner);
}

struct disk_sink_digest *disk_sink_digest_new(struct disk_sink inner)
{
    struct disk_sink_digest *digest = xcalloc(1, sizeof(*digest));
    digest->inner = inner;
    digest->context = EVP_MD_CTX_new();
    if (digest->context == NULL || EVP_DigestInit_ex(digest->context, EVP_sha512(), NULL) != 1)
        abort();
    return digest;
}

struct disk_sink disk_sink_digest_sink(struct disk_sink_digest *digest)
{
    return (struct disk_sink){digest_write, digest, digest_interrupt, digest->inner.held_bytes};
}

void disk_sink_digest_text(struct disk_sink_digest *digest,
                           char ret_text[DISK_SINK_DIGEST_TEXT_SIZE])
{
    uint8_t bytes[64] = {0};
    unsigned length = 0;
    if (EVP_DigestFinal_ex(digest->context, bytes, &length) != 1 || length != sizeof(bytes))
        abort();
    for (unsigned i = 0; i < sizeof(bytes); i++)
        snprintf(ret_text + (size_t)i * 2, 3, "%02x", bytes[i]);
}

void disk_sink_digest_free(struct disk_sink_digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}
