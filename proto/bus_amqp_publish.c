/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing writes and returns; the broker's confirms are read when somebody waits (bus_next,
 * bus_flush) or the window of unconfirmed messages is full. Fates are told from bus_next and
 * bus_flush alone, so that a handler may publish.
 */
#include "proto/bus_amqp.h"

#include <poll.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "proto/fault.h"

/* -- the publishing connection ------------------------------------------------------------------- */

void out_lost(struct rabbit_bus *bus)
{
    window_lose(&bus->window);
    bus->returned.stage = INTAKE_NONE;
    bus->blocked = false;
}

static void confirm_handle(struct rabbit_bus *bus, const amqp_method_t *method)
{
    if (method->id == AMQP_BASIC_ACK_METHOD) {
        const amqp_basic_ack_t *ack = method->decoded;
        window_settle(&bus->window, ack->delivery_tag, ack->multiple, BUS_CONFIRMED);
    } else if (method->id == AMQP_BASIC_NACK_METHOD) {
        const amqp_basic_nack_t *nack = method->decoded;
        window_settle(&bus->window, nack->delivery_tag, nack->multiple, BUS_REFUSED);
    } else if (method->id == AMQP_BASIC_RETURN_METHOD) {
        intake_begin(&bus->returned);
    } else if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = method->decoded;
        char why[128];
        snprintf(why, sizeof(why), "publishing refused: %u %.*s", close->reply_code,
                 (int)(close->reply_text.len < 80 ? close->reply_text.len : 80),
                 (const char *)close->reply_text.bytes);
        link_drop(&bus->out, why);
    }
}

/* A header tells whose message came back; its body is of no interest. */
static void return_handle(struct rabbit_bus *bus, const amqp_frame_t *frame)
{
    struct uuid id;

    if (intake_take(&bus->returned, frame) && uuid_parse(bus->returned.message_id, &id))
        window_returned(&bus->window, &id);
}

/* Reads what the broker says about what was published. */
void out_pump(struct rabbit_bus *bus)
{
    amqp_frame_t frame;
    bool was_up = bus->out.connection != NULL;

    link_let_go(&bus->out);
    while (link_read(&bus->out, &frame) > 0) {
        if (!link_handle(&bus->out, &frame, &bus->blocked)) {
            if (frame.frame_type == AMQP_FRAME_METHOD)
                confirm_handle(bus, &frame.payload.method);
            else
                return_handle(bus, &frame);
        }
        link_release(&bus->out, frame.channel);
    }
    if (was_up && !bus->out.connection)
        out_lost(bus);
}

void out_tend(struct rabbit_bus *bus)
{
    if (link_tend(&bus->out))
        bus->stats.connects++;
}

/* The dead letter has its fate: only when the broker holds it may the message go. */
static void reject_settle(struct rabbit_bus *bus, const struct window_entry *entry)
{
    if (entry->fate == BUS_CONFIRMED)
        rabbit_ack(&bus->bus, entry->reject_tag);
    else if (tag_consumer(bus, entry->reject_tag) != NULL)
        bus->orphans = true; /* else it is of a former channel, and comes again by itself */
}

void fates_tell(struct rabbit_bus *bus)
{
    struct window_entry entry;

    while (window_take(&bus->window, &entry)) {
        bus->stats.confirmed += entry.fate == BUS_CONFIRMED;
        bus->stats.returned += entry.fate == BUS_RETURNED;
        bus->stats.lost += entry.fate == BUS_LOST || entry.fate == BUS_REFUSED;
        if (entry.reject_tag)
            reject_settle(bus, &entry);
        else
            bus_tell_fate(&bus->bus, entry.cookie, entry.fate);
    }
}

/* -- publishing ---------------------------------------------------------------------------------- */

static bool out_is_ready(struct rabbit_bus *bus, struct error *err)
{
    out_tend(bus);
    if (!bus->out.connection)
        return error_set(err, &FAULT_UNAVAILABLE, "no connection to the broker: %s",
                         bus->out.error);
    if (bus->blocked)
        return error_set(err, &FAULT_UNAVAILABLE, "the broker takes no messages at present");
    return true;
}

/* Waits until the window has room, for the send time-out at most. */
static bool window_await(struct rabbit_bus *bus, struct error *err)
{
    uint64_t until = clock_mono_ms() + bus->settings->send_timeout_ms;

    while (window_is_full(&bus->window)) {
        out_pump(bus);
        if (!out_is_ready(bus, err))
            return false;
        if (!window_is_full(&bus->window))
            return true;
        uint64_t now = clock_mono_ms();
        struct pollfd fd = {.fd = link_fd(&bus->out), .events = POLLIN};
        if (now >= until)
            return error_set(err, &FAULT_UNAVAILABLE, "the broker confirms nothing");
        poll(&fd, 1, (int)(until - now));
    }
    return true;
}

