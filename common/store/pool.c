/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/pool.h"

bool pool_save(struct db *db, const struct pool_fact *const *pools, size_t count, struct error *err)
{
    enum { WIDTH = 6 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const struct pool_fact *pool = pools[i];
        values[i * WIDTH] = db_uuid(&pool->id);
        values[i * WIDTH + 1] = db_unsigned(pool->capacity_bytes);
        values[i * WIDTH + 2] = db_unsigned(pool->used_bytes);
        values[i * WIDTH + 3] = db_unsigned(pool->free_bytes);
        values[i * WIDTH + 4] = db_signed(pool->available_bytes);
        values[i * WIDTH + 5] = db_unsigned(pool->reported_at);
    }
    return db_execute_rows(
        db,
        "INSERT INTO pools (id, capacity_bytes, used_bytes, free_bytes, available_bytes,"
        " reported_at) VALUES ",
        "(?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE capacity_bytes = VALUES(capacity_bytes),"
        " used_bytes = VALUES(used_bytes), free_bytes = VALUES(free_bytes),"
        " available_bytes = VALUES(available_bytes), reported_at = VALUES(reported_at)",
        values, WIDTH, count, NULL, err);
}

bool pool_load(struct db *db, struct arena *arena, struct pool_fact **ret_pools, size_t *ret_count,
               struct error *err)
{
    struct db_rows *rows;
    if (!db_query(db, arena,
                  "SELECT id, capacity_bytes, used_bytes, free_bytes, available_bytes, reported_at"
                  " FROM pools",
                  NULL, 0, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct pool_fact *pools = arena_calloc(arena, count + 1, sizeof *pools);
    for (size_t i = 0; i < count; i++)
        pools[i] = (struct pool_fact){
            .id = db_rows_uuid(rows, i, 0),
            .capacity_bytes = db_rows_unsigned(rows, i, 1),
            .used_bytes = db_rows_unsigned(rows, i, 2),
            .free_bytes = db_rows_unsigned(rows, i, 3),
            .available_bytes = db_rows_signed(rows, i, 4),
            .reported_at = db_rows_unsigned(rows, i, 5),
        };
    *ret_pools = pools;
    *ret_count = count;
    return true;
}
