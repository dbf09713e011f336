/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs every list of the store over tables of some size, so that tests/integration/test_store.py can
 * look at how the server executes them. `lists_store seed` fills the tables, `lists_store run` reads
 * a second page of each list under each filter.
 */
#include "tests/integration/store/world.h"

#include <stdio.h>
#include <string.h>

#include "common/store/access_token.h"
#include "common/store/catalogue_view.h"
#include "common/store/event_view.h"
#include "common/store/migration_view.h"
#include "common/store/node_view.h"
#include "common/store/vm_view.h"
#include "common/store/wish.h"

#define DIGIT                                                                                      \
    "(SELECT 0 AS d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 "  \
    "UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL "       \
    "SELECT 9)"
#define NUMBERS                                                                                    \
    " FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d AS n FROM " DIGIT " a JOIN " DIGIT      \
    " b JOIN " DIGIT " c JOIN " DIGIT " e) numbers"
#define ID "UNHEX(LPAD(HEX(n + 65536), 32, '0'))"
#define SOURCE "UNHEX(LPAD(HEX(n %% 7 + 1), 32, '0'))"

static void seed(void)
{
    world_sql("INSERT INTO sources (id, project, name, driver, settings_json, address, created_at, "
              "updated_at) SELECT " ID ", 'red', n, 'fake', '{}', '', 1, 1" NUMBERS);
    world_sql("INSERT INTO destinations (id, project, name, driver, settings_json, address, "
              "created_at, updated_at) SELECT " ID ", 'red', n, 'fake', '{}', '', 1, 1" NUMBERS);
    world_sql(
        "INSERT INTO catalogues SELECT UNHEX(LPAD(HEX(65536), 32, '0')), IF(n %% 2, 'flavor', "
        "'network'), n, n, '{}', 1" NUMBERS);
    world_sql("INSERT INTO vms (id, project, source_id, vm_key, key_hash, name, power, firmware, "
              "cpus, memory_mib, capacity_bytes, disk_count, refresh, created_at, updated_at) "
              "SELECT " ID ", IF(n %% 3, 'red', 'blue'), " SOURCE ", n, " ID ", n %% 100, 'off', "
              "'bios', 1, 1, 1, 1, 1, 1, 1" NUMBERS);
    world_sql(
        "INSERT INTO migrations (id, project, vm_id, source_id, destination_id, vm_name, "
        "server_name, options_json, created_at, state, open_vm) SELECT " ID ", IF(n %% 3, "
        "'red', 'blue'), UNHEX(LPAD(HEX(n %% 50), 32, '0')), " SOURCE ", " SOURCE ", "
        "n %% 100, '', '{}', 1, ELT(n %% 3 + 1, 'PENDING', 'CLEANED', 'FAILED'), NULL" NUMBERS);
    world_sql("INSERT INTO events SELECT n + 1, 1, IF(n %% 3, 'red', 'blue'), 'k', 'info', "
              "'migration', " SOURCE ", '', NULL" NUMBERS);
    world_sql("INSERT INTO wishes (id, verb, owner_kind, owner_id, project, who, created_at, "
              "due_at) SELECT " ID ", 'cancel', 'migration', " SOURCE ", 'red', '', 1, "
              "IF(n %% 2, n, NULL)" NUMBERS);
    world_sql("INSERT INTO tokens (id, name, hash, role, project, created_at) SELECT " ID
              ", n, UNHEX(SHA2(n, 256)), 'admin', 'red', 1" NUMBERS);
    world_sql("INSERT INTO nodes (id, name, instance, first_seen_at, seen_at) SELECT " ID
              ", n, '', 1, 1" NUMBERS);
    world_sql("ANALYZE TABLE sources, destinations, catalogues, vms, migrations, events, wishes, "
              "tokens, nodes");
}

static struct uuid number_id(unsigned number)
{
    struct uuid id = {{0}};
    for (size_t i = 0; i < 4; i++)
        id.bytes[UUID_BYTES - 1 - i] = (uint8_t)(number >> (8 * i));
    return id;
}

/* In the middle of the ids; its bytes are ASCII, so that the server's log shows them unharmed. */
static struct page second_page(bool descending, const char *key)
{
    struct page_cursor cursor = {number_id(65536 + 0x1201), key};
    return (struct page){
        .most = 20, .descending = descending, .cursor = page_cursor_format(world.arena, &cursor)};
}