static void properties_fill(const struct bus_publication *publication, const char *message_id,
                            char expiration[24], amqp_basic_properties_t *ret_properties)
{
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
                  AMQP_BASIC_DELIVERY_MODE_FLAG,
        .type = bytes_of(message_type_name(publication->type)),
        .message_id = bytes_of(message_id),
        .timestamp = clock_wall_us() / 1000000,
        .delivery_mode = publication->persistent ? 2 : 1,
    };

    if (publication->correlation_id) {
        properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
        properties.correlation_id = bytes_of(publication->correlation_id);
    }
    if (publication->expires_ms) {
        snprintf(expiration, 24, "%llu", (unsigned long long)publication->expires_ms);
        properties._flags |= AMQP_BASIC_EXPIRATION_FLAG;
        properties.expiration = bytes_of(expiration);
    }
    *ret_properties = properties;
}

static bool send(struct rabbit_bus *bus, const struct bus_publication *publication,
                 const amqp_basic_properties_t *properties, struct error *err)
{
    amqp_bytes_t body = {.len = publication->length, .bytes = (void *)publication->body};
    int status;

    if (!link_await_writable(&bus->out)) {
        out_lost(bus);
        return error_set(err, &FAULT_UNAVAILABLE, "%s", bus->out.error);
    }
    link_gather(&bus->out);
    status = amqp_basic_publish(bus->out.connection, PUBLISH_CHANNEL,
                                bytes_of(publication->exchange), bytes_of(publication->routing_key),
                                publication->mandatory, false, properties, body);
    if (status == AMQP_STATUS_OK)
        return true;
    link_drop_status(&bus->out, "publish", status);
    out_lost(bus);
    return error_set(err, &FAULT_UNAVAILABLE, "%s", bus->out.error);
}

/* Sends with headers of the caller's and remembers it; reject_tag as in the window's entry. */
static bool publish(struct rabbit_bus *bus, const struct bus_publication *publication,
                    const char *type, const amqp_table_t *headers, uint64_t reject_tag,
                    struct error *err)
{
    amqp_basic_properties_t properties;
    char message_id[UUID_TEXT_SIZE], expiration[24];
    struct uuid id = uuid_new();

    if (!out_is_ready(bus, err) || !window_await(bus, err))
        return false;
    uuid_format(&id, message_id);
    properties_fill(publication, message_id, expiration, &properties);
    if (type)
        properties.type = bytes_of(type);
    if (headers) {
        properties._flags |= AMQP_BASIC_HEADERS_FLAG;
        properties.headers = *headers;
    }
    if (!send(bus, publication, &properties, err))
        return false;
    window_add(&bus->window, publication->cookie, reject_tag, &id);
    bus->stats.published++;
    return true;
}

bool rabbit_publish(struct bus *base, const struct bus_publication *publication, struct error *err)
{
    return publish(rabbit_of(base), publication, NULL, NULL, 0, err);
}

bool rabbit_flush(struct bus *base, uint64_t timeout_ms, struct error *err)
{
    struct rabbit_bus *bus = rabbit_of(base);
    uint64_t until = clock_mono_ms() + timeout_ms;
    uint64_t lost = bus->stats.lost;
    bool in_time = true;

    out_pump(bus);
    while (window_open_count(&bus->window) > 0 && in_time) {
        uint64_t now = clock_mono_ms();
        uint64_t idle = link_idle_ms(&bus->out);
        struct pollfd fd = {.fd = link_fd(&bus->out), .events = POLLIN};
        in_time = now < until;
        if (in_time)
            poll(&fd, 1, (int)(until - now < idle ? until - now : idle));
        out_pump(bus);
    }
    fates_tell(bus);
    if (window_open_count(&bus->window) > 0)
        return error_set(err, &FAULT_TIMEOUT, "%llu messages are not confirmed after %llu ms",
                         (unsigned long long)window_open_count(&bus->window),
                         (unsigned long long)timeout_ms);
    if (bus->stats.lost > lost || !bus->out.connection)
        return error_set(err, &FAULT_UNAVAILABLE, "no connection to the broker: %s",
                         bus->out.error);
    return true;
}

/* -- dead letters -------------------------------------------------------------------------------- */

static amqp_table_entry_t header(const char *key, const char *text)
{
    return (amqp_table_entry_t){
        .key = bytes_of(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes_of(text)},
    };
}

void rabbit_reject(struct bus *base, const struct bus_message *message, const struct error *err)
{
    struct rabbit_bus *bus = rabbit_of(base);
    struct consumer *consumer = tag_consumer(bus, message->tag);
    struct error ignored = {0};

    if (!consumer)
        return; /* it comes again, and is rejected then */
    bool is_last = consumer->delivery == tag_number(message->tag);
    const char *type = message->type == MESSAGE_UNKNOWN && is_last
                           ? consumer->intake.type
                           : message_type_name(message->type);
    amqp_table_entry_t entries[] = {
        header("x-guts-fault", err->fault ? err->fault->code : "internal"),
        header("x-guts-text", err->text),
        header("x-guts-queue", consumer->name),
        header("x-guts-type", type),
        header("x-guts-message-id", UUID_TEXT(&message->message_id)),
    };
    amqp_table_t headers = {.num_entries = (int)COUNT_OF(entries), .entries = entries};
    struct bus_publication letter = {
        .exchange = TOPOLOGY_EXCHANGE,
        .routing_key = TOPOLOGY_DEAD,
        .type = message->type,
        .body = message->body,
        .length = message->length,
        .persistent = true,
        .mandatory = true,
    };
    bus->stats.rejected++;
    if (!publish(bus, &letter, type, &headers, message->tag, &ignored))
        bus->orphans = true;
}
