/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/store/world.h"

#include <stdio.h>
#include <string.h>

#include "common/store/catalogue_view.h"
#include "common/store/driver_view.h"
#include "common/store/stray.h"
#include "proto/fault.h"

static void a_definition_comes_back_whole_at_both_ends(void **state)
{
    struct endpoint endpoint;
    world_ends();
    const struct uuid *ids[] = {&world.source, &world.destination};
    for (enum end end = END_SOURCE; end <= END_DESTINATION; end++) {
        OK(endpoint_get(world.store, world.arena, end, "red", ids[end - END_SOURCE], &endpoint,
                        &world.err));
        assert_string_equal(endpoint.project, "red");
        assert_string_equal(endpoint.definition.driver, "fake");
        assert_string_equal(endpoint.definition.settings_json, "{\"path\": \"/x\"}");
        assert_int_equal(endpoint.definition.seal_length, 7);
        assert_memory_equal(endpoint.definition.seal, "sea\0led", 7);
        assert_string_equal(endpoint.definition.labels_json, "[\"dmz\"]");
        assert_string_equal(endpoint.state, "new");
        assert_int_equal(endpoint.refreshed_at, 0);
        assert_true(endpoint.created_at > 1700000000000000);
    }
}

static void names_are_unique_in_their_project_only(void **state)
{
    struct uuid id = uuid_new(), other = uuid_new();
    struct endpoint_definition same = world_definition("src");
    struct endpoint endpoint;
    world_ends();
    FAILS(endpoint_create(world.store, END_SOURCE, &id, "red", &same, &world.err),
          FAULT_NAME_TAKEN);
    OK(endpoint_create(world.store, END_SOURCE, &other, "blue", &same, &world.err));
    FAILS(endpoint_find(world.store, world.arena, END_SOURCE, NULL, "src", &endpoint, &world.err),
          FAULT_NAME_AMBIGUOUS);
    OK(endpoint_find(world.store, world.arena, END_SOURCE, "blue", "src", &endpoint, &world.err));
    assert_true(uuid_equal(&endpoint.id, &other));
    OK(endpoint_find(world.store, world.arena, END_SOURCE, NULL, UUID_TEXT(&other), &endpoint,
                     &world.err));
    FAILS(endpoint_find(world.store, world.arena, END_SOURCE, "red", UUID_TEXT(&other), &endpoint,
                        &world.err),
          FAULT_NOT_FOUND);
}

static void sql_in_a_name_is_only_a_name(void **state)
{
    struct uuid id = uuid_new();
    struct endpoint_definition bad = world_definition("x'; DROP TABLE sources; -- ");
    struct endpoint endpoint;
    OK(endpoint_create(world.store, END_SOURCE, &id, "red", &bad, &world.err));
    OK(endpoint_find(world.store, world.arena, END_SOURCE, "red", bad.name, &endpoint, &world.err));
    assert_string_equal(endpoint.definition.name, bad.name);
}

static void an_update_demands_the_row_as_it_was_read(void **state)
{
    struct endpoint endpoint;
    struct endpoint_definition changed = world_definition("renamed");
    world_ends();
    OK(endpoint_get(world.store, world.arena, END_SOURCE, "red", &world.source, &endpoint,
                    &world.err));
    changed.seal = NULL;
    changed.seal_key_id = "";
    changed.labels_json = NULL;
    OK(endpoint_update(world.store, END_SOURCE, "red", &world.source, &changed, endpoint.updated_at,
                       &world.err));
    FAILS(endpoint_update(world.store, END_SOURCE, "red", &world.source, &changed,
                          endpoint.updated_at, &world.err),
          FAULT_CONFLICT);
    OK(endpoint_update(world.store, END_SOURCE, NULL, &world.source, &changed, 0, &world.err));
    OK(endpoint_get(world.store, world.arena, END_SOURCE, "red", &world.source, &endpoint,
                    &world.err));
    assert_string_equal(endpoint.definition.name, "renamed");
    assert_null(endpoint.definition.seal);
    assert_null(endpoint.definition.labels_json);
    FAILS(endpoint_update(world.store, END_SOURCE, "blue", &world.source, &changed, 0, &world.err),
          FAULT_NOT_FOUND);
}

static void a_name_of_another_is_refused_in_an_update(void **state)
{
    struct uuid id = uuid_new();
    struct endpoint_definition other = world_definition("other");
    world_ends();
    OK(endpoint_create(world.store, END_DESTINATION, &id, "red", &other, &world.err));
    other.name = "dst";
    FAILS(endpoint_update(world.store, END_DESTINATION, "red", &id, &other, 0, &world.err),
          FAULT_NAME_TAKEN);
}

