/* SPDX-License-Identifier: Apache-2.0
 *
 * New rows of table "migrations", a chunk a transaction. Each chunk looks which of its vms have an
 * open migration and inserts the others; what slips in between meets the unique index, and the
 * chunk is done again. Rows that are found under our own ids were written by a commit whose answer
 * was lost.
 */
#include "common/store/migration_create.h"

#include <string.h>

#include "common/store/query.h"

#define CHUNK 512
#define TRIES_MOST 6

struct creation {
    struct store *store;
    const struct migration_new_shared *shared;
    const struct migration_new *rows;
    size_t count;
    size_t *first; /* the row of the same call that names the same vm first; mostly itself */
    struct migration_created *results;
};
struct chunk {
    struct arena *arena;
    const size_t *rows; /* indexes of creation->rows */
    size_t count;
};

/* ---- vms that the call names twice ---- */

struct named_vm {
    struct uuid vm;
    size_t row;
};

static int compare_named(const void *a, const void *b)
{
    const struct named_vm *left = a, *right = b;
    int order = uuid_compare(&left->vm, &right->vm);
    return order != 0 ? order : left->row < right->row ? -1 : left->row > right->row;
}

static void find_firsts(struct creation *creation, struct arena *arena)
{
    struct named_vm *named = arena_calloc(arena, creation->count + 1, sizeof(*named));
    creation->first = arena_calloc(arena, creation->count + 1, sizeof(*creation->first));
    for (size_t i = 0; i < creation->count; i++)
        named[i] = (struct named_vm){creation->rows[i].vm_id, i};
    qsort(named, creation->count, sizeof(*named), compare_named);
    for (size_t i = 0; i < creation->count; i++) {
        bool same = i > 0 && uuid_equal(&named[i].vm, &named[i - 1].vm);
        creation->first[named[i].row] = same ? creation->first[named[i - 1].row] : named[i].row;
    }
}

/* ---- one chunk ---- */

static int compare_values(const void *a, const void *b)
{
    return memcmp(((const struct db_value *)a)->data, ((const struct db_value *)b)->data,
                  UUID_BYTES);
}

static size_t drop_equal(struct db_value *values, size_t count)
{
    size_t kept = 0;
    qsort(values, count, sizeof(*values), compare_values);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare_values(&values[kept - 1], &values[i]) != 0)
            values[kept++] = values[i];
    return kept;
}

/* Locks them against being deleted until the chunk is committed. */
static bool lock_ends(struct creation *creation, struct chunk *chunk, const char *sql,
                      struct db_value *ids, struct error *err)
{
    size_t count = drop_equal(ids, chunk->count);
    struct db_rows *rows;
    if (!db_query_list(store_db(creation->store), chunk->arena, sql, NULL, 0, ids, count, &rows,
                       err))
        return false;
    if (db_rows_count(rows) != count)
        return error_set(err, &FAULT_NOT_FOUND, "a source or destination is gone");
    return true;
}

static bool lock_both_ends(struct creation *creation, struct chunk *chunk, struct error *err)
{
    struct db_value *sources = arena_calloc(chunk->arena, chunk->count, sizeof(*sources));
    struct db_value *destinations = arena_calloc(chunk->arena, chunk->count, sizeof(*destinations));
    for (size_t i = 0; i < chunk->count; i++) {
        const struct migration_new *row = &creation->rows[chunk->rows[i]];
        sources[i] = db_uuid(&row->source_id);
        destinations[i] = db_uuid(&row->destination_id);
    }
    return lock_ends(creation, chunk,
                     "SELECT id FROM sources WHERE id IN (%LIST%) LOCK IN SHARE MODE", sources,
                     err) &&
           lock_ends(creation, chunk,
                     "SELECT id FROM destinations WHERE id IN (%LIST%) LOCK IN SHARE MODE",
                     destinations, err);
}

struct open_vm {
    struct uuid vm, migration;
};

static int compare_open(const void *a, const void *b)
{
    return uuid_compare(&((const struct open_vm *)a)->vm, &((const struct open_vm *)b)->vm);
}

