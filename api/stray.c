/* SPDX-License-Identifier: Apache-2.0
 *
 * Strays of a source or destination: looked for and removed by a wish, shown as the last look found
 * them. */
#include "common/store/stray.h"

#include "api/endpoint.h"
#include "api/routes.h"
#include "api/wish.h"

bool stray_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"limit", "marker", NULL};
    struct stray_list list = {0};
    struct endpoint endpoint;
    struct page page;
    call_query_page(call, allowed, &page);
    if (!call_sound(call, err) ||
        !endpoint_named(call, (enum end)call->route->argument, call->params[0], &endpoint, err) ||
        !stray_list(call->store, call->arena, &endpoint.id, &page, &list, err))
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

bool endpoint_gc_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {NULL};
    enum end end = (enum end)call->route->argument;
    struct endpoint endpoint;
    struct reader *reader;
    call_query_allow(call, allowed);
    if (!call_read_body(call, false, &reader, err))
        return false;
    bool removes = reader_bool(reader, "remove", READER_OPTIONAL, false);
    reader_finish(reader);
    return call_sound(call, err) && endpoint_named(call, end, call->params[0], &endpoint, err) &&
           wish_answer(call, "gc", end == END_SOURCE ? OWNER_SOURCE : OWNER_DESTINATION,
                       &endpoint.id, endpoint.project,
                       removes ? "{\"remove\":true}" : "{\"remove\":false}", err);
}
