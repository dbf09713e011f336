/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "migrations": lists.
 */
#include "common/store/migration_view.h"

#include "common/store/migration_row.h"
#include "common/store/query.h"

static enum migration_state parse_state(const char *text)
{
    return text != NULL ? migration_state_parse(text) : MIGRATION_UNKNOWN;
}

static void read_names(const struct db_rows *rows, size_t row, struct migration_view *view)
{
    view->project = db_rows_text(rows, row, ROW_PROJECT);
    view->source_name = db_rows_text(rows, row, ROW_SOURCE_NAME);
    view->destination_name = db_rows_text(rows, row, ROW_DESTINATION_NAME);
    view->vm_name = db_rows_text(rows, row, ROW_VM_NAME);
    view->server_name = db_rows_text(rows, row, ROW_SERVER_NAME);
    view->on_failure = db_rows_text(rows, row, ROW_ON_FAILURE);
    view->who = db_rows_text(rows, row, ROW_WHO);
    view->node_name = db_rows_text(rows, row, ROW_NODE_NAME);
    view->fault_code = db_rows_text(rows, row, ROW_FAULT_CODE);
    view->fault_text = db_rows_text(rows, row, ROW_FAULT_TEXT);
    view->state = parse_state(db_rows_text(rows, row, ROW_STATE));
    view->way = parse_state(db_rows_text(rows, row, ROW_WAY));
}

static void read_ids(const struct db_rows *rows, size_t row, struct migration_view *view)
{
    view->id = db_rows_uuid(rows, row, ROW_ID);
    view->vm_id = db_rows_uuid(rows, row, ROW_VM_ID);
    view->source_id = db_rows_uuid(rows, row, ROW_SOURCE_ID);
    view->destination_id = db_rows_uuid(rows, row, ROW_DESTINATION_ID);
    view->job_id = db_rows_uuid(rows, row, ROW_JOB_ID);
    view->node_id = db_rows_uuid(rows, row, ROW_NODE_ID);
}

static void read_numbers(const struct db_rows *rows, size_t row, struct migration_view *view)
{
    view->dry_run = db_rows_unsigned(rows, row, ROW_DRY_RUN) != 0;
    view->version = (uint32_t)db_rows_unsigned(rows, row, ROW_VERSION);
    view->attempt = (uint32_t)db_rows_unsigned(rows, row, ROW_ATTEMPT);
    view->retries = (uint32_t)db_rows_unsigned(rows, row, ROW_RETRIES);
    view->resumes = (uint32_t)db_rows_unsigned(rows, row, ROW_RESUMES);
    view->total_bytes = db_rows_unsigned(rows, row, ROW_TOTAL);
    view->done_bytes = db_rows_unsigned(rows, row, ROW_DONE);
    view->read_bytes = db_rows_unsigned(rows, row, ROW_READ);
    view->written_bytes = db_rows_unsigned(rows, row, ROW_WRITTEN);
    view->created_at = db_rows_unsigned(rows, row, ROW_CREATED_AT);
    view->updated_at = db_rows_unsigned(rows, row, ROW_UPDATED_AT);
    view->started_at = db_rows_unsigned(rows, row, ROW_STARTED_AT);
    view->finished_at = db_rows_unsigned(rows, row, ROW_FINISHED_AT);
    view->due_at = db_rows_unsigned(rows, row, ROW_DUE_AT);
}

void migration_row_read(const struct db_rows *rows, size_t row, struct migration_view *ret_view)
{
    read_ids(rows, row, ret_view);
    read_names(rows, row, ret_view);
    read_numbers(rows, row, ret_view);
}

/* The index that gives the order under the narrowest filter; the optimizer is told, so that no
 * estimate of its own makes it sort all that matches for each page. */
static const char *index_hint(const struct migration_filter *filter)
{
    if (!uuid_is_nil(&filter->vm_id))
        return " FORCE INDEX (by_vm)";
    if (filter->name != NULL)
        return " FORCE INDEX (by_vm_name)";
    if (filter->state != MIGRATION_UNKNOWN)
        return filter->project != NULL ? " FORCE INDEX (by_state)" : " FORCE INDEX (by_state_site)";
    if (!uuid_is_nil(&filter->source_id))
        return " FORCE INDEX (by_source)";
    if (!uuid_is_nil(&filter->destination_id))
        return " FORCE INDEX (by_destination)";
    return filter->project != NULL ? " FORCE INDEX (by_project)" : " FORCE INDEX (PRIMARY)";
}

static void add_filter(struct query *query, const struct migration_filter *filter)
{
    query_add(query, " WHERE 1 = 1");
    query_match_text(query, " AND m.project = ?", filter->project);
    if (filter->state != MIGRATION_UNKNOWN)
        query_bind(query, " AND m.state = ?", db_text(migration_state_name(filter->state)));
    query_match_uuid(query, " AND m.source_id = ?", &filter->source_id);
    query_match_uuid(query, " AND m.destination_id = ?", &filter->destination_id);
    query_match_uuid(query, " AND m.vm_id = ?", &filter->vm_id);
    query_match_text(query, " AND m.vm_name = ?", filter->name);
}

bool migration_view_list(struct store *store, struct arena *arena,
                         const struct migration_filter *filter, const struct page *page,
                         struct migration_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_add(&query, "SELECT " MIGRATION_ROW_COLUMNS " FROM migrations m");
    query_add(&query, index_hint(filter));
    query_add(&query, MIGRATION_ROW_JOINS);
    add_filter(&query, filter);
    if (!query_page_by_id(&query, "m.id", page, err) || !query_run(&query, store, &rows, err))
        return false;
    struct migration_list list = {.count = query_page_count(&query, rows)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++)
        migration_row_read(rows, i, &list.items[i]);
    if (list.count > 0)
        list.next = query_page_next(&query, rows, &list.items[list.count - 1].id, "");
    *ret_list = list;
    return true;
}

bool migration_view_reasons(struct store *store, struct arena *arena, const char *project,
                            const struct uuid *id, const char **ret_all_json, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_bind(&query,
               "SELECT g.all_json FROM migrations m LEFT JOIN needs g ON g.hash = m.needs_hash "
               "AND m.state = 'PENDING' WHERE m.id = ?",
               db_uuid(id));
    query_match_text(&query, " AND m.project = ?", project);
    if (!query_run(&query, store, &rows, err))
        return false;
    if (db_rows_count(rows) == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no migration \"%s\"", UUID_TEXT(id));
    *ret_all_json = db_rows_text(rows, 0, 0);
    return true;
}
