/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/endpoint_fact.h"

#include "common/store/bind.h"

#define ENDPOINT_SELECT(table)                                                                     \
    "SELECT id, project, name, driver, settings_json, address, seal, seal_key_id, labels_json, "   \
    "attempt FROM " table " WHERE id IN (%LIST%) ORDER BY id"

bool endpoint_fact_load(struct db *db, struct arena *arena, enum end end, const struct uuid *ids,
                        size_t count, struct endpoint_fact **ret_rows, size_t *ret_count,
                        struct error *err)
{
    struct db_rows *rows;
    struct db_value *list = arena_calloc(arena, count + 1, sizeof *list);
    *ret_rows = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < count; i++)
        list[i] = db_uuid(&ids[i]);
    if (count == 0)
        return true;
    if (!db_query_list(db, arena,
                       end == END_SOURCE ? ENDPOINT_SELECT("sources")
                                         : ENDPOINT_SELECT("destinations"),
                       NULL, 0, list, count, &rows, err))
        return false;
    *ret_count = db_rows_count(rows);
    *ret_rows = arena_calloc(arena, *ret_count + 1, sizeof **ret_rows);
    for (size_t i = 0; i < *ret_count; i++) {
        struct endpoint_fact *row = &(*ret_rows)[i];
        *row = (struct endpoint_fact){
            .id = db_rows_uuid(rows, i, 0),
            .project = db_rows_text(rows, i, 1),
            .name = db_rows_text(rows, i, 2),
            .driver = db_rows_text(rows, i, 3),
            .settings_json = db_rows_text(rows, i, 4),
            .address = db_rows_text(rows, i, 5),
            .seal_key_id = db_rows_text(rows, i, 7),
            .labels_json = db_rows_text(rows, i, 8),
            .attempt = (uint32_t)db_rows_unsigned(rows, i, 9),
        };
        row->seal = db_rows_bytes(rows, i, 6, &row->seal_length);
    }
    return true;
}

bool endpoint_fact_hold(struct db *db, enum end end, const struct uuid *id, bool *ret_there,
                        struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_value value = db_uuid(id);
    struct db_rows *rows;
    if (!db_query(db, arena,
                  end == END_SOURCE ? "SELECT 1 FROM sources WHERE id = ? LOCK IN SHARE MODE"
                                    : "SELECT 1 FROM destinations WHERE id = ? LOCK IN SHARE MODE",
                  &value, 1, &rows, err))
        return false;
    *ret_there = db_rows_count(rows) > 0;
    return true;
}

#define ENDPOINT_UPDATE(table)                                                                     \
    "UPDATE " table " SET fault_code = IF(? IS NULL, fault_code, ?), fault_text = IF(? IS NULL, "  \
    "fault_text, ?), state = COALESCE(?, state), attempt = GREATEST(attempt, ?), refreshed_at = "  \
    "COALESCE(?, refreshed_at) WHERE id = ?"

bool endpoint_fact_save(struct db *db, const struct endpoint_change *change, struct error *err)
{
    const struct db_value state = db_text(change->state);
    const struct db_value values[] = {state,
                                      bind_fault(change->fault),
                                      state,
                                      bind_cut(change->fault_text, 1024),
                                      state,
                                      db_unsigned(change->attempt),
                                      bind_time(change->refreshed_at),
                                      db_uuid(&change->id)};
    if (!db_execute(db,
                    change->end == END_SOURCE ? ENDPOINT_UPDATE("sources")
                                              : ENDPOINT_UPDATE("destinations"),
                    values, COUNT_OF(values), NULL, err))
        return false;
    if (!change->count_vms || change->end != END_SOURCE)
        return true;
    const struct db_value ids[] = {db_uuid(&change->id), db_uuid(&change->id)};
    return db_execute(db,
                      "UPDATE sources SET vm_count = (SELECT COUNT(*) FROM vms WHERE source_id = ?"
                      " AND gone_at IS NULL) WHERE id = ?",
                      ids, COUNT_OF(ids), NULL, err);
}
