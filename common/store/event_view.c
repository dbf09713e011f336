/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "events".
 */
#include "common/store/event_view.h"

#include "common/store/query.h"

#define EVENTS_MOST 1000

static const char *index_hint(const struct event_filter *filter)
{
    if (!uuid_is_nil(&filter->owner_id))
        return " FORCE INDEX (by_owner)";
    return filter->project != NULL ? " FORCE INDEX (by_project)" : " FORCE INDEX (PRIMARY)";
}

static void read_event(const struct db_rows *rows, size_t row, struct event_view *event)
{
    event->number = db_rows_unsigned(rows, row, 0);
    event->at = db_rows_unsigned(rows, row, 1);
    event->project = db_rows_text(rows, row, 2);
    event->kind = db_rows_text(rows, row, 3);
    event->severity = db_rows_text(rows, row, 4);
    event->owner_kind = owner_kind_parse(db_rows_text(rows, row, 5));
    event->owner_id = db_rows_uuid(rows, row, 6);
    event->text = db_rows_text(rows, row, 7);
    event->data_json = db_rows_text(rows, row, 8);
}

static bool run_list(struct query *query, struct store *store, const struct event_filter *filter,
                     const char *tail, size_t most, struct event_view **ret_events,
                     size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    if (most == 0 || most > EVENTS_MOST)
        return error_set(err, &FAULT_INVALID, "a page holds 1 to %d events, not %zu", EVENTS_MOST,
                         most);
    query_match_text(query, " AND project = ?", filter->project);
    query_match_uuid(query, " AND owner_id = ?", &filter->owner_id);
    query_bind(query, tail, db_unsigned(most));
    if (!query_run(query, store, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct event_view *events = arena_calloc(query->arena, count + 1, sizeof(*events));
    for (size_t i = 0; i < count; i++)
        read_event(rows, i, &events[i]);
    *ret_events = events;
    *ret_count = count;
    return true;
}

static void begin_list(struct query *query, const struct event_filter *filter)
{
    query_add(query, "SELECT number, at, project, kind, severity, owner_kind, owner_id, text, "
                     "data_json FROM events");
    query_add(query, index_hint(filter));
}

bool event_view_after(struct store *store, struct arena *arena, const struct event_filter *filter,
                      uint64_t after, size_t most, struct event_view **ret_events,
                      size_t *ret_count, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    begin_list(&query, filter);
    query_bind(&query, " WHERE number > ?", db_unsigned(after));
    return run_list(&query, store, filter, " ORDER BY number LIMIT ?", most, ret_events, ret_count,
                    err);
}

bool event_view_before(struct store *store, struct arena *arena, const struct event_filter *filter,
                       uint64_t before, size_t most, struct event_view **ret_events,
                       size_t *ret_count, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    begin_list(&query, filter);
    query_bind(&query, " WHERE number < ?", db_unsigned(before != 0 ? before : UINT64_MAX));
    return run_list(&query, store, filter, " ORDER BY number DESC LIMIT ?", most, ret_events,
                    ret_count, err);
}

/* The leader writes its row and the events in one transaction. */
bool event_view_highest(struct store *store, uint64_t *ret_number, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    if (!db_query(store_db(store), arena, "SELECT event_number FROM leader WHERE one = 1", NULL, 0,
                  &rows, err))
        return false;
    *ret_number = db_rows_count(rows) > 0 ? db_rows_unsigned(rows, 0, 0) : 0;
    return true;
}

bool event_view_lowest(struct store *store, uint64_t *ret_number, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    if (!db_query(store_db(store), arena, "SELECT number FROM events ORDER BY number LIMIT 1", NULL,
                  0, &rows, err))
        return false;
    *ret_number = db_rows_count(rows) > 0 ? db_rows_unsigned(rows, 0, 0) : 0;
    return true;
}

bool event_view_went_back(struct store *store, uint64_t last, uint64_t last_at, bool *ret_back,
                          uint64_t *ret_highest, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const struct db_value value = db_unsigned(last);
    struct db_rows *rows;
    if (!db_query(
            store_db(store), arena,
            "SELECT (SELECT event_number FROM leader WHERE one = 1), (SELECT MAX(number) FROM "
            "events), (SELECT at FROM events WHERE number = ?)",
            &value, 1, &rows, err))
        return false;
    uint64_t given = db_rows_unsigned(rows, 0, 0), stored = db_rows_unsigned(rows, 0, 1),
             at = db_rows_unsigned(rows, 0, 2);
    *ret_highest = given > stored ? given : stored;
    *ret_back = *ret_highest < last || (last_at != 0 && at != 0 && at != last_at);
    return true;
}
