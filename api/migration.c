/* SPDX-License-Identifier: Apache-2.0
 *
 * Migrations, shown and listed. */
#include "api/migration.h"

#include "api/api.h"
#include "api/batch.h"
#include "api/endpoint.h"
#include "api/problem.h"
#include "api/routes.h"
#include "common/store/migration_view.h"
#include "proto/fault.h"

/* -- written ------------------------------------------------------------------------------------- */

static void write_progress(struct writer *writer, const struct migration_view *view)
{
    writer_unsigned(writer, "total_bytes", view->total_bytes);
    writer_unsigned(writer, "done_bytes", view->done_bytes);
    writer_unsigned(writer, "read_bytes", view->read_bytes);
    writer_unsigned(writer, "written_bytes", view->written_bytes);
    writer_time(writer, "created_at", view->created_at);
    writer_time(writer, "updated_at", view->updated_at);
    writer_time(writer, "started_at", view->started_at);
    writer_time(writer, "finished_at", view->finished_at);
}

static void write_fields(struct writer *writer, const struct migration_view *view)
{
    writer_uuid(writer, "id", &view->id);
    writer_text(writer, "project", view->project);
    writer_uuid(writer, "vm_id", &view->vm_id);
    writer_text(writer, "vm_name", view->vm_name);
    writer_text(writer, "server_name", view->server_name);
    writer_uuid(writer, "source_id", &view->source_id);
    writer_text(writer, "source_name", view->source_name);
    writer_uuid(writer, "destination_id", &view->destination_id);
    writer_text(writer, "destination_name", view->destination_name);
    writer_text(writer, "state", migration_state_name(view->state));
    problem_write_fault(writer, "fault", view->fault_code, view->fault_text);
    writer_text(writer, "on_failure", view->on_failure);
    writer_bool(writer, "dry_run", view->dry_run);
    writer_text(writer, "who", view->who);
    writer_unsigned(writer, "version", view->version);
    writer_unsigned(writer, "attempt", view->attempt);
    writer_unsigned(writer, "retries", view->retries);
    writer_unsigned(writer, "resumes", view->resumes);
    writer_text(writer, "way",
                view->way != MIGRATION_UNKNOWN ? migration_state_name(view->way) : NULL);
    writer_uuid(writer, "job_id", &view->job_id);
    writer_uuid(writer, "node_id", &view->node_id);
    writer_text(writer, "node_name", view->node_name);
    write_progress(writer, view);
}

