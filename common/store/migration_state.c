/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/migration_state.h"

#include <stdlib.h>
#include <string.h>

#include "common/store/bind.h"
#include "proto/fault.h"

/* The option is read by the database, so that not every options document crosses the wire. */
#define FACT_COLUMNS                                                                               \
    "m.id, m.project, m.vm_id, m.source_id, m.destination_id, m.on_failure, m.dry_run,"            \
    " m.created_at, JSON_VALUE(m.options_json, '$.reserve_bytes'), s.driver, d.driver,"            \
    " s.labels_json, d.labels_json, v.capacity_bytes, v.id IS NOT NULL AND v.gone_at IS NULL,"     \
    " m.state, m.version, m.attempt, m.job_id, m.node_id, m.needs_hash, m.way, m.fault_code,"      \
    " m.fault_text, m.retries, m.resumes, m.total_bytes, m.done_bytes, m.read_bytes,"              \
    " m.written_bytes, m.updated_at, m.started_at, m.finished_at, m.due_at"
#define FACT_FROM                                                                                  \
    " FROM migrations m LEFT JOIN sources s ON s.id = m.source_id"                                 \
    " LEFT JOIN destinations d ON d.id = m.destination_id LEFT JOIN vms v ON v.id = m.vm_id "
#define FACT_SELECT "SELECT " FACT_COLUMNS FACT_FROM
enum { FACT_WIDTH = 34 };
/* Longer options of rows that perhaps wait are not worth their way. */
#define SHORT_OPTIONS ", IF(LENGTH(m.options_json) <= 1024, m.options_json, NULL), m.server_name"

static void read_fact(const struct db_rows *rows, size_t i, struct migration_fact *fact)
{
    const char *code = db_rows_text(rows, i, 22);
    const char *reserve = db_rows_text(rows, i, 8);
    const char *on_failure = db_rows_text(rows, i, 5);
    *fact = (struct migration_fact){
        .id = db_rows_uuid(rows, i, 0),
        .project = db_rows_text(rows, i, 1),
        .vm_id = db_rows_uuid(rows, i, 2),
        .source_id = db_rows_uuid(rows, i, 3),
        .destination_id = db_rows_uuid(rows, i, 4),
        .rollback_on_failure = strcmp(on_failure, "keep") != 0,
        .dry_run = db_rows_unsigned(rows, i, 6) != 0,
        .created_at = db_rows_unsigned(rows, i, 7),
        .reserve_bytes = reserve == NULL ? 0 : strtoull(reserve, NULL, 10),
        .source_driver = db_rows_text(rows, i, 9),
        .destination_driver = db_rows_text(rows, i, 10),
        .source_labels_json = db_rows_text(rows, i, 11),
        .destination_labels_json = db_rows_text(rows, i, 12),
        .capacity_bytes = db_rows_unsigned(rows, i, 13),
        .vm_known = db_rows_unsigned(rows, i, 14) != 0,
        .state = migration_state_parse(db_rows_text(rows, i, 15)),
        .version = (uint32_t)db_rows_unsigned(rows, i, 16),
        .attempt = (uint32_t)db_rows_unsigned(rows, i, 17),
        .job_id = db_rows_uuid(rows, i, 18),
        .node_id = db_rows_uuid(rows, i, 19),
        .needs_hash = db_rows_uuid(rows, i, 20),
        .way = migration_state_parse(db_rows_text(rows, i, 21)),
        .fault = code == NULL ? NULL : fault_get(code),
        .fault_text = db_rows_text(rows, i, 23),
        .retries = (uint32_t)db_rows_unsigned(rows, i, 24),
        .resumes = (uint32_t)db_rows_unsigned(rows, i, 25),
        .total_bytes = db_rows_unsigned(rows, i, 26),
        .done_bytes = db_rows_unsigned(rows, i, 27),
        .read_bytes = db_rows_unsigned(rows, i, 28),
        .written_bytes = db_rows_unsigned(rows, i, 29),
        .updated_at = db_rows_unsigned(rows, i, 30),
        .started_at = db_rows_unsigned(rows, i, 31),
        .finished_at = db_rows_unsigned(rows, i, 32),
        .due_at = db_rows_unsigned(rows, i, 33),
    };
}

