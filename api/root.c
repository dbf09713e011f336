/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "api/api.h"
#include "api/routes.h"
#include "common/daemon/health.h"
#include "proto/fault.h"

static void write_links(struct writer *writer, const char *const *names, const char *prefix)
{
    char path[64];
    writer_object_begin(writer, "links");
    for (size_t i = 0; names[i] != NULL; i++) {
        snprintf(path, sizeof(path), "%s%s", prefix, names[i]);
        writer_text(writer, names[i], path);
    }
    writer_object_end(writer);
}

bool root_serve(struct call *call, struct error *err)
{
    static const char *const links[] = {"v1", "healthz", "readyz", "metrics", NULL};
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    writer_text(writer, "name", "guts");
    writer_text(writer, "version", GUTS_VERSION);
    writer_array_begin(writer, "versions");
    writer_object_begin(writer, NULL);
    writer_text(writer, "id", "v1");
    writer_text(writer, "status", "current");
    writer_text(writer, "href", "/v1");
    writer_object_end(writer);
    writer_array_end(writer);
    write_links(writer, links, "/");
    writer_object_end(writer);
    return true;
}

bool version_serve(struct call *call, struct error *err)
{
    static const char *const links[] = {"drivers", "sources", "destinations", "vms", "migrations",
                                        "events",  "nodes",   "services",     NULL};
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    writer_text(writer, "id", "v1");
    writer_text(writer, "status", "current");
    writer_text(writer, "version", GUTS_VERSION);
    write_links(writer, links, "/v1/");
    writer_object_end(writer);
    return true;
}

bool health_serve_call(struct call *call, struct error *err)
{
    if (health_answer(call->api->health, call->request, call->answer))
        return true;
    return error_set(err, &FAULT_NOT_FOUND, "there is no such path");
}
