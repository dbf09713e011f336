/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "catalogues". A cursor holds "kind/item"; kinds are words without "/".
 */
#include "common/store/catalogue_view.h"

#include <string.h>

#include "common/store/query.h"

static bool destination_exists(struct store *store, struct arena *arena, const char *project,
                               const struct uuid *destination, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_bind(&query, "SELECT 1 FROM destinations WHERE id = ?", db_uuid(destination));
    query_match_text(&query, " AND project = ?", project);
    if (!query_run(&query, store, &rows, err))
        return false;
    if (db_rows_count(rows) == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no destination \"%s\"",
                         UUID_TEXT(destination));
    return true;
}

/* (kind, item) beyond the cursor's: two ranges of the primary key. */
static bool add_page(struct query *query, const struct page *page, struct error *err)
{
    struct page_cursor cursor;
    if (!page_limit(page, &query->most, err))
        return false;
    if (page->cursor != NULL && page->cursor[0] != '\0') {
        if (!page_cursor_parse(query->arena, page->cursor, &cursor, err))
            return false;
        const char *slash = strchr(cursor.key, '/');
        if (slash == NULL)
            return error_set(err, &FAULT_INVALID, "the cursor is of another list");
        const char *kind = arena_strndup(query->arena, cursor.key, (size_t)(slash - cursor.key));
        query_bind(query, page->descending ? " AND (kind < ?" : " AND (kind > ?", db_text(kind));
        query_bind(query, " OR (kind = ?", db_text(kind));
        query_bind(query, page->descending ? " AND item < ?))" : " AND item > ?))",
                   db_text(slash + 1));
    }
    query_add(query, page->descending ? " ORDER BY kind DESC, item DESC" : " ORDER BY kind, item");
    query_bind(query, " LIMIT ?", db_unsigned(query->most));
    return true;
}

static void read_item(const struct db_rows *rows, size_t row, struct catalogue_item *item)
{
    item->kind = db_rows_text(rows, row, 0);
    item->item = db_rows_text(rows, row, 1);
    item->name = db_rows_text(rows, row, 2);
    item->detail_json = db_rows_text(rows, row, 3);
}

bool catalogue_view_list(struct store *store, struct arena *arena, const char *project,
                         const struct uuid *destination, const char *kind, const struct page *page,
                         struct catalogue_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    if (!destination_exists(store, arena, project, destination, err))
        return false;
    query_bind(&query,
               "SELECT kind, item, name, detail_json FROM catalogues"
               " WHERE destination_id = ?",
               db_uuid(destination));
    query_match_text(&query, " AND kind = ?", kind);
    if (!add_page(&query, page, err) || !query_run(&query, store, &rows, err))
        return false;
    struct catalogue_list list = {.count = query_page_count(&query, rows)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++)
        read_item(rows, i, &list.items[i]);
    if (list.count > 0) {
        const struct catalogue_item *last = &list.items[list.count - 1];
        list.next = query_page_next(&query, rows, destination,
                                    arena_printf(arena, "%s/%s", last->kind, last->item));
    }
    *ret_list = list;
    return true;
}

bool catalogue_view_kind(struct store *store, struct arena *arena, const struct uuid *destination,
                         const char *kind, size_t most, struct catalogue_item **ret_items,
                         size_t *ret_count, bool *ret_whole, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_bind(&query,
               "SELECT kind, item, name, detail_json FROM catalogues WHERE destination_id = ?",
               db_uuid(destination));
    query_bind(&query, " AND kind = ?", db_text(kind));
    query_bind(&query, " ORDER BY item LIMIT ?", db_unsigned(most + 1));
    if (!query_run(&query, store, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    *ret_whole = count <= most;
    *ret_count = *ret_whole ? count : most;
    *ret_items = arena_calloc(arena, *ret_count + 1, sizeof(**ret_items));
    for (size_t i = 0; i < *ret_count; i++)
        read_item(rows, i, &(*ret_items)[i]);
    return true;
}