static void give_facts(struct arena *arena, const struct db_rows *rows,
                       struct migration_fact **ret_rows, size_t *ret_count)
{
    *ret_count = db_rows_count(rows);
    *ret_rows = arena_calloc(arena, *ret_count + 1, sizeof **ret_rows);
    for (size_t i = 0; i < *ret_count; i++)
        read_fact(rows, i, &(*ret_rows)[i]);
}

static struct db_value *bind_ids(struct arena *arena, const struct uuid *ids, size_t count)
{
    struct db_value *list = arena_calloc(arena, count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = db_uuid(&ids[i]);
    return list;
}

bool migration_state_load_due(struct db *db, struct arena *arena, uint64_t now_us, size_t most,
                              struct migration_fact **ret_rows,
                              struct migration_option **ret_options, size_t *ret_count,
                              struct error *err)
{
    struct db_rows *rows;
    const struct db_value values[] = {db_unsigned(now_us), db_unsigned(most)};
    if (!db_query(db, arena,
                  "SELECT " FACT_COLUMNS SHORT_OPTIONS FACT_FROM
                  "WHERE m.due_at <= ? ORDER BY m.due_at, m.id LIMIT ?",
                  values, COUNT_OF(values), &rows, err))
        return false;
    give_facts(arena, rows, ret_rows, ret_count);
    *ret_options = arena_calloc(arena, *ret_count + 1, sizeof **ret_options);
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_options)[i] =
            (struct migration_option){(*ret_rows)[i].id, db_rows_text(rows, i, FACT_WIDTH),
                                      db_rows_text(rows, i, FACT_WIDTH + 1)};
    return true;
}

bool migration_state_count_due(struct db *db, uint64_t now_us, size_t most, size_t *ret_count,
                               struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    const struct db_value values[] = {db_unsigned(now_us), db_unsigned(most)};
    if (!db_query(db, arena,
                  "SELECT COUNT(*) FROM (SELECT 1 FROM migrations FORCE INDEX (by_due)"
                  " WHERE due_at <= ? LIMIT ?) due",
                  values, COUNT_OF(values), &rows, err))
        return false;
    *ret_count = (size_t)db_rows_unsigned(rows, 0, 0);
    return true;
}

bool migration_state_load(struct db *db, struct arena *arena, const struct uuid *ids, size_t count,
                          struct migration_fact **ret_rows, size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    *ret_rows = NULL;
    *ret_count = 0;
    if (count == 0)
        return true;
    if (!db_query_list(db, arena, FACT_SELECT "WHERE m.id IN (%LIST%) ORDER BY m.id", NULL, 0,
                       bind_ids(arena, ids, count), count, &rows, err))
        return false;
    give_facts(arena, rows, ret_rows, ret_count);
    return true;
}

