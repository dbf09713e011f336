/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/driver_fact.h"

bool driver_fact_save(struct db *db, const struct driver_fact *drivers, size_t count,
                      struct error *err)
{
    enum { WIDTH = 4 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i * WIDTH] = db_text(end_name(drivers[i].end));
        values[i * WIDTH + 1] = db_text(drivers[i].name);
        values[i * WIDTH + 2] = db_text(drivers[i].declaration_json);
        values[i * WIDTH + 3] = db_unsigned(drivers[i].updated_at);
    }
    return db_execute_rows(
        db, "INSERT INTO drivers (end, name, declaration_json, updated_at) VALUES ", "(?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE declaration_json = VALUES(declaration_json),"
        " updated_at = VALUES(updated_at)",
        values, WIDTH, count, NULL, err);
}

bool driver_fact_load(struct db *db, struct arena *arena, struct driver_fact **ret_drivers,
                      size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    if (!db_query(db, arena, "SELECT end, name, declaration_json, updated_at FROM drivers", NULL, 0,
                  &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct driver_fact *drivers = arena_calloc(arena, count + 1, sizeof *drivers);
    for (size_t i = 0; i < count; i++)
        drivers[i] =
            (struct driver_fact){end_parse(db_rows_text(rows, i, 0)), db_rows_text(rows, i, 1),
                                 db_rows_text(rows, i, 2), db_rows_unsigned(rows, i, 3)};
    *ret_drivers = drivers;
    *ret_count = count;
    return true;
}
