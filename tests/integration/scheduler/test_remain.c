/* SPDX-License-Identifier: Apache-2.0
 *
 * Reservations of attempts whose node was lost, in a pool that another node shares.
 * tests/integration/test_scheduler.py runs it.
 */
#include "scheduler/picture_load.h"

#include "tests/unit/check.h"

#include "tests/integration/scheduler/stage.h"

#define LARGE "{\"reserve_bytes\":42949672960}" /* 40 GiB, of 60 */

static struct uuid lost; /* the migration whose node is silent */

/* node-1 takes a large job and falls silent for the takeover time; node-2 shares its pool. */
static void lose_a_node(void)
{
    second_node();
    two.pool = one.pool;
    one.capacity_bytes = one.free_bytes = two.capacity_bytes = two.free_bytes = 60ull << 30;
    one.slots = 8;
    two.slots = 0;
    rounds(2);
    struct uuid vm = world_vm(&world, "large", 1);
    lost = world_migrate(&world, &vm, "rollback", false, LARGE);
    rounds(2);
    assert_non_null(world_node_job(&one, &lost));
    two.slots = 8;
    struct world_node *others[] = {&two};
    unsigned turns = (unsigned)(world.settings.takeover_ms / world.settings.idle_interval_ms) + 2;
    for (unsigned i = 0; i < turns; i++)
        world_round(&world, others, 1);
    assert_int_equal(world_number(&world, "SELECT up FROM nodes WHERE id = ?", &one.id), 0);
}

static int64_t available(void)
{
    const struct pool *pool = map_find(&world.scheduler.picture->pools, &one.pool);
    return pool->fact.available_bytes;
}

static void only_node_two(unsigned count)
{
    struct world_node *others[] = {&two};
    for (unsigned i = 0; i < count; i++)
        world_round(&world, others, 1);
}

static void a_lost_job_keeps_its_space_until_its_node_lets_go(void **state)
{
    lose_a_node();
    assert_null(world_node_job(&two, &lost)); /* 20 GiB are left */
    assert_int_equal(available(), 20ull << 30);
    rounds(1); /* node-1 is back, and names the attempt: it is told to let go */
    assert_null(world_node_job(&two, &lost));
    assert_int_equal(available(), 20ull << 30);
    rounds(3); /* it no longer names it */
    assert_true(world_node_job(&two, &lost) != NULL || world_node_job(&one, &lost) != NULL);
    assert_int_equal(available(), 20ull << 30); /* the new attempt's share alone */
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM remains", NULL), 0);
}

static void what_the_lost_worker_writes_counts_once(void **state)
{
    lose_a_node();
    one.jobs[0].allocated_bytes = 30ull << 30;
    one.free_bytes = two.free_bytes = 30ull << 30;
    struct world_node *deaf[] = {&two};
    world_node_report(&one, false);
    world_round(&world, deaf, 1);
    assert_int_equal(available(), 20ull << 30); /* 30 free, 10 promised */
    assert_int_equal(world_number(&world, "SELECT allocated_bytes FROM remains", NULL),
                     30ull << 30);
}

static void a_leader_that_comes_knows_what_is_left(void **state)
{
    struct error err = {0};
    lose_a_node();
    world_must(picture_load(&world.scheduler, &err), &err);
    only_node_two(2);
    assert_null(world_node_job(&two, &lost));
    assert_int_equal(available(), 20ull << 30);
}

static void a_node_that_is_deleted_leaves_nothing(void **state)
{
    lose_a_node();
    world_wish(&world, "delete", OWNER_NODE, &one.id);
    only_node_two(3);
    assert_non_null(world_node_job(&two, &lost));
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM remains", NULL), 0);
}

static void a_job_that_its_node_no_longer_knows_leaves_nothing(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    one.job_count = 0;
    rounds(3);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM remains", NULL), 0);
    assert_non_null(world_node_job(&one, &id)); /* it was given again */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_lost_job_keeps_its_space_until_its_node_lets_go),
        TEST(what_the_lost_worker_writes_counts_once),
        TEST(a_leader_that_comes_knows_what_is_left),
        TEST(a_node_that_is_deleted_leaves_nothing),
        TEST(a_job_that_its_node_no_longer_knows_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
