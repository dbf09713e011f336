/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/ledger.h"

#include <string.h>

#include "common/store/bind.h"

#define LEDGER_COLUMNS                                                                             \
    "owner_id, end, kind, entry_key, owner_kind, position, state, external_id, prior_json, "       \
    "detail, job_id, attempt, run, created_at, updated_at"
enum { LEDGER_WIDTH = 15 };

bool ledger_save(struct db *db, const struct ledger_fact *const *entries, size_t count,
                 struct error *err)
{
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * LEDGER_WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const struct ledger_fact *entry = entries[i];
        const struct db_value row[LEDGER_WIDTH] = {
            db_uuid(&entry->owner_id),
            db_text(end_name(entry->end)),
            db_text(entry->kind),
            db_text(entry->key),
            db_text(owner_kind_name(entry->owner_kind)),
            db_unsigned(entry->position),
            db_text(ledger_state_name(entry->state)),
            bind_cut_full(entry->external_id, 512),
            bind_cut(entry->prior_json, 65535),
            bind_cut_full(entry->detail, 1024),
            db_uuid(&entry->token.job),
            db_unsigned(entry->token.attempt),
            db_unsigned(entry->token.run),
            db_unsigned(entry->created_at),
            db_unsigned(entry->updated_at),
        };
        memcpy(&values[i * LEDGER_WIDTH], row, sizeof row);
    }
    return db_execute_rows(
        db, "INSERT INTO ledger (" LEDGER_COLUMNS ") VALUES ",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE state = VALUES(state), external_id = VALUES(external_id),"
        " detail = VALUES(detail), job_id = VALUES(job_id), attempt = VALUES(attempt),"
        " run = VALUES(run), updated_at = VALUES(updated_at)",
        values, LEDGER_WIDTH, count, NULL, err);
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

bool ledger_load(struct db *db, struct arena *arena, const struct uuid *owners, size_t owner_count,
                 struct ledger_fact **ret_entries, size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    struct db_value *list = arena_calloc(arena, owner_count + 1, sizeof *list);
    for (size_t i = 0; i < owner_count; i++)
        list[i] = db_uuid(&owners[i]);
    *ret_count = 0;
    *ret_entries = NULL;
    if (owner_count == 0)
        return true;
    if (!db_query_list(db, arena,
                       "SELECT " LEDGER_COLUMNS
                       " FROM ledger WHERE owner_id IN (%LIST%) ORDER BY owner_id, position",
                       NULL, 0, list, owner_count, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct ledger_fact *entries = arena_calloc(arena, count + 1, sizeof *entries);
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct ledger_fact){
            .owner_id = db_rows_uuid(rows, i, 0),
            .end = end_parse(db_rows_text(rows, i, 1)),
            .kind = db_rows_text(rows, i, 2),
            .key = db_rows_text(rows, i, 3),
            .owner_kind = owner_kind_parse(db_rows_text(rows, i, 4)),
            .position = (uint32_t)db_rows_unsigned(rows, i, 5),
            .state = ledger_state_parse(db_rows_text(rows, i, 6)),
            .external_id = or_empty(db_rows_text(rows, i, 7)),
            .prior_json = or_empty(db_rows_text(rows, i, 8)),
            .detail = or_empty(db_rows_text(rows, i, 9)),
            .token = {db_rows_uuid(rows, i, 10), (uint32_t)db_rows_unsigned(rows, i, 11),
                      (uint32_t)db_rows_unsigned(rows, i, 12)},
            .created_at = db_rows_unsigned(rows, i, 13),
            .updated_at = db_rows_unsigned(rows, i, 14),
        };
    *ret_entries = entries;
    *ret_count = count;
    return true;
}

bool ledger_delete_of(struct db *db, const struct uuid *owner_id, struct error *err)
{
    const struct db_value values[] = {db_uuid(owner_id)};
    return db_execute(db, "DELETE FROM ledger WHERE owner_id = ?", values, 1, NULL, err);
}
