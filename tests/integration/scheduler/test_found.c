/* SPDX-License-Identifier: Apache-2.0
 *
 * What discoveries find, when they may not look everywhere or their source is deleted meanwhile.
 * tests/integration/test_scheduler.py runs it.
 */
#include "common/store/inventory.h"

#include "tests/unit/check.h"

#include "tests/integration/scheduler/stage.h"

static struct world_job *begin_discovery(struct uuid *ret_wish)
{
    *ret_wish = world_wish(&world, "refresh", OWNER_SOURCE, &world.source);
    rounds(2);
    struct world_job *job = world_node_job(&one, &world.source);
    assert_non_null(job);
    return job;
}

static void what_could_not_be_looked_at_is_not_gone(void **state)
{
    struct uuid wish, old = world_vm(&world, "old", 1);
    struct world_job *job = begin_discovery(&wish);
    job->pages = 1;
    job->is_partial = true;
    world_node_page(&one, job, 1, true, "new");
    world_node_finish(&one, job, DONE, NULL);
    rounds(3);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish), "done");
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM vms WHERE gone_at IS NULL", NULL),
                     2);
    assert_int_equal(world_number(&world, "SELECT vm_count FROM sources", NULL), 2);
    job = begin_discovery(&wish); /* it looks everywhere again */
    job->pages = 1;
    world_node_page(&one, job, 1, true, "new");
    world_node_finish(&one, job, DONE, NULL);
    rounds(3);
    assert_int_equal(world_number(&world, "SELECT gone_at IS NOT NULL FROM vms WHERE id = ?", &old),
                     1);
}

static void new_machines_are_listed_as_they_were_found(void **state)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    const struct inventory_place place = {world.source, "p", 1, 1};
    struct vm machines[COUNT_OF(keys)];
    const struct vm *page[COUNT_OF(keys)];
    struct error err = {0};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        machines[i] = (struct vm){.key = keys[i], .name = keys[i], .cpus = 1, .memory_mib = 1};
        page[i] = &machines[i];
    }
    world_must(inventory_save(world.db, &place, page, COUNT_OF(keys), &err), &err);
    assert_string_equal(
        world_text(&world, "SELECT GROUP_CONCAT(name ORDER BY id SEPARATOR '') FROM vms", NULL),
        "abcdefgh");
}

static void pages_of_a_deleted_source_leave_nothing(void **state)
{
    struct uuid wish;
    struct world_job *job = begin_discovery(&wish);
    job->pages = 1;
    run_sql("DELETE FROM sources");
    world_node_page(&one, job, 1, true, "orphan");
    world_node_finish(&one, job, DONE, NULL);
    rounds(3);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM vms", NULL), 0);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM vm_disks", NULL), 0);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM jobs WHERE live = 1", NULL), 0);
}

/* Between the look that found it and the wish to remove it, its migration was tried again. */
static void what_is_held_by_now_is_not_removed(void **state)
{
    struct uuid vm = world_vm(&world, "vm", 1),
                id = world_migrate(&world, &vm, "keep", false, "{}");
    rounds(3);
    assert_non_null(world_node_job(&one, &id));
    run_sql("INSERT INTO strays (endpoint_id, kind, item, migration_id, detail_json, look)"
            " SELECT destination_id, 'disk', 'held', id, '{}', 1 FROM migrations");
    run_sql("INSERT INTO strays (endpoint_id, kind, item, migration_id, detail_json, look)"
            " SELECT destination_id, 'disk', 'nobodys', vm_id, '{}', 1 FROM migrations");
    world_wish(&world, "gc", OWNER_DESTINATION, &world.destination);
    run_sql("UPDATE wishes SET arguments_json = '{\"remove\":true}' WHERE verb = 'gc'");
    rounds(2);
    const char *request =
        world_text(&world, "SELECT request_json FROM jobs WHERE kind = 'gc' AND owner_id = ?",
                   &world.destination);
    assert_non_null(strstr(request, "nobodys"));
    assert_null(strstr(request, "held"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_could_not_be_looked_at_is_not_gone),
        TEST(new_machines_are_listed_as_they_were_found),
        TEST(pages_of_a_deleted_source_leave_nothing),
        TEST(what_is_held_by_now_is_not_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
