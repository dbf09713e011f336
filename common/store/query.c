/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/query.h"

#include <assert.h>
#include <string.h>

void query_fini(struct query *query)
{
    buffer_fini(&query->text);
}

void query_add(struct query *query, const char *piece)
{
    buffer_append_text(&query->text, piece);
}

void query_bind(struct query *query, const char *piece, struct db_value value)
{
    assert(query->count < QUERY_VALUES_MOST);
    query_add(query, piece);
    query->values[query->count++] = value;
}

void query_match_text(struct query *query, const char *piece, const char *text)
{
    if (text != NULL)
        query_bind(query, piece, db_text(text));
}

void query_match_uuid(struct query *query, const char *piece, const struct uuid *id)
{
    if (!uuid_is_nil(id))
        query_bind(query, piece, db_uuid(id));
}

static bool page_begin(struct query *query, const struct page *page, struct page_cursor *ret_cursor,
                       bool *ret_continued, struct error *err)
{
    *ret_continued = page->cursor != NULL && page->cursor[0] != '\0';
    return page_limit(page, &query->most, err) &&
           (!*ret_continued || page_cursor_parse(query->arena, page->cursor, ret_cursor, err));
}

static void add_column(struct query *query, const char *before, const char *column,
                       const char *behind)
{
    query_add(query, before);
    query_add(query, column);
    query_add(query, behind);
}

static void add_order(struct query *query, const char *key, const char *id, bool descending)
{
    const char *direction = descending ? " DESC" : "";
    add_column(query, " ORDER BY ", key, direction);
    if (id != NULL)
        add_column(query, ", ", id, direction);
    query_bind(query, " LIMIT ?", db_unsigned(query->most));
}

static void bind_id(struct query *query, const struct uuid *id)
{
    const struct uuid *kept = arena_memdup(query->arena, id, sizeof(*id));
    query_bind(query, "?", db_bytes(kept->bytes, UUID_BYTES));
}

bool query_page_by_id(struct query *query, const char *id, const struct page *page,
                      struct error *err)
{
    struct page_cursor cursor;
    bool continued;
    if (!page_begin(query, page, &cursor, &continued, err))
        return false;
    if (continued) {
        add_column(query, " AND ", id, page->descending ? " < " : " > ");
        bind_id(query, &cursor.id);
    }
    add_order(query, id, NULL, page->descending);
    return true;
}

/* (key, id) > (?, ?), written so that both servers read two ranges of the index from it. */
bool query_page_by_key(struct query *query, const char *key, const char *id,
                       const struct page *page, struct error *err)
{
    struct page_cursor cursor;
    bool continued;
    const char *beyond = page->descending ? " < " : " > ";
    if (!page_begin(query, page, &cursor, &continued, err))
        return false;
    if (continued) {
        add_column(query, " AND (", key, beyond);
        query_bind(query, "?", db_text(cursor.key));
        if (id != NULL) {
            add_column(query, " OR (", key, " = ");
            query_bind(query, "?", db_text(cursor.key));
            add_column(query, " AND ", id, beyond);
            bind_id(query, &cursor.id);
            query_add(query, ")");
        }
        query_add(query, ")");
    }
    add_order(query, key, id, page->descending);
    return true;
}

bool query_run(struct query *query, struct store *store, struct db_rows **ret_rows,
               struct error *err)
{
    return db_query(store_db(store), query->arena, query->text.data, query->values, query->count,
                    ret_rows, err);
}

size_t query_page_count(const struct query *query, const struct db_rows *rows)
{
    size_t count = db_rows_count(rows);
    return count < query->most ? count : query->most - 1;
}

const char *query_page_next(const struct query *query, const struct db_rows *rows,
                            const struct uuid *last_id, const char *last_key)
{
    struct page_cursor cursor = {*last_id, last_key};
    if (db_rows_count(rows) < query->most)
        return NULL;
    return page_cursor_format(query->arena, &cursor);
}
