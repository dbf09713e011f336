/* SPDX-License-Identifier: Apache-2.0 */
#include "api/node.h"

#include <string.h>

#include "api/routes.h"
#include "api/wish.h"
#include "proto/fault.h"
#include "proto/topology.h"

static void write_pools(struct writer *writer, const struct node_view *node)
{
    int64_t available = 0;
    uint64_t reserved = 0;
    writer_array_begin(writer, "pools");
    for (size_t i = 0; i < node->pool_count; i++) {
        const struct node_pool_view *pool = &node->pools[i];
        writer_object_begin(writer, NULL);
        writer_uuid(writer, "id", &pool->id);
        writer_text(writer, "path", pool->path);
        writer_unsigned(writer, "capacity_bytes", pool->capacity_bytes);
        writer_unsigned(writer, "used_bytes", pool->used_bytes);
        writer_unsigned(writer, "free_bytes", pool->free_bytes);
        writer_integer(writer, "available_bytes", pool->available_bytes);
        writer_time(writer, "reported_at", pool->reported_at);
        writer_object_end(writer);
        available += pool->available_bytes;
        int64_t promised = (int64_t)pool->free_bytes - pool->available_bytes;
        reserved += promised > 0 ? (uint64_t)promised : 0;
    }
    writer_array_end(writer);
    writer_unsigned(writer, "reserved_bytes", reserved);
    writer_integer(writer, "available_bytes", available);
}

static void write_json(struct writer *writer, const char *key, const char *json,
                       const char *standard)
{
    writer_raw(writer, key, json != NULL && json[0] != '\0' ? json : standard);
}

static void write_fields(struct writer *writer, const struct node_view *node)
{
    writer_uuid(writer, "id", &node->id);
    writer_text(writer, "name", node->name);
    writer_text(writer, "host", node->host);
    writer_text(writer, "instance", node->instance);
    writer_text(writer, "version", node->version);
    writer_text(writer, "state", node->state);
    writer_text(writer, "reason", node->reason);
    writer_bool(writer, "up", node->up);
    write_json(writer, "labels", node->labels_json, "[]");
    write_json(writer, "source_drivers", node->source_drivers_json, "[]");
    write_json(writer, "destination_drivers", node->destination_drivers_json, "[]");
    write_json(writer, "resources", node->resources_json, "{}");
    writer_unsigned(writer, "report_number", node->report_number);
    writer_time(writer, "first_seen_at", node->first_seen_at);
    writer_time(writer, "seen_at", node->seen_at);
    writer_unsigned(writer, "silent_ms", node->silent_ms);
    writer_unsigned(writer, "job_count", node->job_count);
    write_pools(writer, node);
}

static void write_jobs(struct writer *writer, const struct node_job_view *jobs, size_t count)
{
    writer_array_begin(writer, "jobs");
    for (size_t i = 0; i < count; i++) {
        const struct node_job_view *job = &jobs[i];
        writer_object_begin(writer, NULL);
        writer_uuid(writer, "id", &job->id);
        writer_text(writer, "kind", job_kind_name(job->kind));
        writer_text(writer, "owner_kind", owner_kind_name(job->owner_kind));
        writer_uuid(writer, "owner_id", &job->owner_id);
        writer_text(writer, "owner_name", job->owner_name);
        writer_text(writer, "project", job->project);
        writer_text(writer, "state", job->state);
        writer_unsigned(writer, "attempt", job->attempt);
        writer_unsigned(writer, "run", job->run);
        writer_unsigned(writer, "reserved_bytes", job->reserved_bytes);
        writer_unsigned(writer, "allocated_bytes", job->allocated_bytes);
        writer_time(writer, "assigned_at", job->assigned_at);
        writer_time(writer, "accepted_at", job->accepted_at);
        writer_time(writer, "renewed_at", job->renewed_at);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

bool node_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"limit", "marker", NULL};
    struct node_list list = {0};
    struct page page;
    call_query_page(call, allowed, &page);
    if (!call_sound(call, err) || !node_view_list(call->store, call->arena, &page, &list, err))
        return false;
    struct writer *writer = call_list_begin(call, "nodes");
    for (size_t i = 0; i < list.count; i++) {
        writer_object_begin(writer, NULL);
        write_fields(writer, &list.items[i]);
        writer_object_end(writer);
    }
    call_list_end(call, list.next);
    return true;
}

bool node_named(struct call *call, const char *name_or_id, struct node_view *ret_node,
                struct error *err)
{
    struct uuid id;
    if (!uuid_parse(name_or_id, &id) && !topology_node_name_is_valid(name_or_id))
        return error_set(err, &FAULT_NOT_FOUND, "there is no such node");
    return node_view_find(call->store, call->arena, name_or_id, ret_node, err);
}

/* The one in the path, of a call without a query. */
static bool get_node(struct call *call, struct node_view *ret_node, struct error *err)
{
    static const char *const allowed[] = {NULL};
    call_query_allow(call, allowed);
    return call_sound(call, err) && node_named(call, call->params[0], ret_node, err);
}

/* Jobs of other projects are nobody's business. */
static size_t keep_visible(const struct call *call, struct node_job_view *jobs, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (call->scope == NULL || strcmp(jobs[i].project, call->scope) == 0)
            jobs[kept++] = jobs[i];
    return kept;
}

bool node_show_serve(struct call *call, struct error *err)
{
    struct node_view node;
    struct node_job_view *jobs = NULL;
    size_t count = 0;
    if (!get_node(call, &node, err) ||
        !node_view_jobs(call->store, call->arena, &node.id, &jobs, &count, err))
        return false;
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    write_fields(writer, &node);
    write_jobs(writer, jobs, keep_visible(call, jobs, count));
    writer_object_end(writer);
    return true;
}

static const char *reason_json(struct call *call, const char *reason)
{
    json_t *arguments = json_pack("{ss}", "reason", reason != NULL ? reason : "");
    char *text = json_dumps(arguments, JSON_COMPACT);
    const char *copy = arena_strdup(call->arena, text);
    free(text);
    json_decref(arguments);
    return copy;
}

bool node_act_serve(struct call *call, struct error *err)
{
    static const char *const verbs[] = {"enable", "drain", "disable", "delete"};
    struct node_view node;
    struct reader *reader;
    if (!call_read_body(call, false, &reader, err))
        return false;
    const char *reason = reader_text(reader, "reason", READER_OPTIONAL, 0, 1024);
    reader_finish(reader);
    return get_node(call, &node, err) &&
           wish_answer(call, verbs[call->route->argument], OWNER_NODE, &node.id,
                       call->identity.project, reason_json(call, reason), err);
}
