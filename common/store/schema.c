/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/schema.h"

#include <string.h>

#define LOCK_WAIT_SECONDS 60

static const char versions_table[] =
    "CREATE TABLE IF NOT EXISTS schema_versions ("
    "number INT UNSIGNED NOT NULL PRIMARY KEY, name VARCHAR(128) NOT NULL, "
    "applied_at BIGINT UNSIGNED NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";

static bool query_number(struct store *store, const char *sql, uint64_t *ret_number,
                         struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    if (!db_query(store_db(store), arena, sql, NULL, 0, &rows, err))
        return false;
    *ret_number = db_rows_unsigned(rows, 0, 0);
    return true;
}

bool store_schema_version(struct store *store, unsigned *ret_version, struct error *err)
{
    uint64_t tables, version = 0;
    if (!query_number(store,
                      "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = "
                      "DATABASE() AND table_name = 'schema_versions'",
                      &tables, err))
        return false;
    if (tables > 0 &&
        !query_number(store, "SELECT COALESCE(MAX(number), 0) FROM schema_versions", &version, err))
        return false;
    *ret_version = (unsigned)version;
    return true;
}

static bool refuse_newer(unsigned version, struct error *err)
{
    if (version <= schema_file_count)
        return true;
    return error_set(err, &FAULT_CONFLICT,
                     "the database has schema %u, this binary knows %zu: upgrade guts", version,
                     schema_file_count);
}

bool store_schema_verify(struct store *store, struct error *err)
{
    unsigned version;
    if (!store_schema_version(store, &version, err) || !refuse_newer(version, err))
        return false;
    if (version < schema_file_count)
        return error_set(err, &FAULT_CONFLICT,
                         "the database has schema %u, this binary needs %zu: run \"guts-manage "
                         "db-sync\"",
                         version, schema_file_count);
    return true;
}

/* The server gives the lock up by itself when our connection ends. */
static bool lock_schema(struct store *store, struct error *err)
{
    uint64_t got;
    if (!query_number(store, "SELECT GET_LOCK(CONCAT('guts_schema_', LEFT(DATABASE(), 40)), 0)",
                      &got, err))
        return false;
    for (int waited = 0; got != 1; waited++) {
        if (waited >= LOCK_WAIT_SECONDS)
            return error_set(err, &FAULT_TIMEOUT, "another db-sync holds the lock");
        if (!query_number(store, "SELECT GET_LOCK(CONCAT('guts_schema_', LEFT(DATABASE(), 40)), 1)",
                          &got, err))
            return false;
    }
    return true;
}

static bool apply(struct store *store, const struct schema_file *file, struct error *err)
{
    struct db_value values[] = {db_unsigned(file->number), db_text(file->name)};
    if (!db_run_script(store_db(store), file->text, err) ||
        !db_execute(
            store_db(store),
            "INSERT INTO schema_versions (number, name, applied_at) VALUES (?, ?, " STORE_NOW
            ") ON DUPLICATE KEY UPDATE name = VALUES(name)",
            values, COUNT_OF(values), NULL, err))
        return error_prefix(err, "schema file \"%s\"", file->name);
    return true;
}

static bool sync_locked(struct store *store, unsigned *ret_from, unsigned *ret_to,
                        struct error *err)
{
    unsigned from;
    if (!db_run_script(store_db(store), versions_table, err) ||
        !store_schema_version(store, &from, err) || !refuse_newer(from, err))
        return false;
    uint64_t connections = db_connection_count(store_db(store));
    for (size_t i = from; i < schema_file_count; i++) {
        if (!apply(store, &schema_files[i], err))
            return false;
        if (db_connection_count(store_db(store)) != connections)
            return error_set(err, &FAULT_DB_UNAVAILABLE,
                             "the connection, and the lock with it, was lost: run it again");
    }
    *ret_from = from;
    *ret_to = (unsigned)schema_file_count;
    return true;
}

bool store_schema_sync(struct store *store, unsigned *ret_from, unsigned *ret_to, struct error *err)
{
    uint64_t released;
    struct error ignored;
    if (!lock_schema(store, err))
        return false;
    bool done = sync_locked(store, ret_from, ret_to, err);
    if (!query_number(store, "SELECT RELEASE_LOCK(CONCAT('guts_schema_', LEFT(DATABASE(), 40)))",
                      &released, &ignored))
        db_disconnect(store_db(store)); /* which gives it up too */
    return done;
}
