/* SPDX-License-Identifier: Apache-2.0
 *
 * Following events: server-sent events (WHATWG HTML, section 9.2), resumed after Last-Event-ID. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/lib/session.h"
#include "common/base/clock.h"

#define LINE_MOST_BYTES (256u << 10)
#define EVENT_MOST_BYTES (1u << 20)

struct follower {
    struct guts *guts;
    struct buffer line, data;
    bool is_reset;   /* this event says that numbers begin anew */
    bool is_missing; /* this event says that others are no longer kept */
    bool has_id;     /* this event has the number `id`; without data it tells how far all is read */
    uint64_t id;
    uint64_t after; /* UINT64_MAX: from now on */
    bool ended;     /* by take */
    bool connected; /* once at least */
    bool renewed;   /* the token, just now */
    unsigned failures;
    const volatile int *stop;
    bool (*take)(void *context, const json_t *event);
    void *context;
};

/* The number counts also where no event comes with it: none of many may be of the asked kind. */
static void take_id(struct follower *follower, const char *text)
{
    char *end;
    unsigned long long id = strtoull(text, &end, 10);
    follower->has_id = text[0] >= '0' && text[0] <= '9' && *end == '\0';
    follower->id = id;
}

/* As an event, so that whoever follows learns of it; its number is that of the last one missing. */
static json_t *missing_event(const json_t *said)
{
    json_int_t after = json_integer_value(json_object_get(said, "after"));
    json_int_t before = json_integer_value(json_object_get(said, "before"));
    CLEANUP(xfreep)
    char *text =
        xasprintf("events %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT " are no longer kept",
                  after + 1, before - 1);
    return json_pack("{sI ss ss ss}", "number", before - 1, "kind", "events.missing", "severity",
                     "warn", "text", text);
}

static void end_event(struct follower *follower)
{
    bool has_id = follower->has_id;
    follower->has_id = false;
    if (follower->data.length == 0 && has_id) {
        follower->after = follower->id;
        follower->failures = 0;
    }
    if (follower->data.length == 0)
        return;
    json_t *event = json_loadb(follower->data.data, follower->data.length, 0, NULL);
    bool is_reset = follower->is_reset;
    if (follower->is_missing) {
        json_t *missing = missing_event(event);
        json_decref(event);
        event = missing;
    }
    buffer_clear(&follower->data);
    follower->is_reset = follower->is_missing = false;
    if (is_reset) {
        json_int_t after = json_integer_value(json_object_get(event, "after"));
        follower->after = after > 0 ? (uint64_t)after : 0;
    } else if (json_is_object(event)) {
        follower->failures = 0;
        follower->after = (uint64_t)json_integer_value(json_object_get(event, "number"));
        if (!follower->take(follower->context, event))
            follower->ended = true;
    }
    json_decref(event);
}

static void take_line(struct follower *follower)
{
    const char *line = follower->line.data;
    if (follower->line.length == 0) {
        end_event(follower);
    } else if (strcmp(line, "event: reset") == 0) {
        follower->is_reset = true;
    } else if (strcmp(line, "event: missing") == 0) {
        follower->is_missing = true;
    } else if (strncmp(line, "id:", 3) == 0) {
        take_id(follower, line + 3 + (line[3] == ' '));
    } else if (strncmp(line, "data:", 5) == 0) {
        line += 5 + (line[5] == ' ');
        if (follower->data.length + strlen(line) <= EVENT_MOST_BYTES)
            buffer_append_text(&follower->data, line);
    }
    buffer_clear(&follower->line);
}

static bool sink(void *context, const char *data, size_t length)
{
    struct follower *follower = context;
    follower->guts->following = follower->connected = true;
    for (size_t i = 0; i < length && !follower->ended; i++) {
        if (data[i] == '\n')
            take_line(follower);
        else if (data[i] != '\r' && follower->line.length < LINE_MOST_BYTES)
            buffer_append(&follower->line, &data[i], 1);
    }
    return !follower->ended;
}

static bool go_on(void *context)
{
    struct follower *follower = context;
    if (!follower->ended && !follower->take(follower->context, NULL))
        follower->ended = true;
    return !follower->ended && (follower->stop == NULL || !*follower->stop);
}

static char *stream_url(const struct guts *guts, const struct follower *follower,
                        const struct guts_filter *filters, size_t filter_count)
{
    struct buffer url = {0};
    char mark = '?';
    buffer_printf(&url, "%s/v1/events/stream", guts->url);
    if (follower->after != UINT64_MAX) {
        buffer_printf(&url, "?after=%" PRIu64, follower->after);
        mark = '&';
    }
    for (size_t i = 0; i < filter_count; i++) {
        CLEANUP(xfreep) char *value = guts_escape(filters[i].value);
        buffer_printf(&url, "%c%s=%s", mark, filters[i].name, value);
        mark = '&';
    }
    return url.data;
}

/* One connection's life. False: it makes no sense to connect again. */
static bool follow_once(struct guts *guts, struct follower *follower,
                        const struct guts_filter *filters, size_t filter_count,
                        struct guts_error *err)
{
    CLEANUP(xfreep) char *url = stream_url(guts, follower, filters, filter_count);
    const char *headers[GUTS_HEADERS_MOST];
    size_t header_count = guts_headers(guts, headers);
    headers[0] = "Accept: text/event-stream";
    struct http_call call = {
        .method = "GET",
        .url = url,
        .headers = headers,
        .header_count = header_count,
        .go_on = go_on,
        .go_on_context = follower,
    };
    struct http_reply reply = {0};
    struct error reason = {0};
    bool fine = true;
    bool got = http_client_stream(guts->client, &call, sink, follower, &reply, &reason);
    follower->connected = follower->connected || (got && reply.status < 400);
    guts->following = false;
    bool stopped = follower->ended || (follower->stop != NULL && *follower->stop);
    bool renewed = got && !follower->renewed && guts_renew(guts, reply.status);
    follower->renewed = renewed;
    if (renewed)
        fine = true;
    else if (got && reply.status >= 400 && (reply.status < 500 || !follower->connected))
        fine = guts_fail_answer(err, reply.status, reply.body.data, reply.body.length);
    else if (!got && !follower->connected && !stopped)
        fine = guts_fail(err, &reason);
    http_reply_fini(&reply);
    buffer_clear(&follower->line);
    buffer_clear(&follower->data);
    follower->is_reset = follower->is_missing = follower->has_id = false;
    follower->failures++;
    return fine;
}

bool guts_is_following(const struct guts *guts)
{
    return guts->following;
}

bool guts_follow(struct guts *guts, uint64_t after, const struct guts_filter *filters,
                 size_t filter_count, const volatile int *stop,
                 bool (*take)(void *context, const json_t *event), void *context,
                 struct guts_error *err)
{
    struct follower follower = {
        .guts = guts, .after = after, .stop = stop, .take = take, .context = context};
    bool fine = true;
    guts->following = true; /* until the opposite is known */
    while (fine && !follower.ended && (stop == NULL || !*stop)) {
        fine = follow_once(guts, &follower, filters, filter_count, err);
        if (fine && go_on(&follower))
            clock_sleep_ms(clock_backoff_ms(follower.failures, 200, 5000));
    }
    buffer_fini(&follower.line);
    buffer_fini(&follower.data);
    return fine;
}
