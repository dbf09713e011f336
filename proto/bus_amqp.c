/* SPDX-License-Identifier: Apache-2.0
 *
 * The bus over RabbitMQ: its loop, and what it consumes.
 */
#include "proto/bus_amqp.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "proto/fault.h"

#define CONSUME_CHANNEL_FIRST 2
#define CONSUME_CHANNEL_LAST 250
#define ACKS_UNSENT_MOST 64
#define CLOSE_MOST_MS 2000u
#define CONFIRM_TURN 32 /* messages given between two looks at the publishing connection */

/* -- tags: generation of the channel, channel, number of the delivery ----------------------------- */

static uint64_t tag_make(const struct consumer *consumer)
{
    return (uint64_t)consumer->generation << 48 | (uint64_t)consumer->channel << 40 |
           (consumer->delivery & ((1ull << 40) - 1));
}

uint64_t tag_number(uint64_t tag)
{
    return tag & ((1ull << 40) - 1);
}

struct consumer *tag_consumer(struct rabbit_bus *bus, uint64_t tag)
{
    for (struct consumer *consumer = bus->consumers; consumer; consumer = consumer->next)
        if (consumer->generation == tag >> 48 && consumer->channel == ((tag >> 40) & 0xff))
            return tag >> 48 ? consumer : NULL;
    return NULL;
}

static struct consumer *channel_consumer(struct rabbit_bus *bus, amqp_channel_t channel)
{
    for (struct consumer *consumer = bus->consumers; consumer; consumer = consumer->next)
        if (consumer->channel == channel)
            return consumer;
    return NULL;
}

/* -- the consuming connection --------------------------------------------------------------------- */

static void in_lost(struct rabbit_bus *bus)
{
    bus->orphans = false; /* all of them come again */
    for (struct consumer *consumer = bus->consumers; consumer; consumer = consumer->next)
        consumer_lost(consumer);
}

static void in_tend(struct rabbit_bus *bus)
{
    if (link_tend(&bus->in))
        bus->stats.connects++;
    for (struct consumer *c = bus->consumers; c && bus->in.connection; c = c->next)
        consumer_tend(c, &bus->in, &bus->generation);
    if (!bus->in.connection)
        in_lost(bus);
}

static void acks_flush(struct rabbit_bus *bus)
{
    for (struct consumer *c = bus->consumers; c && bus->in.connection; c = c->next)
        consumer_acks_flush(c, &bus->in);
}

static bool message_give(struct rabbit_bus *bus, struct consumer *consumer,
                         struct bus_message *ret_message)
{
    struct intake *intake = &consumer->intake;
    struct bus_message message = {
        .type = message_type_parse(intake->type),
        .queue = &consumer->queue,
        .body = intake->body.data ? intake->body.data : "",
        .length = intake->body.length,
        .tag = tag_make(consumer),
        .redelivered = consumer->redelivered,
        .correlation_id = intake->correlation_id,
    };
    struct error err = {0};

    if (!uuid_parse(intake->message_id, &message.message_id))
        message.message_id = (struct uuid){0};
    bus->stats.received++;
    *ret_message = message;
    if (!intake_is_too_long(intake))
        return true;
    error_set(&err, &FAULT_TOO_LARGE, "a body of %llu bytes, at most %u are taken",
              (unsigned long long)intake->body_bytes, BUS_MESSAGE_MOST_BYTES);
    bus_reject(&bus->bus, &message, &err);
    return false;
}

/* Reads frames until a message is whole or none is left. */
static bool in_pump(struct rabbit_bus *bus, struct bus_message *ret_message)
{
    amqp_frame_t frame;
    bool given = false, ignored = false;

    while (!given && link_read(&bus->in, &frame) > 0) {
        if (!link_handle(&bus->in, &frame, &ignored)) {
            struct consumer *consumer = channel_consumer(bus, frame.channel);
            if (consumer && consumer_handle(consumer, &bus->in, &frame, bus->settings->prefetch))
                given = message_give(bus, consumer, ret_message);
        }
        link_release(&bus->in, frame.channel);
    }
    if (!bus->in.connection) {
        in_lost(bus);
        return false;
    }
    return given;
}