static void lists_page_to_the_end_in_both_directions(void **state)
{
    enum { COUNT = 25 };
    for (int direction = 0; direction < 2; direction++) {
        struct page page = {.most = 10, .descending = direction == 1};
        struct endpoint_list list;
        size_t seen = 0;
        char last[16] = "";
        world_sql("DELETE FROM sources");
        for (int i = 0; i < COUNT; i++) {
            char name[16];
            struct uuid id = uuid_new();
            snprintf(name, sizeof(name), "s%02d", i);
            struct endpoint_definition definition = world_definition(name);
            OK(endpoint_create(world.store, END_SOURCE, &id, i % 5 == 4 ? "blue" : "red",
                               &definition, &world.err));
        }
        do {
            OK(endpoint_list(world.store, world.arena, END_SOURCE, "red", NULL, &page, &list,
                             &world.err));
            for (size_t i = 0; i < list.count; i++) {
                const char *name = list.items[i].definition.name;
                int order = strcmp(name, last);
                assert_true(last[0] == '\0' || (direction == 0 ? order > 0 : order < 0));
                snprintf(last, sizeof(last), "%s", name);
            }
            seen += list.count;
            page.cursor = list.next;
        } while (list.next != NULL);
        assert_int_equal(seen, 20);
    }
}

static void a_foreign_cursor_is_refused(void **state)
{
    struct page page = {.cursor = "no cursor"};
    struct endpoint_list list;
    FAILS(endpoint_list(world.store, world.arena, END_SOURCE, NULL, NULL, &page, &list, &world.err),
          FAULT_INVALID);
    page = (struct page){.most = PAGE_MOST + 1};
    FAILS(endpoint_list(world.store, world.arena, END_SOURCE, NULL, NULL, &page, &list, &world.err),
          FAULT_INVALID);
}

static void deleting_takes_what_was_found_there(void **state)
{
    world_ends();
    for (int i = 0; i < 1100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "vm%d", i);
        world_vm("red", name);
    }
    world_sql("INSERT INTO catalogues VALUES (%s, 'flavor', '1', 'small', '{}', 1)",
              world_hex(&world.destination));
    for (int i = 0; i < 2; i++)
        world_sql("INSERT INTO strays VALUES (%s, 'snapshot', '1', x'0190', '{}', 1)",
                  world_hex(i == 0 ? &world.source : &world.destination));
    FAILS(endpoint_delete(world.store, END_SOURCE, "blue", &world.source, &world.err),
          FAULT_NOT_FOUND);
    OK(endpoint_delete(world.store, END_SOURCE, "red", &world.source, &world.err));
    OK(endpoint_delete(world.store, END_DESTINATION, NULL, &world.destination, &world.err));
    assert_int_equal(world_number("SELECT (SELECT COUNT(*) FROM vms) + (SELECT COUNT(*) FROM "
                                  "vm_disks) + (SELECT COUNT(*) FROM vm_nics) + (SELECT COUNT(*) "
                                  "FROM catalogues) + (SELECT COUNT(*) FROM strays) + (SELECT "
                                  "COUNT(*) FROM sources) + (SELECT "
                                  "COUNT(*) FROM destinations)"),
                     0);
}

static void what_is_in_use_is_not_deleted(void **state)
{
    world_ends();
    struct uuid migration = world_migration("red", "web");
    FAILS(endpoint_delete(world.store, END_SOURCE, "red", &world.source, &world.err), FAULT_IN_USE);
    FAILS(endpoint_delete(world.store, END_DESTINATION, "red", &world.destination, &world.err),
          FAULT_IN_USE);
    assert_int_equal(world_number("SELECT COUNT(*) FROM vms"), 1);
    world_sql("UPDATE migrations SET state = 'CLEANED', open_vm = NULL WHERE id = %s",
              world_hex(&migration));
    world_sql("INSERT INTO jobs (id, kind, owner_kind, owner_id, project, state, live, created_at) "
              "VALUES (%s, 'discover', 'source', %s, 'red', 'assigned', 1, 1)",
              world_hex(&migration), world_hex(&world.source));
    FAILS(endpoint_delete(world.store, END_SOURCE, "red", &world.source, &world.err), FAULT_IN_USE);
    world_sql("UPDATE jobs SET live = NULL");
    OK(endpoint_delete(world.store, END_SOURCE, "red", &world.source, &world.err));
    OK(endpoint_delete(world.store, END_DESTINATION, "red", &world.destination, &world.err));
}

