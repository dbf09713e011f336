/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/wish_outcome.h"

#include <string.h>

#include "common/store/bind.h"

bool wish_outcome_load_due(struct db *db, struct arena *arena, uint64_t now_us, size_t most,
                           struct wish_due **ret_wishes, size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    const struct db_value values[] = {db_unsigned(now_us), db_unsigned(most)};
    if (!db_query(db, arena,
                  "SELECT id, verb, owner_kind, owner_id, project, arguments_json, who, created_at"
                  " FROM wishes WHERE due_at <= ? ORDER BY due_at, id LIMIT ?",
                  values, COUNT_OF(values), &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct wish_due *wishes = arena_calloc(arena, count + 1, sizeof *wishes);
    for (size_t i = 0; i < count; i++)
        wishes[i] = (struct wish_due){
            .id = db_rows_uuid(rows, i, 0),
            .verb = db_rows_text(rows, i, 1),
            .owner_kind = owner_kind_parse(db_rows_text(rows, i, 2)),
            .owner_id = db_rows_uuid(rows, i, 3),
            .project = db_rows_text(rows, i, 4),
            .arguments_json = db_rows_text(rows, i, 5),
            .who = db_rows_text(rows, i, 6),
            .created_at = db_rows_unsigned(rows, i, 7),
        };
    *ret_wishes = wishes;
    *ret_count = count;
    return true;
}

bool wish_outcome_save(struct db *db, const struct wish_outcome *outcome, struct error *err)
{
    const struct db_value values[] = {db_text(outcome->state),
                                      bind_fault(outcome->fault),
                                      bind_cut(outcome->fault_text, 1024),
                                      db_text(outcome->answer_json),
                                      bind_time(outcome->finished_at),
                                      bind_time(outcome->due_at),
                                      db_uuid(&outcome->id)};
    return db_execute(db,
                      "UPDATE wishes SET state = ?, fault_code = ?, fault_text = ?,"
                      " answer_json = ?, finished_at = ?, due_at = ? WHERE id = ?",
                      values, COUNT_OF(values), NULL, err);
}

static bool is_settled(const char *state)
{
    return strcmp(state, "done") == 0 || strcmp(state, "refused") == 0 ||
           strcmp(state, "failed") == 0;
}

static bool delete_settled(struct db *db, struct arena *arena, const struct db_rows *rows,
                           uint64_t before_us, uint64_t *ret_count, struct error *err)
{
    size_t count = 0;
    struct uuid *keys = arena_calloc(arena, db_rows_count(rows) + 1, sizeof *keys);
    struct db_value *ids = arena_calloc(arena, db_rows_count(rows) + 1, sizeof *ids);
    for (size_t i = 0; i < db_rows_count(rows); i++) {
        if (!is_settled(db_rows_text(rows, i, 1)) || db_rows_unsigned(rows, i, 2) >= before_us)
            continue;
        keys[count] = db_rows_uuid(rows, i, 0);
        ids[count] = db_uuid(&keys[count]);
        count++;
    }
    *ret_count = count;
    return count == 0 || db_execute_list(db, "DELETE FROM wishes WHERE id IN (%LIST%)", NULL, 0,
                                         ids, count, NULL, err);
}

bool wish_outcome_prune(struct db *db, uint64_t before_us, size_t most, struct uuid *cursor,
                        uint64_t *ret_count, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    const struct uuid bound = bind_id_at(before_us);
    const struct db_value values[] = {db_bytes(cursor->bytes, UUID_BYTES),
                                      db_bytes(bound.bytes, UUID_BYTES), db_unsigned(most)};
    if (!db_query(db, arena,
                  "SELECT id, state, COALESCE(finished_at, created_at) FROM wishes"
                  " WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                  values, COUNT_OF(values), &rows, err) ||
        !delete_settled(db, arena, rows, before_us, ret_count, err))
        return false;
    size_t count = db_rows_count(rows);
    *cursor = count < most ? (struct uuid){{0}} : db_rows_uuid(rows, count - 1, 0);
    return true;
}