/* Those that were given up, once their channel is closed: what they gave may be read until now. */
static void consumers_sweep(struct rabbit_bus *bus)
{
    struct consumer **at = &bus->consumers;

    while (*at) {
        struct consumer *consumer = *at;
        if (consumer->unwanted && consumer->state == CONSUMER_IDLE) {
            *at = consumer->next;
            consumer_free(consumer);
        } else {
            at = &consumer->next;
        }
    }
}

static amqp_channel_t channel_free(struct rabbit_bus *bus)
{
    for (amqp_channel_t channel = CONSUME_CHANNEL_FIRST; channel <= CONSUME_CHANNEL_LAST; channel++)
        if (!channel_consumer(bus, channel))
            return channel;
    return 0;
}

static void rabbit_unconsume(struct bus *base, const struct bus_queue *queue)
{
    struct rabbit_bus *bus = rabbit_of(base);

    for (struct consumer *consumer = bus->consumers; consumer; consumer = consumer->next)
        if (!consumer->unwanted && bus_queue_equal(&consumer->queue, queue))
            consumer_stop(consumer, &bus->in);
}

static void rabbit_consume(struct bus *base, const struct bus_queue *queue)
{
    struct rabbit_bus *bus = rabbit_of(base);
    struct consumer *consumer;
    amqp_channel_t channel = channel_free(bus);

    for (consumer = bus->consumers; consumer; consumer = consumer->next)
        if (!consumer->unwanted && bus_queue_equal(&consumer->queue, queue))
            return;
    if (channel == 0) {
        snprintf(bus->in.error, sizeof(bus->in.error), "too many queues are consumed");
        return;
    }
    consumer = consumer_new(queue, channel);
    consumer->next = bus->consumers;
    bus->consumers = consumer;
}

/* -- acknowledging and rejecting ------------------------------------------------------------------ */

void rabbit_ack(struct bus *base, uint64_t tag)
{
    struct rabbit_bus *bus = rabbit_of(base);
    struct consumer *consumer = tag_consumer(bus, tag);

    if (!consumer || !tags_ack(&consumer->tags, tag_number(tag)))
        return;
    if (consumer->tags.unsent >= ACKS_UNSENT_MOST && bus->in.connection)
        consumer_acks_flush(consumer, &bus->in);
}

static void rabbit_requeue(struct bus *base, uint64_t tag)
{
    struct rabbit_bus *bus = rabbit_of(base);
    struct consumer *consumer = tag_consumer(bus, tag);

    if (consumer && bus->in.connection)
        consumer_requeue(consumer, &bus->in, tag_number(tag));
}

/* Messages that could be neither rejected nor acknowledged come again over a new connection, once
 * dead letters can be published: asking for them earlier would turn in a circle. */
static void orphans_reclaim(struct rabbit_bus *bus)
{
    if (!bus->orphans || !bus->out.connection || bus->blocked)
        return;
    bus->orphans = false;
    acks_flush(bus);
    link_drop(&bus->in, NULL);
    in_lost(bus);
}

/* -- the loop ------------------------------------------------------------------------------------ */

static bool wait(struct rabbit_bus *bus, uint64_t timeout_ms, int extra_fd)
{
    uint64_t value, out_idle = link_idle_ms(&bus->out), in_idle = link_idle_ms(&bus->in);
    struct pollfd fds[] = {
        {.fd = bus->wake_fd, .events = POLLIN},
        {.fd = link_fd(&bus->out), .events = POLLIN},
        {.fd = link_fd(&bus->in), .events = POLLIN},
        {.fd = extra_fd, .events = POLLIN},
    };

    timeout_ms = out_idle < timeout_ms ? out_idle : timeout_ms;
    timeout_ms = in_idle < timeout_ms ? in_idle : timeout_ms;
    poll(fds, COUNT_OF(fds), (int)timeout_ms);
    if (fds[0].revents && read(bus->wake_fd, &value, sizeof(value)) < 0)
        value = 0; /* somebody else's turn took it: the flag below tells */
    return !atomic_exchange(&bus->woken, false) && !fds[3].revents;
}