static const struct migration_expected *find_expected(const struct migration_expected *expected,
                                                      size_t count, const struct uuid *id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = uuid_compare(&expected[middle].id, id);
        if (order == 0)
            return &expected[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int compare_expected(const void *a, const void *b)
{
    return uuid_compare(&((const struct migration_expected *)a)->id,
                        &((const struct migration_expected *)b)->id);
}

bool migration_state_lock(struct db *db, const struct migration_expected *expected, size_t count,
                          struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    if (count == 0)
        return true;
    struct migration_expected *sorted = arena_memdup(arena, expected, count * sizeof *expected);
    qsort(sorted, count, sizeof *sorted, compare_expected);
    struct db_value *list = arena_calloc(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = db_uuid(&sorted[i].id);
    if (!db_query_list(db, arena,
                       "SELECT id, state, version FROM migrations WHERE id IN (%LIST%)"
                       " ORDER BY id FOR UPDATE",
                       NULL, 0, list, count, &rows, err))
        return false;
    for (size_t i = 0; i < db_rows_count(rows); i++) {
        struct uuid id = db_rows_uuid(rows, i, 0);
        const struct migration_expected *want = find_expected(sorted, count, &id);
        if (want == NULL || want->version != db_rows_unsigned(rows, i, 2) ||
            want->state != migration_state_parse(db_rows_text(rows, i, 1)))
            return error_set(err, &FAULT_CONFLICT, "migration \"%s\" stands at %s, not %s",
                             UUID_TEXT(&id), db_rows_text(rows, i, 1),
                             want ? migration_state_name(want->state) : "?");
    }
    if (db_rows_count(rows) != count)
        return error_set(err, &FAULT_CONFLICT, "%zu of %zu migrations are gone",
                         count - db_rows_count(rows), count);
    return true;
}

enum { SAVE_WIDTH = 21 };

static void bind_fact(const struct migration_fact *fact, struct db_value *into)
{
    static const struct uuid nil;
    const char *way = migration_state_name(fact->way);
    const struct db_value row[SAVE_WIDTH] = {
        db_uuid(&fact->id),
        db_text(migration_state_name(fact->state)),
        db_unsigned(fact->version),
        db_uuid(lifecycle_is_open(fact->state) ? &fact->vm_id : &nil),
        db_unsigned(fact->attempt),
        bind_id(&fact->job_id),
        bind_id(&fact->node_id),
        bind_id(&fact->needs_hash),
        fact->way == MIGRATION_UNKNOWN ? db_null() : db_text(way),
        bind_fault(fact->fault),
        bind_cut(fact->fault_text, 1024),
        db_unsigned(fact->retries),
        db_unsigned(fact->resumes),
        db_unsigned(fact->total_bytes),
        db_unsigned(fact->done_bytes),
        db_unsigned(fact->read_bytes),
        db_unsigned(fact->written_bytes),
        db_unsigned(fact->updated_at),
        db_unsigned(fact->started_at),
        bind_time(fact->finished_at),
        bind_time(fact->due_at),
    };
    memcpy(into, row, sizeof row);
}

bool migration_state_save(struct db *db, const struct migration_fact *const *rows, size_t count,
                          struct error *err)
{
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * SAVE_WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        bind_fact(rows[i], &values[i * SAVE_WIDTH]);
    /* The row exists and is locked, so the columns of the definition are never stored. */
    return db_execute_rows(
        db,
        "INSERT INTO migrations (project, vm_id, source_id, destination_id, vm_name, server_name,"
        " options_json, created_at, id, state, version, open_vm, attempt, job_id, node_id,"
        " needs_hash, way, fault_code, fault_text, retries, resumes, total_bytes, done_bytes,"
        " read_bytes, written_bytes, updated_at, started_at, finished_at, due_at) VALUES ",
        "('', '', '', '', '', '', '', 0,"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE state = VALUES(state), version = VALUES(version),"
        " open_vm = VALUES(open_vm), attempt = VALUES(attempt), job_id = VALUES(job_id),"
        " node_id = VALUES(node_id), needs_hash = VALUES(needs_hash), way = VALUES(way),"
        " fault_code = VALUES(fault_code), fault_text = VALUES(fault_text),"
        " retries = VALUES(retries), resumes = VALUES(resumes),"
        " total_bytes = VALUES(total_bytes), done_bytes = VALUES(done_bytes),"
        " read_bytes = VALUES(read_bytes), written_bytes = VALUES(written_bytes),"
        " updated_at = VALUES(updated_at), started_at = VALUES(started_at),"
        " finished_at = VALUES(finished_at), due_at = VALUES(due_at)",
        values, SAVE_WIDTH, count, NULL, err);
}

bool migration_state_save_result(struct db *db, const struct uuid *id, const char *faults_json,
                                 const char *evidence_json, const char *server_json,
                                 struct error *err)
{
    const struct db_value values[] = {db_text(faults_json), db_text(evidence_json),
                                      db_text(server_json), db_uuid(id)};
    return db_execute(db,
                      "UPDATE migrations SET faults_json = COALESCE(?, faults_json),"
                      " evidence_json = COALESCE(?, evidence_json),"
                      " server_json = COALESCE(?, server_json) WHERE id = ?",
                      values, COUNT_OF(values), NULL, err);
}

bool migration_disk_save(struct db *db, const struct migration_disk_fact *disks, size_t count,
                         struct error *err)
{
    enum { WIDTH = 8 };
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        const struct migration_disk_fact *disk = &disks[i];
        const struct db_value row[WIDTH] = {
            db_uuid(&disk->migration_id),      db_unsigned(disk->number),
            db_unsigned(disk->capacity_bytes), db_unsigned(disk->total_bytes),
            db_unsigned(disk->done_bytes),     db_unsigned(disk->read_bytes),
            db_unsigned(disk->written_bytes),  bind_cut_full(disk->digest, 192),
        };
        memcpy(&values[i * WIDTH], row, sizeof row);
    }
    return db_execute_rows(
        db,
        "INSERT INTO migration_disks (migration_id, number, capacity_bytes, total_bytes,"
        " done_bytes, read_bytes, written_bytes, digest) VALUES ",
        "(?, ?, ?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE capacity_bytes = VALUES(capacity_bytes),"
        " total_bytes = VALUES(total_bytes), done_bytes = VALUES(done_bytes),"
        " read_bytes = VALUES(read_bytes), written_bytes = VALUES(written_bytes),"
        " digest = VALUES(digest)",
        values, WIDTH, count, NULL, err);
}

bool migration_state_load_options(struct db *db, struct arena *arena, const struct uuid *ids,
                                  size_t count, struct migration_option **ret_options,
                                  size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    *ret_options = NULL;
    *ret_count = 0;
    if (count == 0)
        return true;
    if (!db_query_list(db, arena,
                       "SELECT id, options_json, server_name FROM migrations"
                       " WHERE id IN (%LIST%) ORDER BY id",
                       NULL, 0, bind_ids(arena, ids, count), count, &rows, err))
        return false;
    *ret_count = db_rows_count(rows);
    *ret_options = arena_calloc(arena, *ret_count + 1, sizeof **ret_options);
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_options)[i] = (struct migration_option){
            db_rows_uuid(rows, i, 0), db_rows_text(rows, i, 1), db_rows_text(rows, i, 2)};
    return true;
}

bool migration_state_delete(struct db *db, const struct uuid *id, struct error *err)
{
    const struct db_value values[] = {db_uuid(id)};
    return db_execute(db, "DELETE FROM migration_disks WHERE migration_id = ?", values, 1, NULL,
                      err) &&
           db_execute(db, "DELETE FROM migrations WHERE id = ?", values, 1, NULL, err);
}

bool migration_state_count(struct db *db, uint64_t ret_counts[MIGRATION_STATE_COUNT],
                           struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    if (!db_query(db, arena, "SELECT state, COUNT(*) FROM migrations GROUP BY state", NULL, 0,
                  &rows, err))
        return false;
    memset(ret_counts, 0, MIGRATION_STATE_COUNT * sizeof *ret_counts);
    for (size_t i = 0; i < db_rows_count(rows); i++)
        ret_counts[migration_state_parse(db_rows_text(rows, i, 0))] = db_rows_unsigned(rows, i, 1);
    return true;
}

bool migration_state_postpone(struct db *db, const struct uuid *id, uint64_t due_at,
                              struct error *err)
{
    const struct db_value values[] = {db_unsigned(due_at), db_uuid(id)};
    return db_execute(db, "UPDATE migrations SET due_at = ? WHERE id = ?", values, COUNT_OF(values),
                      NULL, err);
}
