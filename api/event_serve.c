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

/* One page: kinds are told apart here, so that a page of a rare kind takes several reads. */
struct listing {
    struct event_filter filter;
    const char *kind;
    bool forward;
    uint64_t position; /* the last number that was looked at; 0 backwards: none yet */
    size_t wanted, written;
    bool more;
};

#define READS_MOST 20

/* Writes those of the kind, as far as the page has room. */
static void write_some(struct call *call, struct listing *listing, const struct event_view *events,
                       size_t count)
{
    for (size_t i = 0; i < count && listing->written < listing->wanted; i++) {
        listing->position = events[i].number;
        if (!event_kind_fits(listing->kind, events[i].kind))
            continue;
        event_write(&call->writer, &events[i]);
        listing->written++;
    }
}

static bool read_page(struct call *call, struct listing *listing, struct error *err)
{
    size_t most = listing->kind != NULL ? PAGE_MOST : listing->wanted;
    size_t count = most;
    for (int reads = 0; reads < READS_MOST && count == most; reads++) {
        struct event_view *events = NULL;
        bool read = listing->forward
                        ? event_view_after(call->store, call->arena, &listing->filter,
                                           listing->position, most, &events, &count, err)
                        : event_view_before(call->store, call->arena, &listing->filter,
                                            listing->position, most, &events, &count, err);
        if (!read)
            return false;
        write_some(call, listing, events, count);
        listing->more =
            count == most || (count > 0 && events[count - 1].number != listing->position);
        if (listing->written == listing->wanted)
            return true;
    }
    return true;
}

static bool read_listing(struct call *call, struct listing *ret_listing, struct error *err)
{
    static const char *const allowed[] = {"limit", "after",   "before", "owner",
                                          "kind",  "project", NULL};
    uint64_t limit = PAGE_STANDARD, after = 0, before = 0;
    call_query_allow(call, allowed);
    call_query_project(call);
    if (call_query_number(call, "limit", PAGE_MOST, &limit) && limit == 0)
        reader_complain(call_reader(call), "limit", "must be at least 1");
    bool forward = call_query_number(call, "after", INT64_MAX, &after);
    if (call_query_number(call, "before", INT64_MAX, &before) && forward)
        reader_complain(call_reader(call), "after", "cannot be combined with before");
    *ret_listing = (struct listing){.kind = call_query(call, "kind"),
                                    .forward = forward,
                                    .position = forward ? after : before,
                                    .wanted = limit};
    read_owner(call, &ret_listing->filter.owner_id);
    ret_listing->filter.project = call->scope;
    return call_sound(call, err);
}

bool event_list_serve(struct call *call, struct error *err)
{
    struct listing listing;
    if (!read_listing(call, &listing, err))
        return false;
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    writer_array_begin(writer, "events");
    if (!read_page(call, &listing, err))
        return false;
    writer_array_end(writer);
    const char *cursor =
        listing.more ? arena_printf(call->arena, "%llu", (unsigned long long)listing.position)
                     : NULL;
    call_write_next(call, listing.forward ? "after" : "before", cursor);
    writer_object_end(writer);
    return true;
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