static void write_disks(struct writer *writer, const struct migration_detail *detail)
{
    writer_array_begin(writer, "disks");
    for (size_t i = 0; i < detail->disk_count; i++) {
        const struct migration_disk_view *disk = &detail->disks[i];
        writer_object_begin(writer, NULL);
        writer_unsigned(writer, "number", disk->number);
        writer_unsigned(writer, "capacity_bytes", disk->capacity_bytes);
        writer_unsigned(writer, "total_bytes", disk->total_bytes);
        writer_unsigned(writer, "done_bytes", disk->done_bytes);
        writer_unsigned(writer, "read_bytes", disk->read_bytes);
        writer_unsigned(writer, "written_bytes", disk->written_bytes);
        bool known = disk->digest != NULL && disk->digest[0] != '\0';
        writer_text(writer, "digest", known ? disk->digest : NULL);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

static void write_steps(struct writer *writer, const struct migration_detail *detail)
{
    writer_array_begin(writer, "steps");
    for (size_t i = 0; i < detail->step_count; i++) {
        const struct migration_step_view *step = &detail->steps[i];
        writer_object_begin(writer, NULL);
        writer_uuid(writer, "job_id", &step->job_id);
        writer_unsigned(writer, "attempt", step->attempt);
        writer_unsigned(writer, "number", step->number);
        writer_text(writer, "name", step->name);
        writer_text(writer, "state", step->state);
        writer_time(writer, "started_at", step->started_at);
        writer_time(writer, "finished_at", step->finished_at);
        problem_write_fault(writer, "fault", step->fault_code, step->fault_text);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

static void write_ledger(struct writer *writer, const struct migration_detail *detail)
{
    writer_array_begin(writer, "ledger");
    for (size_t i = 0; i < detail->ledger_count; i++) {
        const struct migration_ledger_view *entry = &detail->ledger[i];
        writer_object_begin(writer, NULL);
        writer_unsigned(writer, "position", entry->position);
        writer_text(writer, "end", end_name(entry->end));
        writer_text(writer, "kind", entry->kind);
        writer_text(writer, "key", entry->key);
        writer_text(writer, "state", ledger_state_name(entry->state));
        writer_text(writer, "external_id", entry->external_id);
        writer_raw(writer, "prior", entry->prior_json);
        writer_text(writer, "detail", entry->detail);
        writer_uuid(writer, "job_id", &entry->job_id);
        writer_unsigned(writer, "attempt", entry->attempt);
        writer_unsigned(writer, "run", entry->run);
        writer_time(writer, "created_at", entry->created_at);
        writer_time(writer, "updated_at", entry->updated_at);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

static void write_waiting(struct writer *writer, const struct migration_detail *detail)
{
    if (detail->view.state != MIGRATION_PENDING) {
        writer_null(writer, "waiting");
        return;
    }
    writer_object_begin(writer, "waiting");
    writer_time(writer, "tried_at", detail->reasons_at);
    writer_raw(writer, "reasons", detail->reasons_json);
    writer_object_end(writer);
}

static void migration_write(struct writer *writer, const void *row)
{
    const struct migration_detail *detail = row;
    writer_object_begin(writer, NULL);
    write_fields(writer, &detail->view);
    writer_raw(writer, "options", detail->options_json);
    write_waiting(writer, detail);
    writer_raw(writer, "faults", detail->faults_json);
    writer_raw(writer, "evidence", detail->evidence_json);
    writer_raw(writer, "server", detail->server_json);
    write_disks(writer, detail);
    write_steps(writer, detail);
    write_ledger(writer, detail);
    writer_object_end(writer);
}

/* -- shown --------------------------------------------------------------------------------------- */

static const char *migration_project(const void *row)
{
    return ((const struct migration_detail *)row)->view.project;
}

static bool migration_read(struct store *store, struct arena *arena, const struct uuid *ids,
                           size_t count, const void **ret_rows, struct error *err)
{
    struct migration_detail *details[BATCH_IDS_MOST];
    _Static_assert(BATCH_IDS_MOST <= MIGRATION_VIEW_BATCH, "a batch fits one read");
    if (!migration_view_get_many(store, arena, ids, count, details, err))
        return false;
    for (size_t i = 0; i < count; i++)
        ret_rows[i] = details[i];
    return true;
}

const struct batch_ops migration_batch_ops = {migration_read, migration_project, migration_write,
                                              "migration"};

bool migration_named(struct call *call, struct uuid *ret_id, struct error *err)
{
    const char *name = call->params[0];
    struct migration_filter filter = {.project = call->scope, .name = name};
    struct migration_list list = {0};
    struct page page = {.most = 1};
    if (uuid_parse(name, ret_id))
        return true;
    if (!call_name_is_sound(name))
        return error_set(err, &FAULT_NOT_FOUND, "there is no such migration");
    if (!migration_view_list(call->store, call->arena, &filter, &page, &list, err))
        return false;
    if (list.count == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no migration of a vm \"%s\"", name);
    if (list.next != NULL)
        return error_set(err, &FAULT_NAME_AMBIGUOUS, "there are several migrations of \"%s\"",
                         name);
    *ret_id = list.items[0].id;
    return true;
}

/* With the reason of every node, which is long and asked for rarely. */
static bool show_with_all_nodes(struct call *call, const struct uuid *id, struct error *err)
{
    struct migration_detail detail;
    if (!migration_view_get(call->store, call->arena, call->scope, id, &detail, err))
        return false;
    if (detail.view.state == MIGRATION_PENDING &&
        !migration_view_reasons(call->store, call->arena, call->scope, id, &detail.reasons_json,
                                err))
        return false;
    migration_write(call_json(call, 200), &detail);
    return true;
}

bool migration_show_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"nodes", NULL};
    static const char *const nodes[] = {"all", NULL};
    struct uuid id;
    call_query_allow(call, allowed);
    bool all = call_query_word(call, "nodes", -1, nodes) == 0;
    if (!call_sound(call, err) || !migration_named(call, &id, err))
        return false;
    if (all)
        return show_with_all_nodes(call, &id, err);
    batch_join(call->api->migrations, call, &id);
    return true;
}

/* -- listed -------------------------------------------------------------------------------------- */

static bool read_filter(struct call *call, struct migration_filter *ret_filter, struct error *err)
{
    const char *state = call_query(call, "state");
    const char *vm = call_query(call, "vm");
    *ret_filter = (struct migration_filter){.name = call_query(call, "name")};
    if (state != NULL) {
        ret_filter->state = migration_state_parse(state);
        if (ret_filter->state == MIGRATION_UNKNOWN)
            reader_complain(call_reader(call), "state", "is not a state of migrations");
    }
    if (vm != NULL && !uuid_parse(vm, &ret_filter->vm_id))
        ret_filter->name = vm; /* a vm may be gone, its migrations still carry its name */
    if (!call_sound(call, err) || !endpoint_query(call, END_SOURCE, &ret_filter->source_id, err) ||
        !endpoint_query(call, END_DESTINATION, &ret_filter->destination_id, err))
        return false;
    ret_filter->project = call->scope;
    return true;
}

bool migration_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"limit",  "marker",      "order", "project", "state",
                                          "source", "destination", "vm",    "name",    NULL};
    struct migration_filter filter;
    struct migration_list list = {0};
    struct page page;
    call_query_page(call, allowed, &page);
    if (!read_filter(call, &filter, err) ||
        !migration_view_list(call->store, call->arena, &filter, &page, &list, err))
        return false;
    struct writer *writer = call_list_begin(call, "migrations");
    for (size_t i = 0; i < list.count; i++) {
        writer_object_begin(writer, NULL);
        write_fields(writer, &list.items[i]);
        writer_object_end(writer);
    }
    call_list_end(call, list.next);
    return true;
}
