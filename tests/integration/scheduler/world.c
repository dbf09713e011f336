/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "tests/integration/scheduler/world.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/store/schema.h"
#include "proto/topology.h"
#include "scheduler/assign.h"
#include "scheduler/intern.h"
#include "scheduler/leadership.h"
#include "scheduler/loop.h"
#include "tests/integration/db/server.h"

static struct arena *texts;

void world_must(bool done, const struct error *err)
{
    if (!done)
        fail_msg("%s: %s", err->fault ? err->fault->code : "?", err->text);
}

static void execute(struct world *world, const char *sql, const struct db_value *values,
                    size_t count)
{
    struct error err = {0};
    world_must(db_execute(world->db, sql, values, count, NULL, &err), &err);
}

/* -- the world ------------------------------------------------------------------------------------- */

static void default_settings(struct scheduler_settings *settings)
{
    *settings = (struct scheduler_settings){
        .metrics_listen = "",
        .lease_ms = 30000,
        .takeover_ms = 120000,
        .stop_grace_ms = 10000,
        .longest_request_ms = 60000,
        .margin_ms = 5000,
        .report_interval_ms = 5000,
        .leader_timeout_ms = 3000,
        .resend_ms = 5000,
        .idle_interval_ms = 1000,
        .hold_after_ms = 600000,
        .retry_first_ms = 0,
        .retry_most_ms = 0,
        .retries_most = 2,
        .undo_retries_most = 3,
        .attempts_most = 100,
        .batch_messages = 500,
        .batch_time_ms = 1000,
        .batch_due = 500,
        .batch_place = 500,
        .space_percent = 5,
        .job_space_bytes = 64 << 20,
        .job_memory_bytes = 0,
        .weight_space = 100,
        .weight_source = 10,
        .weight_destination = 10,
        .weight_idle = 10,
    };
}

static void empty_tables(struct world *world)
{
    static const char *const tables[] = {
        "sources", "destinations", "catalogues",      "strays",     "vms",        "vm_disks",
        "vm_nics", "nodes",        "pools",           "node_pools", "migrations", "jobs",
        "steps",   "wishes",       "ledger",          "events",     "drivers",    "needs",
        "remains", "pages",        "migration_disks", "services"};
    char sql[64];
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        snprintf(sql, sizeof sql, "DELETE FROM %s", tables[i]);
        execute(world, sql, NULL, 0);
    }
    execute(world,
            "UPDATE leader SET term = 0, holder = '', connection_id = 0, batch = 0,"
            " event_number = 0, renewed_at = 0",
            NULL, 0);
}

static void add_end(struct world *world, const char *table, const struct uuid *id)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO %s (id, project, name, driver, settings_json, address, created_at,"
             " updated_at) VALUES (?, 'p', 'one', 'fake', '{}', 'fake:', 1, 1)",
             table);
    const struct db_value values[] = {db_uuid(id)};
    execute(world, sql, values, 1);
}

void world_scheduler_begin(struct world *world, struct scheduler *scheduler)
{
    static unsigned count;
    static char names[8][32];
    static struct db_settings database;
    test_server_settings(&database);
    char *name = names[count++ % COUNT_OF(names)];
    snprintf(name, sizeof names[0], "scheduler-%u", count);
    *scheduler = (struct scheduler){.settings = &world->settings, .name = name, .instance = name};
    scheduler->service = (struct service){.name = name,
                                          .kind = "scheduler",
                                          .host = "here",
                                          .instance = name,
                                          .version = "1",
                                          .role = ""};
    scheduler->store = store_new(&database);
    scheduler->db = store_db(scheduler->store);
    scheduler->health = health_new(1000000);
    scheduler->bus = bus_memory_open(world->broker);
    bus_on_fate(scheduler->bus, assign_fate, scheduler);
}

void world_scheduler_end(struct scheduler *scheduler)
{
    if (scheduler->leads)
        leadership_release(scheduler);
    bus_close(scheduler->bus);
    picture_free(scheduler->picture);
    store_free(scheduler->store);
    health_free(scheduler->health);
    intern_words_fini(&scheduler->staging_sources);
    intern_words_fini(&scheduler->staging_destinations);
    free(scheduler->drivers);
}

