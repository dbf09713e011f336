/* SPDX-License-Identifier: Apache-2.0
 *
 * Deleting a source or a destination with what was found there. Its row is locked first; those who
 * refer to it (new migrations, discoveries) lock it too, so nothing comes to it meanwhile.
 */
#include "common/store/endpoint.h"
#include "common/store/query.h"
#include "proto/fault.h"

#define PIECE_ROWS 1000 /* a statement stays far below the answer's time-out */

static bool lock_row(struct store *store, enum end end, const char *project, const struct uuid *id,
                     struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_add(&query, end == END_SOURCE ? "SELECT 1 FROM sources" : "SELECT 1 FROM destinations");
    query_bind(&query, " WHERE id = ?", db_uuid(id));
    query_match_text(&query, " AND project = ?", project);
    query_add(&query, " FOR UPDATE");
    if (!query_run(&query, store, &rows, err))
        return false;
    if (db_rows_count(rows) == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no \"%s\"", UUID_TEXT(id));
    return true;
}

static bool refuse_used(struct store *store, enum end end, const struct uuid *id, struct error *err)
{
    static const char source[] =
        "SELECT (SELECT COUNT(*) FROM migrations WHERE source_id = ? AND state NOT IN "
        "('CLEANED', 'ROLLED_BACK', 'CANCELLED')), (SELECT COUNT(*) FROM jobs WHERE owner_kind = ? "
        "AND owner_id = ? AND live = 1)";
    static const char destination[] =
        "SELECT (SELECT COUNT(*) FROM migrations WHERE destination_id = ? AND state NOT IN "
        "('CLEANED', 'ROLLED_BACK', 'CANCELLED')), (SELECT COUNT(*) FROM jobs WHERE owner_kind = ? "
        "AND owner_id = ? AND live = 1)";
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_value values[] = {db_uuid(id), db_text(end_name(end)), db_uuid(id)};
    struct db_rows *rows;
    if (!db_query(store_db(store), arena, end == END_SOURCE ? source : destination, values,
                  COUNT_OF(values), &rows, err))
        return false;
    uint64_t migrations = db_rows_unsigned(rows, 0, 0);
    if (migrations > 0)
        return error_set(err, &FAULT_IN_USE, "%llu migrations that are not final refer to it",
                         (unsigned long long)migrations);
    if (db_rows_unsigned(rows, 0, 1) > 0)
        return error_set(err, &FAULT_IN_USE, "a job of it is under way");
    return true;
}

/* The head ends in "IN (", one place for each id follows. */
static bool delete_rows(struct store *store, const char *head, const struct db_value *ids,
                        size_t count, struct error *err)
{
    return count == 0 || db_execute_rows(store_db(store), head, "?", ")", ids, 1, count, NULL, err);
}

static bool delete_vm_piece(struct store *store, struct arena *arena, const struct uuid *source,
                            size_t *ret_count, struct error *err)
{
    struct db_value values[] = {db_uuid(source), db_unsigned(PIECE_ROWS)};
    struct db_rows *rows;
    if (!db_query(store_db(store), arena, "SELECT id FROM vms WHERE source_id = ? LIMIT ?", values,
                  COUNT_OF(values), &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct db_value *ids = arena_calloc(arena, count + 1, sizeof(*ids));
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const void *bytes = db_rows_bytes(rows, i, 0, &length);
        ids[i] = db_bytes(bytes, length);
    }
    *ret_count = count;
    return delete_rows(store, "DELETE FROM vm_disks WHERE vm_id IN (", ids, count, err) &&
           delete_rows(store, "DELETE FROM vm_nics WHERE vm_id IN (", ids, count, err) &&
           delete_rows(store, "DELETE FROM vms WHERE id IN (", ids, count, err);
}

static bool delete_vms(struct store *store, const struct uuid *source, struct error *err)
{
    size_t count = PIECE_ROWS;
    while (count == PIECE_ROWS) {
        CLEANUP(arena_freep) struct arena *arena = arena_new();
        if (!delete_vm_piece(store, arena, source, &count, err))
            return false;
    }
    return true;
}

static bool delete_in_pieces(struct store *store, const char *sql, const struct uuid *endpoint,
                             struct error *err)
{
    struct db_value values[] = {db_uuid(endpoint), db_unsigned(PIECE_ROWS)};
    uint64_t count = PIECE_ROWS;
    while (count == PIECE_ROWS)
        if (!db_execute(store_db(store), sql, values, COUNT_OF(values), &count, err))
            return false;
    return true;
}

static bool delete_strays(struct store *store, const struct uuid *endpoint, struct error *err)
{
    return delete_in_pieces(store, "DELETE FROM strays WHERE endpoint_id = ? LIMIT ?", endpoint,
                            err);
}

static bool delete_all(struct store *store, enum end end, const char *project,
                       const struct uuid *id, struct error *err)
{
    struct db_value value = db_uuid(id);
    if (!lock_row(store, end, project, id, err) || !refuse_used(store, end, id, err))
        return false;
    if (end == END_SOURCE)
        return delete_vms(store, id, err) && delete_strays(store, id, err) &&
               db_execute(store_db(store), "DELETE FROM sources WHERE id = ?", &value, 1, NULL,
                          err);
    return delete_in_pieces(store, "DELETE FROM catalogues WHERE destination_id = ? LIMIT ?", id,
                            err) &&
           delete_strays(store, id, err) &&
           db_execute(store_db(store), "DELETE FROM destinations WHERE id = ?", &value, 1, NULL,
                      err);
}

bool endpoint_delete(struct store *store, enum end end, const char *project, const struct uuid *id,
                     struct error *err)
{
    struct db *db = store_db(store);
    if (!db_begin(db, err))
        return false;
    if (!delete_all(store, end, project, id, err)) {
        db_rollback(db);
        return false;
    }
    return db_commit(db, err);
}
