/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and destinations: shown, listed, deleted, tested, refreshed. */
#include "api/endpoint.h"

#include "api/problem.h"
#include "api/routes.h"
#include "api/wish.h"
#include "common/base/seals.h"
#include "common/store/catalogue_view.h"
#include "proto/fault.h"

bool endpoint_named(struct call *call, enum end end, const char *name_or_id,
                    struct endpoint *ret_endpoint, struct error *err)
{
    if (!call_name_is_sound(name_or_id))
        return error_set(err, &FAULT_NOT_FOUND, "there is no such %s", end_name(end));
    if (endpoint_find(call->store, call->arena, end, call->scope, name_or_id, ret_endpoint, err))
        return true;
    if (err->fault == &FAULT_NOT_FOUND)
        error_set(err, &FAULT_NOT_FOUND, "there is no %s \"%s\"", end_name(end), name_or_id);
    return false;
}

bool endpoint_query(struct call *call, enum end end, struct uuid *ret_id, struct error *err)
{
    struct endpoint endpoint;
    const char *text = call_query(call, end_name(end));
    *ret_id = (struct uuid){{0}};
    if (text == NULL)
        return true;
    if (!endpoint_named(call, end, text, &endpoint, err))
        return false;
    *ret_id = endpoint.id;
    return true;
}

/* Their names alone. */
static void write_secrets(struct writer *writer, const struct endpoint_definition *definition)
{
    struct seals_item item;
    size_t position = 0;
    writer_array_begin(writer, "secrets");
    while (seals_next(definition->seal, definition->seal_length, &position, &item))
        writer_text(writer, NULL, item.name);
    writer_array_end(writer);
}

void endpoint_write(struct writer *writer, enum end end, const struct endpoint *endpoint)
{
    const struct endpoint_definition *definition = &endpoint->definition;
    writer_object_begin(writer, NULL);
    writer_uuid(writer, "id", &endpoint->id);
    writer_text(writer, "project", endpoint->project);
    writer_text(writer, "name", definition->name);
    writer_text(writer, "driver", definition->driver);
    writer_text(writer, "description", definition->description);
    writer_raw(writer, "settings", definition->settings_json);
    writer_text(writer, "address", definition->address);
    writer_bool(writer, "sealed", definition->seal != NULL && definition->seal_length > 0);
    write_secrets(writer, definition);
    writer_raw(writer, "labels", definition->labels_json != NULL ? definition->labels_json : "[]");
    writer_text(writer, "state", endpoint->state);
    problem_write_fault(writer, "fault", endpoint->fault_code, endpoint->fault_text);
    if (end == END_SOURCE)
        writer_unsigned(writer, "vm_count", endpoint->vm_count);
    writer_time(writer, "created_at", endpoint->created_at);
    writer_time(writer, "updated_at", endpoint->updated_at);
    writer_time(writer, "refreshed_at", endpoint->refreshed_at);
    writer_object_end(writer);
}

static bool endpoint_of(struct call *call, struct endpoint *ret_endpoint, struct error *err)
{
    static const char *const allowed[] = {NULL};
    call_query_allow(call, allowed);
    return call_sound(call, err) && endpoint_named(call, (enum end)call->route->argument,
                                                   call->params[0], ret_endpoint, err);
}

bool endpoint_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"limit", "marker", "order", "project", "name", NULL};
    enum end end = (enum end)call->route->argument;
    struct endpoint_list list = {0};
    struct page page;
    call_query_page(call, allowed, &page);
    const char *name = call_query(call, "name");
    if (!call_sound(call, err) ||
        !endpoint_list(call->store, call->arena, end, call->scope, name, &page, &list, err))
        return false;
    struct writer *writer = call_list_begin(call, end == END_SOURCE ? "sources" : "destinations");
    for (size_t i = 0; i < list.count; i++)
        endpoint_write(writer, end, &list.items[i]);
    call_list_end(call, list.next);
    return true;
}

bool endpoint_show_serve(struct call *call, struct error *err)
{
    struct endpoint endpoint;
    if (!endpoint_of(call, &endpoint, err))
        return false;
    endpoint_write(call_json(call, 200), (enum end)call->route->argument, &endpoint);
    return true;
}

bool endpoint_delete_serve(struct call *call, struct error *err)
{
    struct endpoint endpoint;
    if (!endpoint_of(call, &endpoint, err) ||
        !endpoint_delete(call->store, (enum end)call->route->argument, call->scope, &endpoint.id,
                         err))
        return false;
    call->answer->status = 204;
    return true;
}

static bool endpoint_wish(struct call *call, const char *verb, struct error *err)
{
    struct endpoint endpoint;
    struct reader *reader;
    if (!endpoint_of(call, &endpoint, err) || !call_read_body(call, false, &reader, err))
        return false;
    reader_finish(reader);
    enum owner_kind kind = call->route->argument == END_SOURCE ? OWNER_SOURCE : OWNER_DESTINATION;
    return call_sound(call, err) &&
           wish_answer(call, verb, kind, &endpoint.id, endpoint.project, NULL, err);
}

bool endpoint_test_serve(struct call *call, struct error *err)
{
    return endpoint_wish(call, "test", err);
}

bool endpoint_refresh_serve(struct call *call, struct error *err)
{
    return endpoint_wish(call, "refresh", err);
}

bool catalogue_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"limit", "marker", "kind", NULL};
    struct catalogue_list list = {0};
    struct endpoint endpoint;
    struct page page;
    call_query_page(call, allowed, &page);
    const char *kind = call_query(call, "kind");
    if (kind != NULL && !call_word_is_sound(kind))
        reader_complain(call_reader(call), "kind", "must be a word");
    if (!call_sound(call, err) ||
        !endpoint_named(call, END_DESTINATION, call->params[0], &endpoint, err) ||
        !catalogue_view_list(call->store, call->arena, call->scope, &endpoint.id, kind, &page,
                             &list, err))
        return false;
    struct writer *writer = call_list_begin(call, "catalogue");
    for (size_t i = 0; i < list.count; i++) {
        writer_object_begin(writer, NULL);
        writer_text(writer, "kind", list.items[i].kind);
        writer_text(writer, "id", list.items[i].item);
        writer_text(writer, "name", list.items[i].name);
        writer_raw(writer, "detail", list.items[i].detail_json);
        writer_object_end(writer);
    }
    call_list_end(call, list.next);
    return true;
}
