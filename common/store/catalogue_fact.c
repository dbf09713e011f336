/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/catalogue_fact.h"

#include "common/store/bind.h"

bool catalogue_fact_save(struct db *db, const struct uuid *destination_id, uint64_t refresh,
                         const struct catalogue_fact *items, size_t count, struct error *err)
{
    enum { WIDTH = 6 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i * WIDTH] = db_uuid(destination_id);
        values[i * WIDTH + 1] = db_text(items[i].kind);
        values[i * WIDTH + 2] = db_text(items[i].item);
        values[i * WIDTH + 3] = bind_cut_full(items[i].name, 255);
        values[i * WIDTH + 4] = db_text(items[i].detail_json);
        values[i * WIDTH + 5] = db_unsigned(refresh);
    }
    return db_execute_rows(
        db,
        "INSERT INTO catalogues (destination_id, kind, item, name, detail_json, refresh) VALUES ",
        "(?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE name = VALUES(name), detail_json = VALUES(detail_json),"
        " refresh = VALUES(refresh)",
        values, WIDTH, count, NULL, err);
}

bool catalogue_fact_sweep(struct db *db, const struct uuid *destination_id, uint64_t refresh,
                          struct error *err)
{
    const struct db_value values[] = {db_uuid(destination_id), db_unsigned(refresh)};
    return db_execute(db, "DELETE FROM catalogues WHERE destination_id = ? AND refresh < ?", values,
                      COUNT_OF(values), NULL, err);
}
