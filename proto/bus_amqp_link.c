/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/bus_amqp.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/base/clock.h"
#include "proto/fault.h"

#define IDLE_MOST_MS 1000u

void link_init(struct link *link, enum link_role role, const struct bus_settings *settings,
               const char *connection_name, int wake_fd)
{
    unsigned start = 0;

    *link = (struct link){
        .role = role, .settings = settings, .connection_name = connection_name, .wake_fd = wake_fd};
    /* From a random one on, so that many daemons spread over the brokers. */
    if (settings->addresses.count > 1 && getrandom(&start, sizeof(start), 0) == sizeof(start))
        link->address = start % settings->addresses.count;
}

void link_fini(struct link *link)
{
    struct timeval patience = {.tv_usec = 500000};
    struct pollfd fd = {.fd = link_fd(link), .events = POLLOUT};

    if (link->dial)
        dial_abandon(link->dial);
    link->dial = NULL;
    if (!link->connection)
        return;
    /* A farewell that no buffer takes would be waited for until the kernel gives up. */
    if (poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT)) {
        amqp_set_rpc_timeout(link->connection, &patience);
        amqp_connection_close(link->connection, AMQP_REPLY_SUCCESS);
    }
    amqp_destroy_connection(link->connection);
    link->connection = NULL;
}

