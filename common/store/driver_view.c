/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "drivers".
 */
#include "common/store/driver_view.h"

#include "common/store/query.h"
#include "proto/fault.h"

static bool query_drivers(struct store *store, struct arena *arena, enum end end, const char *name,
                          struct driver_view **ret_drivers, size_t *ret_count, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_add(&query, "SELECT end, name, declaration_json, updated_at FROM drivers WHERE 1 = 1");
    query_match_text(&query, " AND end = ?", end != END_UNKNOWN ? end_name(end) : NULL);
    query_match_text(&query, " AND name = ?", name);
    query_add(&query, " ORDER BY end, name");
    if (!query_run(&query, store, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct driver_view *drivers = arena_calloc(arena, count + 1, sizeof(*drivers));
    for (size_t i = 0; i < count; i++) {
        drivers[i].end = end_parse(db_rows_text(rows, i, 0));
        drivers[i].name = db_rows_text(rows, i, 1);
        drivers[i].declaration_json = db_rows_text(rows, i, 2);
        drivers[i].updated_at = db_rows_unsigned(rows, i, 3);
    }
    *ret_drivers = drivers;
    *ret_count = count;
    return true;
}

bool driver_view_list(struct store *store, struct arena *arena, enum end end,
                      struct driver_view **ret_drivers, size_t *ret_count, struct error *err)
{
    return query_drivers(store, arena, end, NULL, ret_drivers, ret_count, err);
}

bool driver_view_get(struct store *store, struct arena *arena, enum end end, const char *name,
                     struct driver_view *ret_driver, struct error *err)
{
    struct driver_view *drivers;
    size_t count;
    if (!query_drivers(store, arena, end, name, &drivers, &count, err))
        return false;
    if (count == 0)
        return error_set(err, &FAULT_DRIVER_UNKNOWN, "no node has declared the %s driver \"%.64s\"",
                         end_name(end), name);
    *ret_driver = drivers[0];
    return true;
}
