/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "strays". A cursor holds "kind/key"; kinds are words without "/".
 */
#include "common/store/stray.h"

#include <string.h>

#include "common/store/query.h"

#define COLUMNS "SELECT kind, item, migration_id, detail_json FROM strays WHERE endpoint_id = ?"

static void read_stray(const struct db_rows *rows, size_t row, struct stray *stray)
{
    *stray = (struct stray){db_rows_text(rows, row, 0), db_rows_text(rows, row, 1),
                            db_rows_uuid(rows, row, 2), db_rows_text(rows, row, 3)};
}

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
        const char *kind =
            arena_printf(query->arena, "%.*s", (int)(slash - cursor.key), cursor.key);
        query_bind(query, " AND (kind > ?", db_text(kind));
        query_bind(query, " OR (kind = ?", db_text(kind));
        query_bind(query, " AND item > ?))", db_text(slash + 1));
    }
    query_bind(query, " ORDER BY kind, item LIMIT ?", db_unsigned(query->most));
    return true;
}

bool stray_list(struct store *store, struct arena *arena, const struct uuid *endpoint,
                const struct page *page, struct stray_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_bind(&query, COLUMNS, db_uuid(endpoint));
    if (!add_page(&query, page, err) || !query_run(&query, store, &rows, err))
        return false;
    struct stray_list list = {.count = query_page_count(&query, rows)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++)
        read_stray(rows, i, &list.items[i]);
    if (list.count > 0) {
        const struct stray *last = &list.items[list.count - 1];
        list.next = query_page_next(&query, rows, endpoint,
                                    arena_printf(arena, "%s/%s", last->kind, last->key));
    }
    *ret_list = list;
    return true;
}

bool stray_load(struct db *db, struct arena *arena, const struct uuid *endpoint, size_t most,
                struct stray **ret_strays, size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    const struct db_value values[] = {db_uuid(endpoint), db_unsigned(most)};
    if (!db_query(db, arena, COLUMNS " ORDER BY kind, item LIMIT ?", values, COUNT_OF(values),
                  &rows, err))
        return false;
    *ret_count = db_rows_count(rows);
    *ret_strays = arena_calloc(arena, *ret_count + 1, sizeof(**ret_strays));
    for (size_t i = 0; i < *ret_count; i++)
        read_stray(rows, i, &(*ret_strays)[i]);
    return true;
}

bool stray_save(struct db *db, const struct uuid *endpoint, uint64_t look,
                const struct stray *strays, size_t count, struct error *err)
{
    enum { WIDTH = 6 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof(*values));
    for (size_t i = 0; i < count; i++) {
        const struct db_value row[WIDTH] = {
            db_uuid(endpoint),
            db_text(strays[i].kind),
            db_text(strays[i].key),
            db_bytes(strays[i].migration.bytes, UUID_BYTES),
            db_text(strays[i].detail_json),
            db_unsigned(look),
        };
        memcpy(&values[i * WIDTH], row, sizeof(row));
    }
    return db_execute_rows(
        db, "INSERT INTO strays (endpoint_id, kind, item, migration_id, detail_json, look) VALUES ",
        "(?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE migration_id = VALUES(migration_id),"
        " detail_json = VALUES(detail_json), look = VALUES(look)",
        values, WIDTH, count, NULL, err);
}

bool stray_sweep(struct db *db, const struct uuid *endpoint, uint64_t look, struct error *err)
{
    const struct db_value values[] = {db_uuid(endpoint), db_unsigned(look)};
    return db_execute(db, "DELETE FROM strays WHERE endpoint_id = ? AND look < ?", values,
                      COUNT_OF(values), NULL, err);
}