static void cork(struct link *link, bool gathers)
{
    int value = gathers;

    if (link->gathers == gathers || !link->connection)
        return;
    /* A socket that refuses sends at once, which is right too. */
    setsockopt(link_fd(link), IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
    link->gathers = gathers;
}

void link_gather(struct link *link)
{
    cork(link, true);
}

void link_let_go(struct link *link)
{
    cork(link, false);
}

static void link_fail(struct link *link, const char *why)
{
    const struct bus_settings *settings = link->settings;
    const char *address =
        settings->addresses.count ? settings->addresses.items[link->address] : "no address";

    snprintf(link->error, sizeof(link->error), "%.60s: %s", address, why);
    /* With several brokers the pause comes after all of them were tried. */
    link->retry_at_ms = clock_mono_ms();
    link->failures++;
    if (settings->addresses.count > 1)
        link->address = (link->address + 1) % settings->addresses.count;
    if (settings->addresses.count <= 1 || link->failures % settings->addresses.count == 0)
        link->retry_at_ms += clock_backoff_ms(link->failures - 1, settings->backoff_first_ms,
                                              settings->backoff_most_ms);
}

bool link_tend(struct link *link)
{
    struct error err = {0};
    amqp_connection_state_t connection;

    if (link->connection || link->settings->addresses.count == 0)
        return false;
    if (!link->dial) {
        if (clock_mono_ms() >= link->retry_at_ms)
            link->dial = dial_begin(link->settings, link->settings->addresses.items[link->address],
                                    link->connection_name, link->role, link->wake_fd);
        return false;
    }
    if (!dial_end(link->dial, &connection, &err))
        return false;
    link->dial = NULL;
    if (!connection) {
        link_fail(link, err.text);
        return false;
    }
    link->connection = connection;
    link->failures = 0;
    link->error[0] = 0;
    return true;
}

void link_drop(struct link *link, const char *why)
{
    if (link->dial)
        dial_abandon(link->dial);
    link->dial = NULL;
    if (link->connection)
        amqp_destroy_connection(link->connection);
    link->connection = NULL;
    link->gathers = false;
    if (why)
        link_fail(link, why);
    else
        link->retry_at_ms = clock_mono_ms();
}

void link_drop_status(struct link *link, const char *what, int status)
{
    char why[128];

    snprintf(why, sizeof(why), "%s: %s", what, amqp_error_string2(status));
    link_drop(link, why);
}

int link_read(struct link *link, amqp_frame_t *ret_frame)
{
    struct timeval now = {0};
    int status;

    if (!link->connection)
        return -1;
    status = amqp_simple_wait_frame_noblock(link->connection, ret_frame, &now);
    if (status == AMQP_STATUS_OK)
        return 1;
    if (status == AMQP_STATUS_TIMEOUT)
        return 0;
    link_drop_status(link, "read", status);
    return -1;
}

bool link_has_read_ahead(const struct link *link)
{
    return link->connection &&
           (amqp_frames_enqueued(link->connection) || amqp_data_in_buffer(link->connection));
}

void link_release(struct link *link, amqp_channel_t channel)
{
    if (link->connection)
        amqp_maybe_release_buffers_on_channel(link->connection, channel);
}

bool link_send(struct link *link, amqp_channel_t channel, amqp_method_number_t id, void *method)
{
    int status;

    if (!link->connection || !link_await_writable(link))
        return false;
    status = amqp_send_method(link->connection, channel, id, method);
    if (status == AMQP_STATUS_OK)
        return true;
    link_drop_status(link, "send", status);
    return false;
}

int link_fd(const struct link *link)
{
    return link->connection ? amqp_get_sockfd(link->connection) : -1;
}

uint64_t link_idle_ms(const struct link *link)
{
    uint64_t now = clock_mono_ms();

    if (link->connection)
        return link->settings->heartbeat_ms / 4 < IDLE_MOST_MS ? link->settings->heartbeat_ms / 4
                                                               : IDLE_MOST_MS;
    if (link->dial || link->settings->addresses.count == 0) /* a dial wakes us */
        return IDLE_MOST_MS;
    return link->retry_at_ms > now ? link->retry_at_ms - now : 0;
}

bool link_await_writable(struct link *link)
{
    struct pollfd fd = {.fd = link_fd(link), .events = POLLOUT};
    uint64_t until = 0;
    int ready = poll(&fd, 1, 0);

    while (ready <= 0) {
        uint64_t now = clock_mono_ms();
        until = until ? until : now + link->settings->send_timeout_ms;
        if (now >= until) {
            link_drop(link, "the broker takes no bytes");
            return false;
        }
        ready = poll(&fd, 1, (int)(until - now));
    }
    return true;
}

static void link_closed(struct link *link, const amqp_connection_close_t *close)
{
    amqp_connection_close_ok_t ok = {0};
    char why[128];

    snprintf(why, sizeof(why), "closed by the broker: %u %.*s", close->reply_code,
             (int)(close->reply_text.len < 90 ? close->reply_text.len : 90),
             (const char *)close->reply_text.bytes);
    if (link_send(link, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok))
        link_drop(link, why);
}

bool link_handle(struct link *link, const amqp_frame_t *frame, bool *blocked)
{
    if (frame->channel != 0 || frame->frame_type != AMQP_FRAME_METHOD)
        return frame->channel == 0;
    if (frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD)
        link_closed(link, frame->payload.method.decoded);
    else if (frame->payload.method.id == AMQP_CONNECTION_BLOCKED_METHOD)
        *blocked = true;
    else if (frame->payload.method.id == AMQP_CONNECTION_UNBLOCKED_METHOD)
        *blocked = false;
    return true;
}

/* -- contents ------------------------------------------------------------------------------------ */

void intake_begin(struct intake *intake)
{
    intake->stage = INTAKE_HEADER;
    buffer_clear(&intake->body);
    intake->left = intake->body_bytes = 0;
    intake->type[0] = intake->correlation_id[0] = intake->message_id[0] = 0;
}

static void property_copy(bool present, amqp_bytes_t value, char *ret_text, size_t size)
{
    if (present && value.len < size)
        snprintf(ret_text, size, "%.*s", (int)value.len, (const char *)value.bytes);
}

static void properties_copy(struct intake *intake, const amqp_basic_properties_t *properties)
{
    amqp_flags_t flags = properties->_flags;

    property_copy(flags & AMQP_BASIC_TYPE_FLAG, properties->type, intake->type,
                  sizeof(intake->type));
    property_copy(flags & AMQP_BASIC_CORRELATION_ID_FLAG, properties->correlation_id,
                  intake->correlation_id, sizeof(intake->correlation_id));
    property_copy(flags & AMQP_BASIC_MESSAGE_ID_FLAG, properties->message_id, intake->message_id,
                  sizeof(intake->message_id));
}

bool intake_is_too_long(const struct intake *intake)
{
    return intake->body_bytes > BUS_MESSAGE_MOST_BYTES;
}

bool intake_take(struct intake *intake, const amqp_frame_t *frame)
{
    if (intake->stage == INTAKE_HEADER && frame->frame_type == AMQP_FRAME_HEADER &&
        frame->payload.properties.class_id == AMQP_BASIC_CLASS) {
        intake->stage = INTAKE_BODY;
        intake->left = intake->body_bytes = frame->payload.properties.body_size;
        properties_copy(intake, frame->payload.properties.decoded);
        if (!intake_is_too_long(intake))
            buffer_reserve(&intake->body, (size_t)intake->body_bytes);
    } else if (intake->stage == INTAKE_BODY && frame->frame_type == AMQP_FRAME_BODY) {
        amqp_bytes_t piece = frame->payload.body_fragment;
        if (piece.len > intake->left)
            piece.len = (size_t)intake->left;
        if (!intake_is_too_long(intake))
            buffer_append(&intake->body, piece.bytes, piece.len);
        intake->left -= piece.len;
    } else {
        return false;
    }
    if (intake->left > 0)
        return false;
    intake->stage = INTAKE_NONE;
    return true;
}
