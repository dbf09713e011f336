/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bus.h"

#include <string.h>

#include "common/base/crashpoint.h"
#include "proto/bus_ops.h"

#define KEY(field) .name = #field, .offset = offsetof(struct bus_settings, field)
const struct conf_key bus_conf_keys[] = {
    {KEY(addresses), .type = CONF_STRINGS, .standard = "[\"127.0.0.1:5672\"]",
     .help = "brokers as \"host:port\", tried in turn from a random one on"},
    {KEY(virtual_host), .type = CONF_STRING, .standard = "guts", .least = 1, .most = 255,
     .help = "the broker's virtual host"},
    {KEY(user), .type = CONF_STRING, .standard = "guts", .least = 1, .most = 255,
     .help = "the broker's user"},
    {.name = "password_file",
     .offset = offsetof(struct bus_settings, password),
     .type = CONF_SECRET_FILE,
     .help = "a file that holds its password"},
    {KEY(tls_ca), .type = CONF_STRING,
     .help = "certificate authority (PEM) that signs the broker's certificate; turns TLS on"},
    {KEY(tls_certificate), .type = CONF_STRING, .help = "our own certificate (PEM), if asked for"},
    {KEY(tls_key), .type = CONF_STRING, .help = "the key of our own certificate (PEM)"},
    {.name = "heartbeat",
     .offset = offsetof(struct bus_settings, heartbeat_ms),
     .type = CONF_DURATION,
     .standard = "10s",
     .least = 1000,
     .most = 600000,
     .help = "a connection silent for twice as long is left"},
    {.name = "connect_timeout",
     .offset = offsetof(struct bus_settings, connect_timeout_ms),
     .type = CONF_DURATION,
     .standard = "5s",
     .least = 100,
     .most = 120000,
     .help = "for connecting and logging in"},
    {.name = "send_timeout",
     .offset = offsetof(struct bus_settings, send_timeout_ms),
     .type = CONF_DURATION,
     .standard = "5s",
     .least = 100,
     .most = 120000,
     .help = "a broker that takes no bytes for so long is left"},
    {.name = "backoff_first",
     .offset = offsetof(struct bus_settings, backoff_first_ms),
     .type = CONF_DURATION,
     .standard = "200ms",
     .least = 1,
     .most = 60000,
     .help = "longest pause before the second attempt to connect; it doubles"},
    {.name = "backoff_most",
     .offset = offsetof(struct bus_settings, backoff_most_ms),
     .type = CONF_DURATION,
     .standard = "10s",
     .least = 1,
     .most = 600000,
     .help = "longest pause between attempts to connect"},
    {KEY(prefetch), .type = CONF_INTEGER, .standard = "500", .least = 1, .most = 10000,
     .help = "messages that the broker sends ahead of acknowledgements"},
};
const size_t bus_conf_key_count = COUNT_OF(bus_conf_keys);

void bus_close(struct bus *bus)
{
    if (bus)
        bus->ops->close(bus);
}

void bus_on_fate(struct bus *bus, bus_fate_handler *handler, void *context)
{
    bus->fate_handler = handler;
    bus->fate_context = context;
}

void bus_tell_fate(struct bus *bus, uint64_t cookie, enum bus_fate fate)
{
    if (cookie && bus->fate_handler)
        bus->fate_handler(bus->fate_context, cookie, fate);
}

bool bus_queue_equal(const struct bus_queue *a, const struct bus_queue *b)
{
    return a->kind == b->kind && strcmp(a->name, b->name) == 0;
}

void bus_consume(struct bus *bus, const struct bus_queue *queue)
{
    bus->ops->consume(bus, queue);
}

void bus_unconsume(struct bus *bus, const struct bus_queue *queue)
{
    bus->ops->unconsume(bus, queue);
}

bool bus_publish(struct bus *bus, const struct bus_publication *publication, struct error *err)
{
    if (publication->length > BUS_MESSAGE_MOST_BYTES)
        return error_set(err, &FAULT_TOO_LARGE, "message %s of %zu bytes, at most %u are sent",
                         message_type_name(publication->type), publication->length,
                         BUS_MESSAGE_MOST_BYTES);
    crashpoint("before_publish", message_type_name(publication->type));
    bool sent = bus->ops->publish(bus, publication, err);
    crashpoint("after_publish", message_type_name(publication->type));
    return sent;
}

bool bus_flush(struct bus *bus, uint64_t timeout_ms, struct error *err)
{
    return bus->ops->flush(bus, timeout_ms, err);
}

bool bus_next(struct bus *bus, uint64_t timeout_ms, int extra_fd, struct bus_message *ret_message)
{
    if (timeout_ms > 0)
        bus->turn_bytes = 0;
    if (bus->turn_bytes >= BUS_TURN_MOST_BYTES ||
        !bus->ops->next(bus, timeout_ms, extra_fd, ret_message))
        return false;
    bus->turn_bytes += ret_message->length;
    return true;
}

void bus_wake(struct bus *bus)
{
    bus->ops->wake(bus);
}

void bus_ack(struct bus *bus, uint64_t tag)
{
    crashpoint("before_ack");
    bus->turn_bytes = 0;
    bus->ops->ack(bus, tag);
    crashpoint("after_ack");
}

void bus_requeue(struct bus *bus, uint64_t tag)
{
    bus->turn_bytes = 0;
    bus->ops->requeue(bus, tag);
}

void bus_reject(struct bus *bus, const struct bus_message *message, const struct error *err)
{
    bus->turn_bytes = 0;
    bus->ops->reject(bus, message, err);
}

void bus_stats(const struct bus *bus, struct bus_stats *ret_stats)
{
    bus->ops->stats(bus, ret_stats);
}

void bus_reconnect(struct bus *bus)
{
    bus->ops->reconnect(bus);
}
