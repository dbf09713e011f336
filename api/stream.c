/* SPDX-License-Identifier: Apache-2.0
 *
 * Lock order: the hub, then what http_stream_wake locks. */
#include "api/stream.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "api/count.h"
#include "api/event.h"
#include "api/ring.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "proto/fault.h"

#define BACKLOG_EVENTS_MOST 1000
#define READ_EVENTS_MOST 1000
#define TURN_MS 1000
#define GATHER_MS 20             /* between two reads: many hints become one */
#define CHECK_MS 5000            /* a hint may be lost even while the broker is there */
#define BEAT_MS 15000            /* a comment, so that dead connections are noticed */
#define LIFE_MS (10 * 60 * 1000) /* then the reader comes again, and its token is looked at again */

struct stream_hub {
    struct store *store;
    struct arena *arena;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct ring ring;
    struct reader_link *readers;
    size_t reader_count, reader_most; /* count: also those that have not begun to read */
    uint64_t beat;
    bool hinted, listening, ending;
};

struct reader_link {
    struct stream_hub *hub;
    struct http_stream *stream;
    char *project; /* NULL: all */
    char *kind;
    struct uuid owner_id;
    uint64_t position; /* the last number that was looked at */
    struct buffer pending;
    size_t pending_at;
    bool ends; /* after what is pending: there is more, to be asked for again */
    bool linked;
    uint64_t beat, until_ms;
    struct reader_link *previous, *next;
};

/* -- readers ------------------------------------------------------------------------------------ */

/* The first reader after a silence begins the ring anew: nobody has read for it meanwhile. */
static void link_join(struct reader_link *link)
{
    struct stream_hub *hub = link->hub;
    if (hub->readers == NULL)
        ring_clear(&hub->ring, link->position);
    link->next = hub->readers;
    if (link->next != NULL)
        link->next->previous = link;
    hub->readers = link;
    link->linked = true;
    hub->hinted = true;
    pthread_cond_signal(&hub->changed);
}

static void link_leave(struct reader_link *link)
{
    if (!link->linked)
        return;
    if (link->next != NULL)
        link->next->previous = link->previous;
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        link->hub->readers = link->next;
}

static bool link_wants(const struct reader_link *link, const struct ring_event *event)
{
    return (link->project == NULL || strcmp(link->project, event->project) == 0) &&
           (uuid_is_nil(&link->owner_id) || uuid_equal(&link->owner_id, &event->owner_id)) &&
           event_kind_fits(link->kind, event->kind);
}

static int64_t link_take_pending(struct reader_link *link, char *into, size_t most)
{
    size_t length = link->pending.length - link->pending_at;
    if (length > most)
        length = most;
    memcpy(into, link->pending.data + link->pending_at, length);
    link->pending_at += length;
    if (link->pending_at == link->pending.length) {
        buffer_fini(&link->pending);
        link->pending_at = 0;
    }
    return (int64_t)length;
}

/* Whole frames from the ring; one that is larger than the room becomes pending. */
static int64_t link_take_ring(struct reader_link *link, char *into, size_t most)
{
    const struct ring *ring = &link->hub->ring;
    size_t taken = 0;
    for (size_t i = ring_find(ring, link->position); i < ring->count; i++) {
        const struct ring_event *event = ring_at(ring, i);
        if (link_wants(link, event)) {
            if (taken > 0 && taken + event->length > most)
                return (int64_t)taken;
            if (event->length > most) {
                buffer_append(&link->pending, event->frame, event->length);
                link->position = event->number;
                return link_take_pending(link, into, most);
            }
            memcpy(into + taken, event->frame, event->length);
            taken += event->length;
        }
        link->position = event->number;
    }
    if (taken == 0 && link->beat != link->hub->beat) {
        static const char comment[] = ":\n\n";
        memcpy(into, comment, sizeof(comment) - 1);
        taken = sizeof(comment) - 1;
    }
    link->beat = link->hub->beat;
    return (int64_t)taken;
}

static int64_t link_read(void *context, char *into, size_t most)
{
    struct reader_link *link = context;
    int64_t taken = -1;
    pthread_mutex_lock(&link->hub->mutex);
    if (!link->linked)
        link_join(link);
    if (link->pending.length > 0)
        taken = link_take_pending(link, into, most);
    else if (!link->ends && link->position >= link->hub->ring.after &&
             clock_mono_ms() < link->until_ms)
        taken = link_take_ring(link, into, most);
    pthread_mutex_unlock(&link->hub->mutex);
    return taken;
}

static void link_free(struct reader_link *link)
{
    buffer_fini(&link->pending);
    free(link->project);
    free(link->kind);
    free(link);
}

