/* SPDX-License-Identifier: Apache-2.0
 *
 * Strays of a source, a destination or a node: looked for and removed by a wish, shown as the last look found
 * them. */
#include "common/store/stray.h"

#include "api/endpoint.h"
#include "api/node.h"
#include "api/routes.h"
#include "api/wish.h"

static bool serve_list(struct call *call, const struct uuid *place, const struct page *page,
                       struct error *err)
{
    struct stray_list list = {0};
    if (!stray_list(call->store, call->arena, place, page, &list, err))
        return false;
    struct writer *writer = call_list_begin(call, "strays");
    for (size_t i = 0; i < list.count; i++) {
        writer_object_begin(writer, NULL);
        writer_text(writer, "kind", list.items[i].kind);
        writer_text(writer, "key", list.items[i].key);
        writer_uuid(writer, "migration", &list.items[i].migration);
        writer_raw(writer, "detail", list.items[i].detail_json);
        writer_object_end(writer);
    }
    call_list_end(call, list.next);
    return true;
}

static const char *const list_query[] = {"limit", "marker", NULL};

bool stray_list_serve(struct call *call, struct error *err)
{
    struct endpoint endpoint;
    struct page page;
    call_query_page(call, list_query, &page);
    return call_sound(call, err) &&
           endpoint_named(call, (enum end)call->route->argument, call->params[0], &endpoint, err) &&
           serve_list(call, &endpoint.id, &page, err);
}

bool node_stray_list_serve(struct call *call, struct error *err)
{
    struct node_view node;
    struct page page;
    call_query_page(call, list_query, &page);
    return call_sound(call, err) && node_named(call, call->params[0], &node, err) &&
           serve_list(call, &node.id, &page, err);
}

/* The wish's arguments, of the call's body. */
static bool read_arguments(struct call *call, const char **ret_arguments_json, struct error *err)
{
    static const char *const allowed[] = {NULL};
    struct reader *reader;
    call_query_allow(call, allowed);
    if (!call_read_body(call, false, &reader, err))
        return false;
    bool removes = reader_bool(reader, "remove", READER_OPTIONAL, false);
    reader_finish(reader);
    *ret_arguments_json = removes ? "{\"remove\":true}" : "{\"remove\":false}";
    return call_sound(call, err);
}

bool endpoint_gc_serve(struct call *call, struct error *err)
{
    enum end end = (enum end)call->route->argument;
    struct endpoint endpoint;
    const char *arguments;
    return read_arguments(call, &arguments, err) &&
           endpoint_named(call, end, call->params[0], &endpoint, err) &&
           wish_answer(call, "gc", end == END_SOURCE ? OWNER_SOURCE : OWNER_DESTINATION,
                       &endpoint.id, endpoint.project, arguments, err);
}

bool node_gc_serve(struct call *call, struct error *err)
{
    struct node_view node;
    const char *arguments;
    return read_arguments(call, &arguments, err) && node_named(call, call->params[0], &node, err) &&
           wish_answer(call, "gc", OWNER_NODE, &node.id, call->identity.project, arguments, err);
}
