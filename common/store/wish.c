/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "wishes".
 */
#include "common/store/wish.h"

#include "common/store/query.h"

#define COLUMNS                                                                                    \
    "SELECT id, verb, owner_kind, owner_id, project, arguments_json, who, created_at, state, "     \
    "fault_code, fault_text, answer_json, finished_at FROM wishes"
enum column {
    ID,
    VERB,
    OWNER_KIND,
    OWNER_ID,
    PROJECT,
    ARGUMENTS,
    WHO,
    CREATED_AT,
    STATE,
    FAULT_CODE,
    FAULT_TEXT,
    ANSWER,
    FINISHED_AT
};

static void read_wish(const struct db_rows *rows, size_t row, struct wish *wish)
{
    wish->id = db_rows_uuid(rows, row, ID);
    wish->verb = db_rows_text(rows, row, VERB);
    wish->owner_kind = owner_kind_parse(db_rows_text(rows, row, OWNER_KIND));
    wish->owner_id = db_rows_uuid(rows, row, OWNER_ID);
    wish->project = db_rows_text(rows, row, PROJECT);
    wish->arguments_json = db_rows_text(rows, row, ARGUMENTS);
    wish->who = db_rows_text(rows, row, WHO);
    wish->created_at = db_rows_unsigned(rows, row, CREATED_AT);
    wish->state = db_rows_text(rows, row, STATE);
    wish->fault_code = db_rows_text(rows, row, FAULT_CODE);
    wish->fault_text = db_rows_text(rows, row, FAULT_TEXT);
    wish->answer_json = db_rows_text(rows, row, ANSWER);
    wish->finished_at = db_rows_unsigned(rows, row, FINISHED_AT);
}

bool wish_insert(struct store *store, const struct wish *wish, struct error *err)
{
    struct db_value values[] = {db_uuid(&wish->id),
                                db_text(wish->verb),
                                db_text(owner_kind_name(wish->owner_kind)),
                                db_uuid(&wish->owner_id),
                                db_text(wish->project),
                                db_text(wish->arguments_json),
                                db_text(wish->who)};
    return db_execute(store_db(store),
                      "INSERT INTO wishes (id, verb, owner_kind, owner_id, project, "
                      "arguments_json, who, created_at, due_at) VALUES (?, ?, ?, ?, ?, ?, "
                      "?, " STORE_NOW ", " STORE_NOW ")",
                      values, COUNT_OF(values), NULL, err);
}

bool wish_get(struct store *store, struct arena *arena, const char *project, const struct uuid *id,
              struct wish *ret_wish, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_bind(&query, COLUMNS " WHERE id = ?", db_uuid(id));
    query_match_text(&query, " AND project = ?", project);
    if (!query_run(&query, store, &rows, err))
        return false;
    if (db_rows_count(rows) == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no wish \"%s\"", UUID_TEXT(id));
    read_wish(rows, 0, ret_wish);
    return true;
}

static void read_list(const struct query *query, const struct db_rows *rows, size_t count,
                      struct wish_list *ret_list)
{
    struct wish_list list = {.count = count};
    list.items = arena_calloc(query->arena, count + 1, sizeof(*list.items));
    for (size_t i = 0; i < count; i++)
        read_wish(rows, i, &list.items[i]);
    if (count > 0 && query->most > 0)
        list.next = query_page_next(query, rows, &list.items[count - 1].id, "");
    *ret_list = list;
}

bool wish_list(struct store *store, struct arena *arena, const char *project,
               enum owner_kind owner_kind, const struct uuid *owner, const struct page *page,
               struct wish_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_bind(&query, COLUMNS " FORCE INDEX (by_owner) WHERE owner_kind = ?",
               db_text(owner_kind_name(owner_kind)));
    query_bind(&query, " AND owner_id = ?", db_uuid(owner));
    query_match_text(&query, " AND project = ?", project);
    if (!query_page_by_id(&query, "id", page, err) || !query_run(&query, store, &rows, err))
        return false;
    read_list(&query, rows, query_page_count(&query, rows), ret_list);
    return true;
}

bool wish_list_due(struct store *store, struct arena *arena, size_t most,
                   struct wish_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_bind(&query,
               COLUMNS " FORCE INDEX (by_due) WHERE due_at <= " STORE_NOW
                       " ORDER BY due_at, id LIMIT ?",
               db_unsigned(most));
    if (!query_run(&query, store, &rows, err))
        return false;
    read_list(&query, rows, db_rows_count(rows), ret_list);
    return true;
}