/* The open migrations of the chunk's vms, sorted by vm. */
static bool find_open(struct creation *creation, struct chunk *chunk, struct open_vm **ret_open,
                      size_t *ret_count, struct error *err)
{
    struct db_value *vms = arena_calloc(chunk->arena, chunk->count, sizeof(*vms));
    struct db_rows *rows;
    for (size_t i = 0; i < chunk->count; i++)
        vms[i] = db_uuid(&creation->rows[chunk->rows[i]].vm_id);
    if (!db_query_list(store_db(creation->store), chunk->arena,
                       "SELECT open_vm, id FROM migrations WHERE open_vm IN (%LIST%)", NULL, 0, vms,
                       chunk->count, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct open_vm *open = arena_calloc(chunk->arena, count + 1, sizeof(*open));
    for (size_t i = 0; i < count; i++)
        open[i] = (struct open_vm){db_rows_uuid(rows, i, 0), db_rows_uuid(rows, i, 1)};
    qsort(open, count, sizeof(*open), compare_open);
    *ret_open = open;
    *ret_count = count;
    return true;
}

#define VALUES_PER_ROW 12
static void fill_values(const struct creation *creation, const struct migration_new *row,
                        struct db_value *values)
{
    const struct migration_new_shared *shared = creation->shared;
    const struct db_value filled[VALUES_PER_ROW] = {db_uuid(&row->id),
                                                    db_text(shared->project),
                                                    db_uuid(&row->vm_id),
                                                    db_uuid(&row->source_id),
                                                    db_uuid(&row->destination_id),
                                                    db_text(row->vm_name),
                                                    db_text(row->server_name),
                                                    db_text(shared->options_json),
                                                    db_text(shared->on_failure),
                                                    db_unsigned(shared->dry_run),
                                                    db_text(shared->who),
                                                    db_uuid(&row->vm_id)};
    memcpy(values, filled, sizeof(filled));
}

static bool insert_chunk(struct creation *creation, struct chunk *chunk, struct error *err)
{
    struct open_vm *open;
    size_t open_count, count = 0;
    struct db_value *values =
        arena_calloc(chunk->arena, chunk->count * VALUES_PER_ROW, sizeof(*values));
    if (!lock_both_ends(creation, chunk, err) ||
        !find_open(creation, chunk, &open, &open_count, err))
        return false;
    for (size_t i = 0; i < chunk->count; i++) {
        const struct migration_new *row = &creation->rows[chunk->rows[i]];
        struct open_vm key = {.vm = row->vm_id};
        struct open_vm *found = bsearch(&key, open, open_count, sizeof(*open), compare_open);
        struct migration_created *result = &creation->results[chunk->rows[i]];
        result->existing = (struct uuid){{0}};
        if (found == NULL)
            fill_values(creation, row, values + VALUES_PER_ROW * count++);
        else if (!uuid_equal(&found->migration, &row->id))
            result->existing = found->migration;
    }
    return count == 0 ||
           db_execute_rows(
               store_db(creation->store),
               "INSERT INTO migrations (id, project, vm_id, source_id, destination_id, vm_name, "
               "server_name, options_json, on_failure, dry_run, who, open_vm, created_at, "
               "updated_at, due_at) VALUES ",
               "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " STORE_NOW ", " STORE_NOW ", " STORE_NOW ")",
               "", values, VALUES_PER_ROW, count, NULL, err);
}

static bool try_chunk(struct creation *creation, struct chunk *chunk, struct error *err)
{
    struct db *db = store_db(creation->store);
    if (!db_begin(db, err))
        return false;
    const struct migration_new_shared *shared = creation->shared;
    if (!insert_chunk(creation, chunk, err) ||
        (shared->consent != NULL && !shared->consent(shared->consent_context, err))) {
        db_rollback(db);
        return false;
    }
    return db_commit(db, err);
}

static bool is_worth_another_try(const struct error *err)
{
    return err->fault == &FAULT_DB_DEADLOCK || err->fault == &FAULT_DB_DUPLICATE ||
           err->fault == &FAULT_UNCERTAIN;
}

static bool write_chunk(struct creation *creation, const size_t *rows, size_t count,
                        struct error *err)
{
    for (int tries = 1;; tries++) {
        CLEANUP(arena_freep) struct arena *arena = arena_new();
        struct chunk chunk = {arena, rows, count};
        if (try_chunk(creation, &chunk, err))
            return true;
        if (tries == TRIES_MOST || !is_worth_another_try(err))
            return false;
    }
}

/* ---- the whole ---- */

/* Rows that repeat a vm point to what became of its first. */
static void answer_repeated(struct creation *creation, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        size_t first = creation->first[i];
        if (first == i)
            continue;
        const struct uuid *existing = &creation->results[first].existing;
        creation->results[i].existing =
            uuid_is_nil(existing) ? creation->rows[first].id : *existing;
    }
}

static void announce(const struct creation *creation, struct arena *arena, size_t from, size_t to,
                     migration_created_handler *handler, void *context)
{
    struct uuid *ids = arena_calloc(arena, to - from + 1, sizeof(*ids));
    size_t count = 0;
    for (size_t i = from; i < to; i++)
        if (uuid_is_nil(&creation->results[i].existing))
            ids[count++] = creation->rows[i].id;
    if (handler != NULL && count > 0)
        handler(context, ids, count);
}

static bool write_range(struct creation *creation, struct arena *arena, size_t from, size_t to,
                        struct error *err)
{
    size_t *rows = arena_calloc(arena, to - from + 1, sizeof(*rows)), count = 0;
    for (size_t i = from; i < to; i++)
        if (creation->first[i] == i)
            rows[count++] = i;
    if (count > 0 && !write_chunk(creation, rows, count, err))
        return false;
    answer_repeated(creation, from, to);
    return true;
}

bool migration_create(struct store *store, const struct migration_new_shared *shared,
                      const struct migration_new *rows, size_t count,
                      migration_created_handler *handler, void *context,
                      struct migration_created *ret_results, size_t *ret_done, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct creation creation = {store, shared, rows, count, NULL, ret_results};
    find_firsts(&creation, arena);
    *ret_done = 0;
    for (size_t from = 0, to; from < count; from = to) {
        to = count - from < CHUNK ? count : from + CHUNK;
        if (!write_range(&creation, arena, from, to, err))
            return false;
        *ret_done = to;
        announce(&creation, arena, from, to, handler, context);
    }
    return true;
}
