/* SPDX-License-Identifier: Apache-2.0
 *
 * Which daemons are up: those that keep a row alive, and the nodes by their reports. */
#include "common/store/service.h"

#include <string.h>

#include "api/routes.h"
#include "common/store/node_view.h"

#define SILENT_MOST_MS 20000 /* rows are renewed every few seconds */

static void write_service(struct writer *writer, const struct service *service, bool up)
{
    writer_object_begin(writer, NULL);
    writer_text(writer, "name", service->name);
    writer_text(writer, "kind", service->kind);
    writer_text(writer, "host", service->host);
    writer_text(writer, "instance", service->instance);
    writer_text(writer, "version", service->version);
    writer_text(writer, "role", service->role);
    writer_bool(writer, "up", up);
    writer_unsigned(writer, "silent_ms", service->silent_ms);
    writer_time(writer, "started_at", service->started_at);
    writer_time(writer, "seen_at", service->seen_at);
    writer_object_end(writer);
}

static bool write_nodes(struct call *call, struct error *err)
{
    struct page page = {.most = PAGE_MOST};
    struct node_list list = {0};
    do {
        page.cursor = list.next;
        if (!node_view_list(call->store, call->arena, &page, &list, err))
            return false;
        for (size_t i = 0; i < list.count; i++) {
            const struct node_view *node = &list.items[i];
            struct service service = {
                .name = arena_printf(call->arena, "guts-migration@%s", node->name),
                .kind = "migration",
                .host = node->host,
                .instance = node->instance,
                .version = node->version,
                .role = node->state,
                .seen_at = node->seen_at,
                .silent_ms = node->silent_ms};
            write_service(&call->writer, &service, node->up);
        }
    } while (list.next != NULL);
    return true;
}

bool service_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {NULL};
    struct service *services = NULL;
    size_t count = 0;
    call_query_allow(call, allowed);
    if (!call_sound(call, err) || !service_list(call->store, call->arena, &services, &count, err))
        return false;
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    writer_array_begin(writer, "services");
    for (size_t i = 0; i < count; i++)
        write_service(writer, &services[i], services[i].silent_ms < SILENT_MOST_MS);
    if (!write_nodes(call, err))
        return false;
    writer_array_end(writer);
    writer_null(writer, "next");
    writer_object_end(writer);
    return true;
}
