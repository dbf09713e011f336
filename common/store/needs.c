/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/needs.h"

bool needs_save(struct db *db, const struct needs_fact *needs, size_t count, struct error *err)
{
    enum { WIDTH = 5 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i * WIDTH] = db_uuid(&needs[i].hash);
        values[i * WIDTH + 1] = db_text(needs[i].needs_json);
        values[i * WIDTH + 2] = db_text(needs[i].reasons_json);
        values[i * WIDTH + 3] = db_text(needs[i].all_json);
        values[i * WIDTH + 4] = db_unsigned(needs[i].tried_at);
    }
    return db_execute_rows(
        db, "INSERT INTO needs (hash, needs_json, reasons_json, all_json, tried_at) VALUES ",
        "(?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE reasons_json = VALUES(reasons_json),"
        " all_json = VALUES(all_json), tried_at = VALUES(tried_at)",
        values, WIDTH, count, NULL, err);
}

bool needs_delete(struct db *db, const struct uuid *hashes, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct db_value values[] = {db_uuid(&hashes[i])};
        if (!db_execute(db, "DELETE FROM needs WHERE hash = ?", values, 1, NULL, err))
            return false;
    }
    return true;
}