void world_begin(struct world *world)
{
    struct error err = {0};
    static struct db_settings database;
    unsigned from, to;
    memset(world, 0, sizeof *world);
    log_open("test", getenv("GUTS_TEST_LOG") ? LOG_DEBUG_LEVEL : LOG_ERROR_LEVEL);
    clock_fake_begin(1000000, clock_wall_us());
    test_server_settings(&database);
    struct store *store = store_new(&database);
    world_must(store_schema_sync(store, &from, &to, &err), &err);
    store_free(store);
    world->db = db_new(&database);
    empty_tables(world);
    world->source = uuid_new();
    world->destination = uuid_new();
    add_end(world, "sources", &world->source);
    add_end(world, "destinations", &world->destination);
    default_settings(&world->settings);
    world->broker = bus_memory_new();
    world->sender = bus_memory_open(world->broker);
    texts = arena_new();
    world_scheduler_begin(world, &world->scheduler);
    world_turn(world, 1);
    assert_true(world->scheduler.leads);
}

void world_end(struct world *world)
{
    world_scheduler_end(&world->scheduler);
    bus_close(world->sender);
    bus_memory_free(world->broker);
    db_free(world->db);
    intern_end();
    arena_free(texts);
    clock_fake_end();
}

void world_turn(struct world *world, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        clock_fake_advance(world->settings.idle_interval_ms);
        loop_turn(&world->scheduler, -1);
    }
}

/* -- the api's part ------------------------------------------------------------------------------------ */

struct uuid world_vm(struct world *world, const char *name, uint64_t capacity_bytes)
{
    struct uuid id = uuid_new();
    const struct db_value values[] = {db_uuid(&id),  db_uuid(&world->source),
                                      db_text(name), db_uuid(&id),
                                      db_text(name), db_unsigned(capacity_bytes)};
    execute(
        world,
        "INSERT INTO vms (id, project, source_id, vm_key, key_hash, name, power, firmware, cpus,"
        " memory_mib, capacity_bytes, disk_count, refresh, created_at, updated_at)"
        " VALUES (?, 'p', ?, ?, ?, ?, 'off', 'bios', 1, 512, ?, 0, 1, 1, 1)",
        values, COUNT_OF(values));
    return id;
}

struct uuid world_migrate(struct world *world, const struct uuid *vm, const char *on_failure,
                          bool dry_run, const char *options_json)
{
    struct uuid id = uuid_new();
    const struct db_value values[] = {db_uuid(&id),
                                      db_uuid(vm),
                                      db_uuid(&world->source),
                                      db_uuid(&world->destination),
                                      db_text(options_json),
                                      db_text(on_failure),
                                      db_unsigned(dry_run),
                                      db_uuid(vm)};
    execute(world,
            "INSERT INTO migrations (id, project, vm_id, source_id, destination_id, vm_name,"
            " server_name, options_json, on_failure, dry_run, created_at, open_vm, due_at)"
            " VALUES (?, 'p', ?, ?, ?, 'vm', 'vm', ?, ?, ?, 1, ?, 1)",
            values, COUNT_OF(values));
    return id;
}

struct uuid world_wish(struct world *world, const char *verb, enum owner_kind kind,
                       const struct uuid *owner)
{
    struct uuid id = uuid_new();
    const struct db_value values[] = {db_uuid(&id), db_text(verb), db_text(owner_kind_name(kind)),
                                      db_uuid(owner)};
    execute(world,
            "INSERT INTO wishes (id, verb, owner_kind, owner_id, project, who, created_at, due_at)"
            " VALUES (?, ?, ?, ?, 'p', 'me', 1, 1)",
            values, COUNT_OF(values));
    return id;
}

static struct db_rows *query(struct world *world, const char *sql, const struct uuid *id)
{
    struct error err = {0};
    struct db_rows *rows;
    const struct db_value values[] = {id == NULL ? db_null() : db_uuid(id)};
    world_must(db_query(world->db, texts, sql, values, id != NULL, &rows, &err), &err);
    return rows;
}

const char *world_text(struct world *world, const char *sql, const struct uuid *id)
{
    struct db_rows *rows = query(world, sql, id);
    const char *text = db_rows_count(rows) == 0 ? NULL : db_rows_text(rows, 0, 0);
    return text == NULL ? "" : text;
}

uint64_t world_number(struct world *world, const char *sql, const struct uuid *id)
{
    struct db_rows *rows = query(world, sql, id);
    return db_rows_count(rows) == 0 ? 0 : db_rows_unsigned(rows, 0, 0);
}

const char *world_story(struct world *world, const struct uuid *id)
{
    return world_text(world,
                      "SELECT GROUP_CONCAT(JSON_VALUE(data_json, '$.to') ORDER BY number"
                      " SEPARATOR ' ') FROM events WHERE owner_id = ? AND kind = 'migration.state'",
                      id);
}