static void run_migrations(bool descending)
{
    struct page page = second_page(descending, "");
    struct uuid one = number_id(1);
    struct migration_list list;
    const struct migration_filter filters[] = {
        {0},
        {.project = "red"},
        {.state = MIGRATION_FAILED},
        {.project = "red", .state = MIGRATION_FAILED},
        {.source_id = one},
        {.project = "red", .source_id = one},
        {.destination_id = one},
        {.vm_id = one},
        {.name = "17"},
        {.project = "red", .name = "17"},
        {.state = MIGRATION_FAILED, .source_id = one, .destination_id = one}};
    for (size_t i = 0; i < COUNT_OF(filters); i++)
        OK(migration_view_list(world.store, world.arena, &filters[i], &page, &list, &world.err));
}

static void run_vms(bool descending)
{
    struct uuid one = number_id(1);
    struct vm_list list;
    const struct vm_filter filters[] = {
        {0},
        {.project = "red"},
        {.source_id = one},
        {.project = "red", .source_id = one},
        {.name = "17"},
        {.project = "red", .name = "17"},
        {.name_prefix = ""},
        {.project = "red", .name_prefix = ""},
        {.project = "red", .name_prefix = "1"},
        {.name_prefix = "1", .source_id = one},
        {.project = "red", .has_power = true, .power = VM_POWER_ON, .gone = VM_GONE_SHOWN}};
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        struct page page = second_page(descending, filters[i].name_prefix != NULL ? "15" : "");
        OK(vm_view_list(world.store, world.arena, &filters[i], &page, &list, &world.err));
    }
}

static void run_events(void)
{
    struct event_view *events;
    size_t count;
    const struct event_filter filters[] = {{0},
                                           {.project = "red"},
                                           {.owner_id = number_id(1)},
                                           {.project = "red", .owner_id = number_id(1)}};
    for (size_t i = 0; i < COUNT_OF(filters); i++) {
        OK(event_view_after(world.store, world.arena, &filters[i], 5000, 20, &events, &count,
                            &world.err));
        OK(event_view_before(world.store, world.arena, &filters[i], 5000, 20, &events, &count,
                             &world.err));
    }
}

static void run_others(bool descending)
{
    struct page page = second_page(descending, ""), by_name = second_page(descending, "5000");
    struct page of_catalogue = second_page(descending, "flavor/5001");
    struct uuid first = number_id(65536), owner = number_id(1);
    struct endpoint_list endpoints;
    struct catalogue_list items;
    struct wish_list wishes;
    struct access_token_list tokens;
    struct node_list nodes;
    for (enum end end = END_SOURCE; end <= END_DESTINATION; end++) {
        OK(endpoint_list(world.store, world.arena, end, NULL, NULL, &page, &endpoints, &world.err));
        OK(endpoint_list(world.store, world.arena, end, "red", NULL, &page, &endpoints,
                         &world.err));
    }
    OK(catalogue_view_list(world.store, world.arena, NULL, &first, NULL, &of_catalogue, &items,
                           &world.err));
    OK(catalogue_view_list(world.store, world.arena, NULL, &first, "flavor", &of_catalogue, &items,
                           &world.err));
    OK(wish_list(world.store, world.arena, "red", OWNER_MIGRATION, &owner, &page, &wishes,
                 &world.err));
    OK(wish_list_due(world.store, world.arena, 50, &wishes, &world.err));
    OK(access_token_list(world.store, world.arena, &page, &tokens, &world.err));
    OK(node_view_list(world.store, world.arena, &by_name, &nodes, &world.err));
}

static const char *verb;

static void lists(void **state)
{
    for (int descending = 0; strcmp(verb, "run") == 0 && descending < 2; descending++) {
        run_migrations(descending == 1);
        run_vms(descending == 1);
        run_others(descending == 1);
    }
    if (strcmp(verb, "run") == 0)
        run_events();
    else
        seed();
}

int main(int argc, char **argv)
{
    verb = argc > 1 ? argv[1] : "";
    const struct CMUnitTest seeding[] = {TEST(lists)};
    const struct CMUnitTest running[] = {
        cmocka_unit_test_setup_teardown(lists, world_open, world_end)};
    return strcmp(verb, "seed") == 0 ? cmocka_run_group_tests(seeding, NULL, NULL)
                                     : cmocka_run_group_tests(running, NULL, NULL);
}