/* Everything but the reading of messages. */
static void tend(struct rabbit_bus *bus)
{
    out_tend(bus);
    out_pump(bus);
    fates_tell(bus);
    in_tend(bus);
    orphans_reclaim(bus);
}

static bool rabbit_next(struct bus *base, uint64_t timeout_ms, int extra_fd,
                        struct bus_message *ret_message)
{
    struct rabbit_bus *bus = rabbit_of(base);
    uint64_t until = clock_mono_ms() + timeout_ms, now;

    link_let_go(&bus->out);
    consumers_sweep(bus);
    if (++bus->turns % CONFIRM_TURN == 0)
        tend(bus);
    for (;;) {
        if (in_pump(bus, ret_message))
            return true;
        tend(bus);
        acks_flush(bus);
        if (link_has_read_ahead(&bus->in) || link_has_read_ahead(&bus->out))
            continue;
        now = clock_mono_ms();
        if (!wait(bus, now < until ? until - now : 0, extra_fd))
            return false;
        if (now >= until)
            return in_pump(bus, ret_message);
    }
}

static void rabbit_wake(struct bus *base)
{
    struct rabbit_bus *bus = rabbit_of(base);
    uint64_t one = 1;

    atomic_store(&bus->woken, true);
    if (write(bus->wake_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: it is awake anyway */
}

static void rabbit_stats(const struct bus *base, struct bus_stats *ret_stats)
{
    const struct rabbit_bus *bus = (const struct rabbit_bus *)base;

    *ret_stats = bus->stats;
    ret_stats->blocked = bus->blocked;
    ret_stats->publishing = bus->out.connection && !bus->blocked;
    ret_stats->consuming = bus->in.connection && bus->consumers;
    for (const struct consumer *c = bus->consumers; c; c = c->next)
        if (!c->unwanted && c->state != CONSUMER_ACTIVE)
            ret_stats->consuming = false;
    snprintf(ret_stats->last_error, sizeof(ret_stats->last_error), "%s",
             bus->in.error[0] ? bus->in.error : bus->out.error);
}

static void rabbit_reconnect(struct bus *base)
{
    struct rabbit_bus *bus = rabbit_of(base);

    link_drop(&bus->out, NULL);
    link_drop(&bus->in, NULL);
    out_lost(bus);
    in_lost(bus);
}

static void rabbit_close(struct bus *base)
{
    struct rabbit_bus *bus = rabbit_of(base);
    struct error ignored = {0};
    uint64_t patience_ms = bus->settings->send_timeout_ms;

    if (patience_ms > CLOSE_MOST_MS)
        patience_ms = CLOSE_MOST_MS;
    bool all_told = rabbit_flush(base, patience_ms, &ignored);
    (void)all_told; /* what is left has no fate: nobody can ask any more */
    acks_flush(bus);
    link_fini(&bus->out);
    link_fini(&bus->in);
    while (bus->consumers) {
        struct consumer *consumer = bus->consumers;
        bus->consumers = consumer->next;
        consumer_free(consumer);
    }
    window_fini(&bus->window);
    buffer_fini(&bus->returned.body);
    fd_closep(&bus->wake_fd);
    free(bus->name);
    free(bus);
}

static const struct bus_ops rabbit_ops = {
    .close = rabbit_close,
    .consume = rabbit_consume,
    .unconsume = rabbit_unconsume,
    .publish = rabbit_publish,
    .flush = rabbit_flush,
    .next = rabbit_next,
    .wake = rabbit_wake,
    .ack = rabbit_ack,
    .requeue = rabbit_requeue,
    .reject = rabbit_reject,
    .stats = rabbit_stats,
    .reconnect = rabbit_reconnect,
};

struct bus *bus_open(const struct bus_settings *settings, const char *connection_name)
{
    struct rabbit_bus *bus = xcalloc(1, sizeof(*bus));

    bus->bus.ops = &rabbit_ops;
    bus->settings = settings;
    bus->name = xstrdup(connection_name);
    bus->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    window_init(&bus->window);
    link_init(&bus->out, LINK_PUBLISH, settings, bus->name, bus->wake_fd);
    link_init(&bus->in, LINK_CONSUME, settings, bus->name, bus->wake_fd);
    out_tend(bus);
    in_tend(bus);
    return &bus->bus;
}
