/* SPDX-License-Identifier: Apache-2.0
 *
 * Events, listed and followed. */
#include "api/event.h"

#include <string.h>

#include "api/api.h"
#include "api/routes.h"
#include "api/stream.h"
#include "proto/fault.h"

static void read_owner(struct call *call, struct uuid *ret_owner)
{
    const char *text = call_query(call, "owner");
    if (text != NULL && !uuid_parse(text, ret_owner))
        reader_complain(call_reader(call), "owner", "must be an id");
}

static void write_events(struct call *call, const char *kind, const char *parameter,
                         const struct event_view *events, size_t count, bool more)
{
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    writer_array_begin(writer, "events");
    for (size_t i = 0; i < count; i++)
        if (event_kind_fits(kind, events[i].kind))
            event_write(writer, &events[i]);
    writer_array_end(writer);
    const char *cursor =
        more ? arena_printf(call->arena, "%llu", (unsigned long long)events[count - 1].number)
             : NULL;
    call_write_next(call, parameter, cursor);
    writer_object_end(writer);
}

bool event_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"limit", "after",   "before", "owner",
                                          "kind",  "project", NULL};
    struct event_view *events = NULL;
    struct event_filter filter = {0};
    size_t count = 0;
    uint64_t limit = PAGE_STANDARD, after = 0, before = 0;
    call_query_allow(call, allowed);
    call_query_project(call);
    if (call_query_number(call, "limit", PAGE_MOST, &limit) && limit == 0)
        reader_complain(call_reader(call), "limit", "must be at least 1");
    bool forward = call_query_number(call, "after", INT64_MAX, &after);
    bool backward = call_query_number(call, "before", INT64_MAX, &before);
    if (forward && backward)
        reader_complain(call_reader(call), "after", "cannot be combined with before");
    const char *kind = call_query(call, "kind");
    read_owner(call, &filter.owner_id);
    if (!call_sound(call, err))
        return false;
    filter.project = call->scope;
    bool read = forward ? event_view_after(call->store, call->arena, &filter, after, limit, &events,
                                           &count, err)
                        : event_view_before(call->store, call->arena, &filter, before, limit,
                                            &events, &count, err);
    if (read)
        write_events(call, kind, forward ? "after" : "before", events, count, count == limit);
    return read;
}

bool event_stream_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"after", "owner", "kind", "project", NULL};
    struct stream_wish wish = {0};
    call_query_allow(call, allowed);
    call_query_project(call);
    wish.has_after = call_query_number(call, "after", INT64_MAX, &wish.after);
    wish.kind = call_query(call, "kind");
    read_owner(call, &wish.owner_id);
    const char *last = http_request_header(call->request, "Last-Event-ID");
    if (last != NULL && last[0] >= '0' && last[0] <= '9' && strlen(last) <= 18) {
        wish.after = strtoull(last, NULL, 10);
        wish.has_after = true;
    }
    return call_sound(call, err) && stream_serve(call->api->streams, call, &wish, err);
}
