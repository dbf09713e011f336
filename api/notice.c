/* SPDX-License-Identifier: Apache-2.0 */
#include "api/notice.h"

#include <pthread.h>

#include "common/base/log.h"
#include "proto/codec.h"
#include "proto/topology.h"

#define WAKES_MOST 256 /* more are dropped: the first of them wakes the scheduler anyway */
#define TURN_MS 1000

struct wake {
    enum owner_kind kind;
    struct uuid id;
};

struct notice {
    struct bus *bus;
    struct bus_queue changes;
    struct stream_hub *streams;
    struct health *health;
    struct arena *arena;
    pthread_t thread;
    pthread_mutex_t mutex;
    struct wake wakes[WAKES_MOST];
    size_t wake_count;
    bool ending;
};

static bool wake_take(struct notice *notice, struct wake *ret_wake, bool *ret_ending)
{
    pthread_mutex_lock(&notice->mutex);
    bool some = notice->wake_count > 0;
    if (some)
        *ret_wake = notice->wakes[--notice->wake_count];
    *ret_ending = notice->ending;
    pthread_mutex_unlock(&notice->mutex);
    return some;
}

static void wake_publish(struct notice *notice, const struct wake *wake)
{
    struct error err = {0};
    Guts__V1__Wake message = GUTS__V1__WAKE__INIT;
    CLEANUP(buffer_fini) struct buffer body = {0};
    message.owner_kind = (Guts__V1__OwnerKind)wake->kind;
    message.owner_id = codec_uuid_to(&wake->id);
    codec_pack(&message.base, &body);
    struct bus_publication publication = {.exchange = TOPOLOGY_EXCHANGE,
                                          .routing_key = TOPOLOGY_SCHEDULER,
                                          .type = MESSAGE_WAKE,
                                          .body = body.data,
                                          .length = body.length,
                                          .expires_ms = 60000};
    if (!bus_publish(notice->bus, &publication, &err))
        log_debug("wake_dropped", "%s",
                  err.text); /* the wish is due in the database all the same */
}

static void message_take(struct notice *notice, const struct bus_message *message)
{
    struct error err = {0};
    if (message->type != MESSAGE_CHANGE) {
        error_set(&err, &FAULT_UNSUPPORTED, "not a message for an api");
        bus_reject(notice->bus, message, &err);
        return;
    }
    ProtobufCMessage *unpacked = codec_unpack_bus(message, notice->arena, &err);
    if (unpacked == NULL) {
        bus_reject(notice->bus, message, &err);
    } else {
        stream_hub_change(notice->streams, ((Guts__V1__Change *)unpacked)->event);
        bus_ack(notice->bus, message->tag);
    }
    arena_reset(notice->arena);
}

static void health_tell(struct notice *notice)
{
    struct bus_stats stats;
    bus_stats(notice->bus, &stats);
    const char *wanting = stats.blocked       ? "the broker is short of memory or disk"
                          : !stats.publishing ? "not connected for publishing"
                          : !stats.consuming  ? "not connected for consuming"
                                              : NULL;
    health_set(notice->health, "broker", wanting);
    stream_hub_listening(notice->streams, stats.consuming);
}

static void *notice_run(void *context)
{
    struct notice *notice = context;
    struct bus_message message;
    struct wake wake;
    bool ending = false;
    bus_consume(notice->bus, &notice->changes);
    while (!ending) {
        while (wake_take(notice, &wake, &ending))
            wake_publish(notice, &wake);
        if (bus_next(notice->bus, TURN_MS, -1, &message))
            message_take(notice, &message);
        health_tell(notice);
    }
    return NULL;
}

struct notice *notice_new(const struct bus_settings *settings, struct stream_hub *streams,
                          struct health *health)
{
    struct notice *notice = xcalloc(1, sizeof(*notice));
    notice->bus = bus_open(settings, "guts-api");
    notice->changes = topology_changes();
    notice->streams = streams;
    notice->health = health;
    notice->arena = arena_new();
    pthread_mutex_init(&notice->mutex, NULL);
    if (pthread_create(&notice->thread, NULL, notice_run, notice) != 0)
        abort(); /* at the start, before anything depends on us */
    return notice;
}

void notice_free(struct notice *notice)
{
    if (notice == NULL)
        return;
    pthread_mutex_lock(&notice->mutex);
    notice->ending = true;
    pthread_mutex_unlock(&notice->mutex);
    bus_wake(notice->bus);
    pthread_join(notice->thread, NULL);
    bus_close(notice->bus);
    pthread_mutex_destroy(&notice->mutex);
    arena_free(notice->arena);
    free(notice);
}

void notice_wake(struct notice *notice, enum owner_kind kind, const struct uuid *id)
{
    pthread_mutex_lock(&notice->mutex);
    if (notice->wake_count < WAKES_MOST)
        notice->wakes[notice->wake_count++] = (struct wake){kind, *id};
    pthread_mutex_unlock(&notice->mutex);
    bus_wake(notice->bus);
}
