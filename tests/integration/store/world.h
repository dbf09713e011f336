/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store's test programs share: a store on an empty schema for each test, and rows of the
 * kinds that the scheduler writes in production.
 */
#ifndef GUTS_TESTS_INTEGRATION_STORE_WORLD_H
#define GUTS_TESTS_INTEGRATION_STORE_WORLD_H

#include "tests/unit/check.h"

#include "common/store/endpoint.h"
#include "common/store/migration_create.h"
#include "common/store/schema.h"
#include "common/store/store.h"

struct world {
    struct arena *arena;
    struct store *store;
    struct error err;
    struct db_settings settings;
    struct uuid source, destination;
};
extern struct world world;

/* Fails the test with the error's text. */
#define OK(call) world_ok((call), #call)
void world_ok(bool done, const char *call);
/* The call fails with this fault. */
#define FAILS(call, expected) world_fails((call), &(expected), #call)
void world_fails(bool done, const struct fault *expected, const char *call);

int world_begin(void **state); /* schema in place, all tables empty */
int world_open(void **state);  /* leaves what is in the tables */
int world_end(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

void world_sql(const char *sql, ...) PRINTF_LIKE(1, 2); /* one statement without result */
uint64_t world_number(const char *sql, ...) PRINTF_LIKE(1, 2);
const char *world_hex(const struct uuid *id); /* "x'…'", for world_sql */

/* A source "src" and a destination "dst" of project "red", kept in world. */
void world_ends(void);
struct endpoint_definition world_definition(const char *name);
/* A vm of world.source with two disks and one NIC. */
struct uuid world_vm(const char *project, const char *name);
/* A migration of a new vm, PENDING. */
struct uuid world_migration(const char *project, const char *name);
/* Its children: two disks, three steps of one job, two ledger entries. */
void world_children(const struct uuid *migration);

#endif
