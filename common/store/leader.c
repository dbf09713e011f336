/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/leader.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/fault.h"

#define DATABASE_NOW "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)"
#define LEADER_SELECT                                                                              \
    "SELECT term, holder, connection_id, batch, event_number, renewed_at, " DATABASE_NOW           \
    " FROM leader WHERE one = 1"

static bool read_row(struct db *db, const char *sql, struct leader_row *ret_row, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    if (!db_query(db, arena, sql, NULL, 0, &rows, err))
        return false;
    if (db_rows_count(rows) != 1)
        return error_set(err, &FAULT_INTERNAL,
                         "the leader row is missing: run guts-manage db-sync");
    struct leader_row row = {
        .term = db_rows_unsigned(rows, 0, 0),
        .connection_id = db_rows_unsigned(rows, 0, 2),
        .batch = db_rows_unsigned(rows, 0, 3),
        .event_number = db_rows_unsigned(rows, 0, 4),
        .renewed_at = db_rows_unsigned(rows, 0, 5),
        .database_at = db_rows_unsigned(rows, 0, 6),
    };
    snprintf(row.holder, sizeof row.holder, "%s", db_rows_text(rows, 0, 1));
    *ret_row = row;
    return true;
}

bool leader_read(struct db *db, struct leader_row *ret_row, struct error *err)
{
    return read_row(db, LEADER_SELECT, ret_row, err);
}

bool leader_lock(struct db *db, struct leader_row *ret_row, struct error *err)
{
    return read_row(db, LEADER_SELECT " FOR UPDATE", ret_row, err);
}

bool leader_take(struct db *db, const char *holder, struct leader_row *row, struct error *err)
{
    struct db_value values[] = {db_text(holder)};
    if (!db_execute(db,
                    "UPDATE leader SET term = term + 1, holder = ?, connection_id = "
                    "CONNECTION_ID(), batch = batch + 1, renewed_at = " DATABASE_NOW
                    " WHERE one = 1",
                    values, COUNT_OF(values), NULL, err))
        return false;
    return leader_read(db, row, err);
}

bool leader_advance(struct db *db, uint64_t term, uint64_t batch, uint64_t event_number,
                    struct error *err)
{
    uint64_t affected;
    struct db_value values[] = {db_unsigned(batch), db_unsigned(event_number), db_unsigned(term)};
    if (!db_execute(db,
                    "UPDATE leader SET batch = ?, event_number = ?, connection_id = "
                    "CONNECTION_ID(), renewed_at = " DATABASE_NOW " WHERE one = 1 AND term = ?",
                    values, COUNT_OF(values), &affected, err))
        return false;
    if (affected != 1)
        return error_set(err, &FAULT_FENCED, "term %" PRIu64 " is over", term);
    return true;
}

bool leader_release(struct db *db, uint64_t term, const char *holder, struct error *err)
{
    struct db_value values[] = {db_unsigned(term), db_text(holder)};
    return db_execute(db, "UPDATE leader SET holder = '' WHERE one = 1 AND term = ? AND holder = ?",
                      values, COUNT_OF(values), NULL, err);
}

bool leader_end_connection(struct db *db, uint64_t connection_id, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    struct db_value values[] = {db_unsigned(connection_id)};
    if (!db_query(db, arena,
                  "SELECT 1 FROM information_schema.processlist"
                  " WHERE id = ? AND id <> CONNECTION_ID()",
                  values, COUNT_OF(values), &rows, err))
        return false;
    if (db_rows_count(rows) == 0)
        return true;
    char sql[64];
    snprintf(sql, sizeof sql, "KILL CONNECTION %" PRIu64, connection_id);
    return db_execute(db, sql, NULL, 0, NULL, err);
}
