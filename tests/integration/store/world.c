/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/store/world.h"

#include <stdio.h>
#include <string.h>

#include "tests/integration/db/server.h"

struct world world;

void world_ok(bool done, const char *call)
{
    if (!done)
        print_error("%s: %s\n", call, world.err.text);
    assert_true(done);
}

void world_fails(bool done, const struct fault *expected, const char *call)
{
    if (done || world.err.fault != expected)
        print_error("%s: %s\n", call, done ? "passed" : world.err.text);
    assert_false(done);
    assert_ptr_equal(world.err.fault, expected);
}

void world_sql(const char *sql, ...)
{
    char text[8192];
    va_list args;
    va_start(args, sql);
    vsnprintf(text, sizeof(text), sql, args);
    va_end(args);
    OK(db_run_script(store_db(world.store), text, &world.err));
}

uint64_t world_number(const char *sql, ...)
{
    char text[8192];
    struct db_rows *rows;
    va_list args;
    va_start(args, sql);
    vsnprintf(text, sizeof(text), sql, args);
    va_end(args);
    OK(db_query(store_db(world.store), world.arena, text, NULL, 0, &rows, &world.err));
    return db_rows_unsigned(rows, 0, 0);
}

const char *world_hex(const struct uuid *id)
{
    char text[UUID_BYTES * 2 + 1];
    for (size_t i = 0; i < UUID_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", id->bytes[i]);
    return arena_printf(world.arena, "x'%s'", text);
}

static void empty_tables(void)
{
    static const char *const tables[] = {
        "services",   "tokens",     "drivers",         "sources", "destinations", "catalogues",
        "strays",     "vms",        "vm_disks",        "vm_nics", "nodes",        "pools",
        "node_pools", "migrations", "migration_disks", "needs",   "jobs",         "steps",
        "remains",    "wishes",     "ledger",          "events"};
    for (size_t i = 0; i < COUNT_OF(tables); i++)
        world_sql("DELETE FROM %s", tables[i]);
    world_sql("UPDATE leader SET event_number = 0");
}

int world_open(void **state)
{
    world = (struct world){.arena = arena_new()};
    test_server_settings(&world.settings);
    world.store = store_new(&world.settings);
    return 0;
}

int world_begin(void **state)
{
    unsigned from, to;
    world_open(state);
    OK(store_schema_sync(world.store, &from, &to, &world.err));
    empty_tables();
    return 0;
}

int world_end(void **state)
{
    store_free(world.store);
    arena_free(world.arena);
    return 0;
}

struct endpoint_definition world_definition(const char *name)
{
    return (struct endpoint_definition){.name = name,
                                        .driver = "fake",
                                        .description = "for tests",
                                        .settings_json = "{\"path\": \"/x\"}",
                                        .address = "/x",
                                        .seal = "sea\0led",
                                        .seal_length = 7,
                                        .seal_key_id = "key1",
                                        .labels_json = "[\"dmz\"]"};
}

void world_ends(void)
{
    struct endpoint_definition source = world_definition("src");
    struct endpoint_definition destination = world_definition("dst");
    world.source = uuid_new();
    world.destination = uuid_new();
    OK(endpoint_create(world.store, END_SOURCE, &world.source, "red", &source, &world.err));
    OK(endpoint_create(world.store, END_DESTINATION, &world.destination, "red", &destination,
                       &world.err));
}

struct uuid world_vm(const char *project, const char *name)
{
    struct uuid id = uuid_new();
    const char *hex = world_hex(&id);
    world_sql("INSERT INTO vms (id, project, source_id, vm_key, key_hash, name, uuid, power, "
              "firmware, cpus, memory_mib, capacity_bytes, disk_count, refresh, created_at, "
              "updated_at) VALUES (%s, '%s', %s, %s, %s, '%s', 'u-1', 'off', 'efi', 2, 2048, "
              "3000, 2, 1, 10, 20)",
              hex, project, world_hex(&world.source), hex, hex, name);
    world_sql("INSERT INTO vm_disks (vm_id, number, disk_key, bus, controller, capacity_bytes, "
              "format) VALUES (%s, 1, 'b.vmdk', 'scsi', '', 2000, 'vmdk'), (%s, 0, 'a.vmdk', "
              "'scsi', 'pvscsi', 1000, 'vmdk')",
              hex, hex);
    world_sql("INSERT INTO vm_nics VALUES (%s, 0, '00:0c:29:00:00:01', 'e1000', 'lan', 1)", hex);
    return id;
}

static bool create_one(const char *project, const struct migration_new *row)
{
    struct migration_new_shared shared = {project, "{\"boot\": true}", "rollback", false, "ann"};
    struct migration_created result;
    size_t done;
    return migration_create(world.store, &shared, row, 1, NULL, NULL, &result, &done, &world.err) &&
           uuid_is_nil(&result.existing);
}

struct uuid world_migration(const char *project, const char *name)
{
    struct migration_new row = {
        uuid_new(), world_vm(project, name), world.source, world.destination, name, name};
    OK(create_one(project, &row));
    return row.id;
}

void world_children(const struct uuid *migration)
{
    const char *id = world_hex(migration);
    struct uuid job = uuid_new();
    const char *job_hex = world_hex(&job);
    world_sql("INSERT INTO migration_disks VALUES (%s, 1, 2000, 900, 90, 91, 92, ''), "
              "(%s, 0, 1000, 800, 80, 81, 82, 'xxh3:00ff')",
              id, id);
    world_sql("INSERT INTO steps VALUES (%s, 1, 2, %s, 'copy', 'failed', 7, 8, 'io', 'no disk'), "
              "(%s, 1, 1, %s, 'inspect', 'done', 5, 6, NULL, NULL), "
              "(%s, 2, 1, %s, 'inspect', 'running', 9, NULL, NULL, NULL)",
              job_hex, id, job_hex, id, job_hex, id);
    world_sql("INSERT INTO ledger VALUES (%s, 'destination', 'disk', 'k2', 'migration', 2, 'made', "
              "'ext', NULL, 'second', %s, 2, 1, 30, 31), (%s, 'source', 'power', 'k1', "
              "'migration', 1, 'undone', '', '{\"on\": true}', 'first', %s, 1, 3, 28, 29)",
              id, job_hex, id, job_hex);
}
