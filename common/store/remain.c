/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/remain.h"

#define REMAIN_COLUMNS "job_id, attempt, node_id, pool_id, reserved_bytes, allocated_bytes, left_at"

bool remain_save(struct db *db, const struct remain_fact *remains, size_t count, struct error *err)
{
    enum { WIDTH = 7 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        struct db_value *row = &values[i * WIDTH];
        row[0] = db_uuid(&remains[i].job_id);
        row[1] = db_unsigned(remains[i].attempt);
        row[2] = db_uuid(&remains[i].node_id);
        row[3] = db_uuid(&remains[i].pool_id);
        row[4] = db_unsigned(remains[i].reserved_bytes);
        row[5] = db_unsigned(remains[i].allocated_bytes);
        row[6] = db_unsigned(remains[i].left_at);
    }
    return db_execute_rows(db, "INSERT INTO remains (" REMAIN_COLUMNS ") VALUES ",
                           "(?, ?, ?, ?, ?, ?, ?)",
                           " ON DUPLICATE KEY UPDATE allocated_bytes = VALUES(allocated_bytes)",
                           values, WIDTH, count, NULL, err);
}

bool remain_delete(struct db *db, const struct uuid *job_id, uint32_t attempt, struct error *err)
{
    const struct db_value values[] = {db_uuid(job_id), db_unsigned(attempt)};
    return db_execute(db, "DELETE FROM remains WHERE job_id = ? AND attempt = ?", values,
                      COUNT_OF(values), NULL, err);
}

bool remain_load(struct db *db, struct arena *arena, struct remain_fact **ret_remains,
                 size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    if (!db_query(db, arena, "SELECT " REMAIN_COLUMNS " FROM remains ORDER BY job_id, attempt",
                  NULL, 0, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct remain_fact *remains = arena_calloc(arena, count + 1, sizeof *remains);
    for (size_t i = 0; i < count; i++)
        remains[i] = (struct remain_fact){
            .job_id = db_rows_uuid(rows, i, 0),
            .attempt = (uint32_t)db_rows_unsigned(rows, i, 1),
            .node_id = db_rows_uuid(rows, i, 2),
            .pool_id = db_rows_uuid(rows, i, 3),
            .reserved_bytes = db_rows_unsigned(rows, i, 4),
            .allocated_bytes = db_rows_unsigned(rows, i, 5),
            .left_at = db_rows_unsigned(rows, i, 6),
        };
    *ret_remains = remains;
    *ret_count = count;
    return true;
}