static void drivers_are_listed_and_found(void **state)
{
    struct driver_view *drivers, driver;
    size_t count;
    world_sql("INSERT INTO drivers VALUES ('source', 'ova', '{\"title\": 1}', 5), ('source', "
              "'fake', '{}', 5), ('destination', 'fake', '{}', 6)");
    OK(driver_view_list(world.store, world.arena, END_UNKNOWN, &drivers, &count, &world.err));
    assert_int_equal(count, 3);
    OK(driver_view_list(world.store, world.arena, END_SOURCE, &drivers, &count, &world.err));
    assert_int_equal(count, 2);
    assert_string_equal(drivers[0].name, "fake");
    OK(driver_view_get(world.store, world.arena, END_SOURCE, "ova", &driver, &world.err));
    assert_string_equal(driver.declaration_json, "{\"title\": 1}");
    FAILS(driver_view_get(world.store, world.arena, END_DESTINATION, "ova", &driver, &world.err),
          FAULT_DRIVER_UNKNOWN);
}

static void a_catalogue_pages_by_kind_and_item(void **state)
{
    struct page page = {.most = 3};
    struct catalogue_list list;
    size_t seen = 0;
    world_ends();
    for (int i = 0; i < 7; i++)
        world_sql("INSERT INTO catalogues VALUES (%s, '%s', 'i/%d', 'n', '{}', 1)",
                  world_hex(&world.destination), i < 4 ? "flavor" : "network", i);
    do {
        OK(catalogue_view_list(world.store, world.arena, "red", &world.destination, NULL, &page,
                               &list, &world.err));
        for (size_t i = 0; i < list.count; i++, seen++) {
            char item[8];
            snprintf(item, sizeof(item), "i/%zu", seen);
            assert_string_equal(list.items[i].item, item);
        }
        page.cursor = list.next;
    } while (list.next != NULL);
    assert_int_equal(seen, 7);
    page.cursor = NULL;
    OK(catalogue_view_list(world.store, world.arena, "red", &world.destination, "network", &page,
                           &list, &world.err));
    assert_int_equal(list.count, 3);
    assert_null(list.next);
    FAILS(catalogue_view_list(world.store, world.arena, "blue", &world.destination, NULL, &page,
                              &list, &world.err),
          FAULT_NOT_FOUND);
}

static void strays_are_saved_paged_and_swept(void **state)
{
    world_ends();
    struct db *db = store_db(world.store);
    struct uuid owner = uuid_new(), other = uuid_new();
    const struct stray first[] = {{"disk", "a/1", owner, "{}"}, {"server", "s", owner, "{}"}},
                       second[] = {{"disk", "a/1", other, "{\"size\": 1}"}};
    struct page page = {.most = 1};
    struct stray_list list;
    struct stray *loaded;
    size_t count;
    OK(stray_save(db, &world.destination, 1, first, 2, &world.err));
    OK(stray_save(db, &world.source, 1, first, 1, &world.err));
    OK(stray_list(world.store, world.arena, &world.destination, &page, &list, &world.err));
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].key, "a/1");
    page.cursor = list.next;
    OK(stray_list(world.store, world.arena, &world.destination, &page, &list, &world.err));
    assert_string_equal(list.items[0].kind, "server");
    assert_null(list.next);
    OK(stray_save(db, &world.destination, 2, second, 1, &world.err));
    OK(stray_sweep(db, &world.destination, 2, &world.err));
    OK(stray_load(db, world.arena, &world.destination, 10, &loaded, &count, &world.err));
    assert_int_equal(count, 1);
    assert_true(uuid_equal(&loaded[0].migration, &other));
    assert_string_equal(loaded[0].detail_json, "{\"size\": 1}");
    OK(stray_load(db, world.arena, &world.source, 10, &loaded, &count, &world.err));
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(strays_are_saved_paged_and_swept),
        TEST(a_definition_comes_back_whole_at_both_ends),
        TEST(names_are_unique_in_their_project_only),
        TEST(sql_in_a_name_is_only_a_name),
        TEST(an_update_demands_the_row_as_it_was_read),
        TEST(a_name_of_another_is_refused_in_an_update),
        TEST(lists_page_to_the_end_in_both_directions),
        TEST(a_foreign_cursor_is_refused),
        TEST(deleting_takes_what_was_found_there),
        TEST(what_is_in_use_is_not_deleted),
        TEST(drivers_are_listed_and_found),
        TEST(a_catalogue_pages_by_kind_and_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
