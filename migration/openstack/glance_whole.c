/* SPDX-License-Identifier: Apache-2.0
 *
 * An image in a store without ranges: two downloads, each read upwards, with what lies between dropped. What
 * breaks is begun again: an active image never changes, so the same bytes come.
 */
#include <stdatomic.h>
#include <string.h>

#include "common/base/clock.h"
#include "migration/disk/disk_ops.h"
#include "migration/openstack/glance_inside.h"

#define STREAMS 2u
#define SKIP_BYTES (1u << 20)
#define BREAKS_MOST 5u /* of one disk */

struct stream {
    struct disk *from; /* NULL: not begun */
    uint64_t at;
    uint64_t used_at;
};
struct whole {
    struct disk disk;
    struct glance_way *way;
    atomic_bool interrupted;
    pthread_mutex_t swap; /* of the pointers, for who interrupts */
    pthread_mutex_t lock; /* of all below */
    uint64_t clock;
    unsigned breaks;
    struct stream streams[STREAMS];
    uint8_t *skipped;
};

/* -- one download --------------------------------------------------------------------------------------- */

static void stream_set(struct whole *whole, struct stream *stream, struct disk *from)
{
    pthread_mutex_lock(&whole->swap);
    struct disk *before = stream->from;
    stream->from = from;
    pthread_mutex_unlock(&whole->swap);
    stream->at = 0;
    disk_close(before);
}

static bool stream_begin(struct whole *whole, struct stream *stream, struct error *err)
{
    struct http_plan plan;
    struct disk *from = NULL;
    if (!glance_way_plan(whole->way, &plan, err))
        return false;
    if (!disk_http_open_once(&plan, &from, err)) {
        if (err->fault != &FAULT_DENIED)
            return false;
        glance_way_forget(whole->way);
        if (!glance_way_plan(whole->way, &plan, err) || !disk_http_open_once(&plan, &from, err))
            return false;
    }
    if (whole->disk.ops != NULL && disk_size_bytes(from) != whole->disk.size_bytes) {
        disk_close(from);
        return error_set(err, &FAULT_SOURCE_CHANGED, "%s: has another length now",
                         whole->disk.description);
    }
    stream_set(whole, stream, from);
    return true;
}

static bool stream_read(struct whole *whole, struct stream *stream, void *ret_data, size_t length,
                        uint64_t offset, struct error *err)
{
    while (stream->at < offset) {
        uint64_t left = offset - stream->at;
        size_t step = left < SKIP_BYTES ? (size_t)left : SKIP_BYTES;
        if (!disk_read(stream->from, whole->skipped, step, stream->at, err))
            return false;
        stream->at += step;
    }
    if (!disk_read(stream->from, ret_data, length, offset, err))
        return false;
    stream->at += length;
    return true;
}

/* The one that comes by soonest; else the one that was idle longest, begun anew. */
static struct stream *choose(struct whole *whole, uint64_t offset)
{
    struct stream *best = NULL, *oldest = &whole->streams[0];
    for (unsigned i = 0; i < STREAMS; i++) {
        struct stream *stream = &whole->streams[i];
        if (stream->from != NULL && stream->at <= offset && (best == NULL || stream->at > best->at))
            best = stream;
        if (stream->used_at < oldest->used_at)
            oldest = stream;
    }
    if (best == NULL) {
        best = oldest;
        stream_set(whole, best, NULL);
    }
    best->used_at = ++whole->clock;
    return best;
}

/* -- the disk ------------------------------------------------------------------------------------------- */

static bool is_hopeless(const struct error *err)
{
    return err->fault == &FAULT_CANCELLED || err->fault == &FAULT_FENCED ||
           err->fault == &FAULT_NOT_FOUND || err->fault == &FAULT_ADDRESS_NOT_ALLOWED;
}

static bool read_once(struct whole *whole, void *ret_data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct stream *stream = choose(whole, offset);
    if (stream->from == NULL && !stream_begin(whole, stream, err))
        return false;
    if (stream_read(whole, stream, ret_data, length, offset, err))
        return true;
    stream_set(whole, stream, NULL);
    return false;
}

static bool whole_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                       struct error *err)
{
    struct whole *whole = (struct whole *)disk;
    pthread_mutex_lock(&whole->lock);
    bool good, again = true;
    do {
        if (atomic_load(&whole->interrupted)) {
            good = error_set(err, &FAULT_CANCELLED, "%s: interrupted", disk->description);
            break;
        }
        good = read_once(whole, ret_data, length, offset, err);
        again = !good && !is_hopeless(err) && ++whole->breaks <= BREAKS_MOST &&
                !atomic_load(&whole->interrupted);
        if (again)
            clock_sleep_ms(clock_backoff_ms(whole->breaks, 200, 5000));
    } while (again);
    pthread_mutex_unlock(&whole->lock);
    return good;
}

static void whole_interrupt(struct disk *disk)
{
    struct whole *whole = (struct whole *)disk;
    atomic_store(&whole->interrupted, true);
    pthread_mutex_lock(&whole->swap);
    for (unsigned i = 0; i < STREAMS; i++) {
        if (whole->streams[i].from != NULL)
            disk_interrupt(whole->streams[i].from);
    }
    pthread_mutex_unlock(&whole->swap);
}

static void whole_free(struct whole *whole)
{
    for (unsigned i = 0; i < STREAMS; i++)
        disk_close(whole->streams[i].from);
    pthread_mutex_destroy(&whole->swap);
    pthread_mutex_destroy(&whole->lock);
    free(whole->skipped);
    free(whole);
}

static void whole_close(struct disk *disk)
{
    disk_fini(disk);
    whole_free((struct whole *)disk);
}

static const struct disk_ops ops = {
    .name = "glance download",
    .read = whole_read,
    .close = whole_close,
    .interrupt = whole_interrupt,
};

bool glance_whole_open(struct glance_way *way, struct disk **ret_disk, struct error *err)
{
    struct whole *whole = xcalloc(1, sizeof(*whole));
    whole->way = way;
    whole->skipped = xcalloc(1, SKIP_BYTES);
    pthread_mutex_init(&whole->swap, NULL);
    pthread_mutex_init(&whole->lock, NULL);
    if (!stream_begin(whole, &whole->streams[0], err)) {
        whole_free(whole);
        return false;
    }
    disk_init(&whole->disk, &ops, xstrdup(disk_describe(whole->streams[0].from)), NULL,
              disk_size_bytes(whole->streams[0].from), DISK_SEQUENTIAL, 1);
    whole->disk.held_bytes = STREAMS * disk_held_bytes(whole->streams[0].from) + SKIP_BYTES;
    *ret_disk = &whole->disk;
    return true;
}