static void link_close(void *context)
{
    struct reader_link *link = context;
    pthread_mutex_lock(&link->hub->mutex);
    link_leave(link);
    link->hub->reader_count--;
    pthread_mutex_unlock(&link->hub->mutex);
    count_streams(-1);
    link_free(link);
}

static const struct http_stream_ops link_ops = {link_read, link_close};

/* Events do not stay for ever: a reader that was away for too long is told what it cannot get. */
static bool link_tell_missing(struct reader_link *link, struct call *call, uint64_t after,
                              struct error *err)
{
    uint64_t lowest;
    if (!event_view_lowest(call->store, &lowest, err))
        return false;
    if (lowest > after + 1)
        ring_frame_missing(after, lowest, &link->pending);
    return true;
}

/* What the reader has missed, from the store. The highest number is read first: whatever is
 * committed later stands in the ring. */
static bool link_fill(struct reader_link *link, struct call *call, const struct stream_wish *wish,
                      struct error *err)
{
    struct event_filter filter = {.project = call->scope, .owner_id = wish->owner_id};
    struct event_view *events = NULL;
    uint64_t highest = 0;
    size_t count = 0;
    if (!event_view_highest(call->store, &highest, err))
        return false;
    link->position = highest;
    if (wish->has_after && wish->after > highest)
        ring_frame_reset(highest, &link->pending); /* it read what the database has lost */
    if (!wish->has_after || wish->after >= highest)
        return true;
    if (!link_tell_missing(link, call, wish->after, err) ||
        !event_view_after(call->store, call->arena, &filter, wish->after, BACKLOG_EVENTS_MOST,
                          &events, &count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (event_kind_fits(wish->kind, events[i].kind))
            ring_frame(&events[i], &link->pending);
    link->ends = count == BACKLOG_EVENTS_MOST;
    if (count > 0 && (link->ends || events[count - 1].number > link->position))
        link->position = events[count - 1].number;
    return true;
}

/* A reader must know how far it has come, also where nothing that it wants was told yet: what
 * happens between this connection and its next one is told then. */
static void link_mark_end(struct reader_link *link)
{
    buffer_printf(&link->pending, "id: %llu\n\n", (unsigned long long)link->position);
}

static bool hub_admit(struct stream_hub *hub, struct error *err)
{
    pthread_mutex_lock(&hub->mutex);
    bool room = hub->reader_count < hub->reader_most;
    if (room)
        hub->reader_count++;
    pthread_mutex_unlock(&hub->mutex);
    return room ? true
                : error_set(err, &FAULT_UNAVAILABLE, "%zu readers follow the events already",
                            hub->reader_most);
}

static void hub_dismiss(struct stream_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    hub->reader_count--;
    pthread_mutex_unlock(&hub->mutex);
}

bool stream_serve(struct stream_hub *hub, struct call *call, const struct stream_wish *wish,
                  struct error *err)
{
    if (!hub_admit(hub, err))
        return false;
    struct reader_link *link = xcalloc(1, sizeof(*link));
    link->hub = hub;
    link->project = call->scope != NULL ? xstrdup(call->scope) : NULL;
    link->kind = wish->kind != NULL ? xstrdup(wish->kind) : NULL;
    link->owner_id = wish->owner_id;
    link->until_ms = clock_mono_ms() + LIFE_MS;
    buffer_append_text(&link->pending, "retry: 2000\n\n");
    if (!link_fill(link, call, wish, err)) {
        hub_dismiss(hub);
        link_free(link);
        return false;
    }
    link_mark_end(link);
    call->answer->status = 200;
    call->answer->content_type = "text/event-stream";
    call_header(call, "Cache-Control", "no-cache");
    call->answer->stream = &link_ops;
    call->answer->stream_context = link;
    call->answer->ret_stream = &link->stream;
    count_streams(1);
    return true;
}

/* -- the thread that reads ---------------------------------------------------------------------- */

static void hub_wake_readers(struct stream_hub *hub)
{
    for (struct reader_link *link = hub->readers; link != NULL; link = link->next)
        http_stream_wake(link->stream);
}

/* Called and returns with the mutex held; reads without it. True when there may be more. */
static bool hub_read_some(struct stream_hub *hub)
{
    const struct event_filter all = {0};
    struct event_view *events = NULL;
    struct error err = {0};
    size_t count = 0;
    uint64_t after = hub->ring.last;
    pthread_mutex_unlock(&hub->mutex);
    bool read = event_view_after(hub->store, hub->arena, &all, after, READ_EVENTS_MOST, &events,
                                 &count, &err);
    pthread_mutex_lock(&hub->mutex);
    if (!read)
        log_debug("events_unread", "%s", err.text); /* tried again in a second */
    if (hub->ring.last != after)
        count = 0; /* a reader began the ring anew meanwhile */
    for (size_t i = 0; read && i < count; i++)
        ring_add(&hub->ring, &events[i]);
    if (read && count > 0)
        hub_wake_readers(hub);
    arena_reset(hub->arena);
    return read && count == READ_EVENTS_MOST;
}

/* The database went back: what the readers saw last is of a past that never was. Each is told, and
 * comes again; what they are told is also the number behind which they begin. */
static void hub_reset(struct stream_hub *hub, uint64_t highest)
{
    log_warn("events_went_back", "event %llu was lost, the highest is %llu: readers begin anew",
             (unsigned long long)hub->ring.last, (unsigned long long)highest);
    ring_clear(&hub->ring, highest);
    for (struct reader_link *link = hub->readers; link != NULL; link = link->next) {
        if (link->ends)
            continue; /* it comes again anyway, and is told then */
        ring_frame_reset(highest, &link->pending);
        link->ends = true;
    }
    hub_wake_readers(hub);
}

/* Called and returns with the mutex held; reads without it. */
static void hub_check(struct stream_hub *hub)
{
    struct error err = {0};
    bool back = false;
    uint64_t last = hub->ring.last, last_at = hub->ring.last_at, highest = 0;
    pthread_mutex_unlock(&hub->mutex);
    if (!event_view_went_back(hub->store, last, last_at, &back, &highest, &err))
        log_debug("events_unread", "%s", err.text); /* looked at again in a few seconds */
    pthread_mutex_lock(&hub->mutex);
    if (back && hub->ring.last == last)
        hub_reset(hub, highest);
}

static void hub_wait(struct stream_hub *hub, uint64_t wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_cond_timedwait(&hub->changed, &hub->mutex, &until);
}

static void hub_beat(struct stream_hub *hub, uint64_t *beat_ms)
{
    if (clock_mono_ms() < *beat_ms + BEAT_MS)
        return;
    *beat_ms = clock_mono_ms();
    hub->beat++;
    hub_wake_readers(hub);
}

static void *hub_run(void *context)
{
    struct stream_hub *hub = context;
    uint64_t read_ms = 0, check_ms = 0, beat_ms = clock_mono_ms();
    pthread_mutex_lock(&hub->mutex);
    while (!hub->ending) {
        bool due = hub->hinted || !hub->listening || clock_mono_ms() >= read_ms + CHECK_MS;
        if (hub->readers != NULL && due) {
            hub->hinted = false;
            read_ms = clock_mono_ms();
            if (read_ms >= check_ms + CHECK_MS) {
                check_ms = read_ms;
                hub_check(hub);
            }
            while (hub_read_some(hub) && !hub->ending)
                continue;
            hub_wait(hub, GATHER_MS);
        }
        hub_beat(hub, &beat_ms);
        if (!hub->hinted || hub->readers == NULL)
            hub_wait(hub, TURN_MS);
    }
    pthread_mutex_unlock(&hub->mutex);
    return NULL;
}

struct stream_hub *stream_hub_new(const struct db_settings *settings, size_t readers_most)
{
    struct stream_hub *hub = xcalloc(1, sizeof(*hub));
    pthread_condattr_t attributes;
    hub->store = store_new(settings);
    hub->arena = arena_new();
    hub->reader_most = readers_most;
    ring_init(&hub->ring);
    pthread_mutex_init(&hub->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&hub->thread, NULL, hub_run, hub) != 0)
        abort(); /* at the start, before anything depends on us */
    return hub;
}

void stream_hub_free(struct stream_hub *hub)
{
    if (hub == NULL)
        return;
    pthread_mutex_lock(&hub->mutex);
    hub->ending = true;
    pthread_cond_signal(&hub->changed);
    pthread_mutex_unlock(&hub->mutex);
    pthread_join(hub->thread, NULL);
    ring_fini(&hub->ring);
    pthread_cond_destroy(&hub->changed);
    pthread_mutex_destroy(&hub->mutex);
    arena_free(hub->arena);
    store_free(hub->store);
    free(hub);
}

void stream_hub_change(struct stream_hub *hub, uint64_t number)
{
    pthread_mutex_lock(&hub->mutex);
    if (number > hub->ring.last) {
        hub->hinted = true;
        pthread_cond_signal(&hub->changed);
    }
    pthread_mutex_unlock(&hub->mutex);
}

void stream_hub_listening(struct stream_hub *hub, bool listening)
{
    pthread_mutex_lock(&hub->mutex);
    hub->listening = listening;
    pthread_mutex_unlock(&hub->mutex);
}
