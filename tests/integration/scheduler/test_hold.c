/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs that wait or are refused for long: their bounds, and the nodes that are held for them.
 * tests/integration/test_scheduler.py runs it.
 */
#include "tests/unit/check.h"

#include "tests/integration/scheduler/stage.h"

/* Attempts are numbered over all jobs of an owner, and bounded for each job. */
static void a_source_that_was_refreshed_often_survives_a_refusal(void **state)
{
    run_sql("UPDATE sources SET attempt = 5000");
    one.refuses = true;
    struct uuid wish = world_wish(&world, "refresh", OWNER_SOURCE, &world.source);
    rounds(1);
    second_node();
    world.settings.retry_first_ms = 0;
    rounds(3);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish),
                        "taken");
    assert_non_null(world_node_job(&two, &world.source));
    assert_true(world_node_job(&two, &world.source)->attempt > 5001);
}

static void the_last_refusal_of_a_job_is_told(void **state)
{
    one.refuses = true;
    world.settings.attempts_most = 1;
    struct uuid wish = world_wish(&world, "refresh", OWNER_SOURCE, &world.source);
    rounds(2);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish),
                        "failed");
    assert_string_equal(world_text(&world, "SELECT fault_code FROM wishes WHERE id = ?", &wish),
                        "attempts_spent");
    assert_string_equal(world_text(&world, "SELECT fault_text FROM wishes WHERE id = ?", &wish),
                        "no more");
}

/* The group of the only job that waits. */
static const struct group *waiting_group(void)
{
    const struct picture *picture = world.scheduler.picture;
    LIST_EACH(&picture->group_list, at)
    {
        const struct group *group = LIST_ITEM(at, struct group, link);
        if (group->waiting > 0)
            return group;
    }
    return NULL;
}

static void a_node_that_can_serve_no_more_is_held_for_nobody(void **state)
{
    const char *const large = "{\"reserve_bytes\":42949672960}";
    one.capacity_bytes = one.free_bytes = 60ull << 30;
    rounds(1);
    world.settings.hold_after_ms = 0;
    struct uuid vms[] = {world_vm(&world, "a", 1), world_vm(&world, "b", 1)};
    world_migrate(&world, &vms[0], "rollback", false, large);
    rounds(1);
    world_migrate(&world, &vms[1], "rollback", false, large);
    rounds(1);
    assert_non_null(waiting_group());
    assert_non_null(waiting_group()->held);
    world_wish(&world, "drain", OWNER_NODE, &one.id);
    rounds(2);
    assert_null(waiting_group()->held);
    world_wish(&world, "enable", OWNER_NODE, &one.id);
    rounds(2);
    assert_non_null(waiting_group()->held);
}

static void a_node_that_was_held_for_a_cancelled_job_serves_the_others(void **state)
{
    const char *const large = "{\"reserve_bytes\":42949672960}";
    one.capacity_bytes = one.free_bytes = 60ull << 30;
    rounds(1);
    world.settings.hold_after_ms = 0;
    struct uuid vms[] = {world_vm(&world, "a", 1), world_vm(&world, "b", 1),
                         world_vm(&world, "c", 1)};
    world_migrate(&world, &vms[0], "rollback", false, large);
    rounds(1);
    struct uuid waits = world_migrate(&world, &vms[1], "rollback", false, large);
    rounds(1);
    struct uuid small = world_migrate(&world, &vms[2], "rollback", false, "{\"reserve_bytes\":1}");
    rounds(1);
    assert_string_equal(world_state(&world, &small), "PENDING");
    world_wish(&world, "cancel", OWNER_MIGRATION, &waits);
    rounds(2);
    assert_string_equal(world_state(&world, &small), "SCHEDULED");
}

/* While more is due than one look takes, groups are kept, and their nodes are not. */
static void a_node_is_held_for_no_group_that_waits_no_more(void **state)
{
    const char *const large = "{\"reserve_bytes\":42949672960}", *const small =
                                                                     "{\"reserve_bytes\":1}";
    one.capacity_bytes = one.free_bytes = 60ull << 30;
    rounds(1);
    world.settings.hold_after_ms = 0;
    struct uuid first = world_vm(&world, "a", 1), second = world_vm(&world, "b", 1);
    world_migrate(&world, &first, "rollback", false, large);
    rounds(1);
    struct uuid waits = world_migrate(&world, &second, "rollback", false, large);
    rounds(1);
    assert_non_null(waiting_group()->held);
    struct uuid third = world_vm(&world, "c", 1), fourth = world_vm(&world, "d", 1);
    struct uuid soon = world_migrate(&world, &third, "rollback", false, small);
    world_migrate(&world, &fourth, "rollback", false, small);
    world_wish(&world, "cancel", OWNER_MIGRATION, &waits);
    world.settings.batch_due = 1;
    world_turn(&world, 1);
    assert_string_equal(world_state(&world, &soon), "SCHEDULED");
}

static void a_node_is_deleted_once_it_is_silent(void **state)
{
    struct uuid early = world_wish(&world, "delete", OWNER_NODE, &one.id);
    rounds(1);
    assert_string_equal(world_text(&world, "SELECT fault_code FROM wishes WHERE id = ?", &early),
                        "in_use");
    world_turn(&world,
               (unsigned)(world.settings.takeover_ms / world.settings.idle_interval_ms) + 2);
    struct uuid late = world_wish(&world, "delete", OWNER_NODE, &one.id);
    world_turn(&world, 2);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &late), "done");
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM nodes", NULL), 0);
    world_node_report(&one, true); /* it comes back as one that nobody knew */
    world_turn(&world, 1);
    assert_int_equal(world_number(&world, "SELECT up FROM nodes WHERE id = ?", &one.id), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_source_that_was_refreshed_often_survives_a_refusal),
        TEST(the_last_refusal_of_a_job_is_told),
        TEST(a_node_that_can_serve_no_more_is_held_for_nobody),
        TEST(a_node_that_was_held_for_a_cancelled_job_serves_the_others),
        TEST(a_node_is_held_for_no_group_that_waits_no_more),
        TEST(a_node_is_deleted_once_it_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
