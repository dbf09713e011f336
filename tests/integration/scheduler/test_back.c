/* SPDX-License-Identifier: Apache-2.0
 *
 * A database that lost what it had acknowledged: what nodes hold is compared before anything is decided
 * by it. On a real database, with the bus in memory and the clock faked; tests/integration/
 * test_scheduler.py runs it.
 */
#include "tests/unit/check.h"

#include "scheduler/loop.h"
#include "scheduler/picture_load.h"
#include "tests/integration/scheduler/stage.h"

static void execute(const char *sql)
{
    struct error err;
    world_must(db_execute(world.db, sql, NULL, 0, NULL, &err), &err);
}

/* Whoever leads next reads from the database how far a job's notes were told. */
static void a_note_is_told_once_though_the_leader_changes(void **state)
{
    struct world_job *job;
    struct error err;
    begin_migration("rollback", &job);
    job->note = 1003;
    rounds(2);
    world_must(picture_load(&world.scheduler, &err), &err);
    rounds(2);
    assert_int_equal(
        world_number(&world, "SELECT COUNT(*) FROM events WHERE kind = 'job.note'", NULL), 1);
    job->note = 1004;
    rounds(2);
    assert_int_equal(
        world_number(&world, "SELECT COUNT(*) FROM events WHERE kind = 'job.note'", NULL), 2);
}

static void a_database_that_went_back_is_noticed(void **state)
{
    struct error err;
    rounds(2);
    assert_true(db_execute(world.db, "UPDATE leader SET batch = batch - 1", NULL, 0, NULL, &err));
    world_node_report(&one, false);
    world_turn(&world, 1);
    world_node_take(&one);
    assert_true(world.scheduler.leads);
    assert_true(one.declare_again);
}

/* What a node still holds of a job that has ended here. */
static struct uuid end_and_hold(const struct world_job **ret_held)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    struct world_job held = *job;
    world_node_finish(&one, job, FAILED, "vm_running");
    rounds(4);
    assert_string_equal(world_state(&world, &id), "ROLLED_BACK");
    assert_int_equal(one.job_count, 0);
    held.copy = "disk-0";
    one.jobs[one.job_count++] = held;
    *ret_held = &one.jobs[0];
    return id;
}

static void a_copy_of_an_attempt_that_is_known_restores_nothing(void **state)
{
    const struct world_job *held;
    end_and_hold(&held);
    world_node_report(&one, true);
    world_turn(&world, 1);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM ledger", NULL), 0);
}

static void a_copy_of_an_attempt_that_the_database_lost_is_restored(void **state)
{
    const struct world_job *held;
    struct uuid id = end_and_hold(&held);
    one.jobs[0].id = uuid_new();
    one.jobs[0].attempt = 7;
    world_node_report(&one, true);
    world_turn(&world, 1);
    assert_int_equal(world_number(&world, "SELECT attempt FROM ledger WHERE owner_id = ?", &id), 7);
    assert_int_equal(world_number(&world, "SELECT attempt FROM migrations WHERE id = ?", &id), 7);
}

/* As if the second in which the job was given had never been. */
static void lose_assignment(const char *state)
{
    execute("UPDATE jobs SET state = 'waiting', attempt = 0, run = 0, node_id = NULL,"
            " node_instance = NULL, pool_id = NULL, reserved_bytes = 0, assigned_at = NULL,"
            " accepted_at = 0, due_at = 1");
    CLEANUP(xfreep)
    char *migration =
        xasprintf("UPDATE migrations SET state = '%s', attempt = 0, node_id = DEFAULT", state);
    execute(migration);
    execute("UPDATE leader SET batch = batch - 1");
}

static void a_lost_attempt_is_declared_before_it_is_fenced(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    job->copy = "disk-0";
    lose_assignment("PENDING");
    world_node_report(&one, false);
    world_turn(&world, 1);
    world_node_take(&one);
    assert_true(one.declare_again);
    assert_int_equal(one.job_count, 1); /* and its journal with it */
    assert_false(one.jobs[0].leased);
    world_node_report(&one, true);
    world_turn(&world, 1);
    world_node_take(&one);
    assert_int_equal(world_number(&world, "SELECT attempt FROM ledger WHERE owner_id = ?", &id), 1);
    rounds(2);
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_true(job->attempt > 1);
    assert_int_equal(job->ledger_count, 1);
}

/* The next part of a full report, and the answer to it. */
static void tell_part(uint32_t part, bool is_last)
{
    one.part = part;
    world_node_report(&one, is_last);
    world_turn(&world, 1);
    world_node_take(&one);
}

static struct uuid begin_and_lose(const char *copy)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    job->copy = copy;
    lose_assignment("PENDING");
    return id;
}

static void a_full_report_may_come_in_parts(void **state)
{
    struct uuid id = begin_and_lose("disk-0");
    tell_part(1, false);
    assert_int_equal(world_number(&world, "SELECT attempt FROM ledger WHERE owner_id = ?", &id), 1);
    assert_false(one.declare_again);
    tell_part(2, false);
    assert_int_equal(one.job_count, 1); /* it lets go only when it has told all */
    tell_part(3, true);
    assert_int_equal(one.job_count, 0);
    assert_false(one.declare_again);
}

static void a_full_report_of_which_a_part_was_lost_is_asked_for_again(void **state)
{
    struct uuid id = begin_and_lose("disk-0");
    one.report++; /* the first, which held the copy */
    tell_part(2, false);
    assert_true(one.declare_again);
    tell_part(3, true);
    assert_true(one.declare_again);
    assert_int_equal(one.job_count, 1);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM ledger", NULL), 0);
    tell_part(1, false);
    one.report++; /* one in the middle */
    tell_part(3, true);
    assert_true(one.declare_again);
    assert_int_equal(one.job_count, 1);
    tell_part(0, true);
    assert_int_equal(one.job_count, 0);
    assert_int_equal(world_number(&world, "SELECT attempt FROM ledger WHERE owner_id = ?", &id), 1);
}

/* A part of it that the database refuses costs what other parts tell neither a ledger nor a lease. */
static void a_full_report_with_poison_in_it_keeps_its_other_copies(void **state)
{
    struct world_job *job;
    struct uuid bad = begin_migration("rollback", &job), vm = world_vm(&world, "other", 1 << 30);
    job->copy = "unwanted";
    struct uuid good = world_migrate(&world, &vm, "rollback", false, "{}");
    world_turn(&world, 1);
    world_node_take(&one);
    job = world_node_job(&one, &good);
    assert_non_null(job);
    job->copy = "disk-0";
    size_t dead = bus_memory_dead_count(world.broker);
    run_sql("ALTER TABLE ledger ADD CONSTRAINT unwanted CHECK (entry_key <> 'unwanted')");
    execute("UPDATE leader SET batch = batch - 1");
    rounds(2); /* asked for all, and told */
    run_sql("ALTER TABLE ledger DROP CONSTRAINT unwanted");
    assert_int_equal(bus_memory_dead_count(world.broker), dead + 1);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM ledger", NULL), 1);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM ledger WHERE owner_id = ?", &good),
                     1);
    assert_false(one.declare_again);
    assert_int_equal(one.job_count, 2);
    assert_true(world_node_job(&one, &good)->leased && world_node_job(&one, &bad)->leased);
}

static void parts_that_came_are_not_forgotten_with_one_that_holds_poison(void **state)
{
    struct uuid id = begin_and_lose("disk-0");
    tell_part(1, false);
    one.jobs[0].step = "unwanted";
    run_sql("ALTER TABLE steps ADD CONSTRAINT unwanted CHECK (name <> 'unwanted')");
    second_node(); /* whose report is in one batch with it */
    tell_part(2, false);
    tell_part(3, true);
    run_sql("ALTER TABLE steps DROP CONSTRAINT unwanted");
    assert_false(one.declare_again);
    assert_int_equal(one.job_count, 0);
    assert_int_equal(world_number(&world, "SELECT attempt FROM ledger WHERE owner_id = ?", &id), 1);
}

static void a_result_that_cannot_be_stored_has_failed(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    world_node_intend(&one, job, "disk-0", LEDGER_INTENDED);
    world_turn(&world, 1);
    run_sql("ALTER TABLE migrations ADD CONSTRAINT unwanted CHECK (state <> 'VERIFIED')");
    world_node_finish(&one, job, DONE, NULL);
    rounds(3);
    run_sql("ALTER TABLE migrations DROP CONSTRAINT unwanted");
    assert_string_equal(world_text(&world, "SELECT fault_code FROM migrations WHERE id = ?", &id),
                        "message_poison");
    assert_string_equal(world_state(&world, &id), "ROLLING_BACK");
}

static void nothing_is_given_before_nodes_have_declared_and_no_number_twice(void **state)
{
    struct world_job *job;
    second_node();
    struct uuid id = begin_migration("rollback", &job);
    lose_assignment("PENDING");
    one.declare_again = false; /* it is silent from now on */
    for (unsigned i = 0; i < 3; i++) {
        world_node_report(&two, true);
        world_turn(&world, 1);
        world_node_take(&two);
    }
    assert_null(world_node_job(&two, &id));
    uint64_t turns = world.settings.takeover_ms / world.settings.idle_interval_ms;
    for (uint64_t i = 0; i <= turns + 2; i++) {
        world_node_report(&two, false);
        world_turn(&world, 1);
        world_node_take(&two);
    }
    job = world_node_job(&two, &id);
    assert_non_null(job);
    assert_int_equal(job->attempt, 2);
    /* The silent one had made something that no ledger holds any more. */
    one.jobs[0].copy = "disk-of-1";
    world_node_report(&one, true);
    world_turn(&world, 1);
    assert_int_equal(
        world_number(&world, "SELECT COUNT(*) FROM ledger WHERE entry_key = 'disk-of-1'", NULL), 1);
}

static void what_a_lost_attempt_made_for_a_cancelled_migration_is_taken_back(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    struct world_job held = *job;
    held.copy = "disk-0";
    one.job_count = 0;
    lose_assignment("PENDING");
    world_wish(&world, "cancel", OWNER_MIGRATION, &id);
    world_turn(&world, 2);
    assert_string_equal(world_state(&world, &id), "CANCELLED");
    one.jobs[one.job_count++] = held;
    world_node_report(&one, true);
    world_turn(&world, 1);
    world_node_take(&one);
    assert_int_equal(one.job_count, 0);
    assert_int_equal(
        world_number(&world, "SELECT due_at IS NOT NULL FROM migrations WHERE id = ?", &id), 1);
    execute("UPDATE migrations SET due_at = 1"); /* the database's clock is not faked */
    rounds(2);
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_int_equal(job->kind, JOB_ROLLBACK);
    assert_int_equal(job->ledger_count, 1);
}

static void a_result_waits_for_the_ledger_that_the_database_lost(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    job->copy = "disk-0";
    execute("UPDATE leader SET batch = batch - 1");
    world_node_finish(&one, job, DONE, NULL);
    world_turn(&world, 2);
    assert_string_not_equal(world_state(&world, &id), "VERIFIED");
    rounds(1);
    assert_string_not_equal(world_state(&world, &id), "VERIFIED");
    rounds(1); /* asked for all */
    assert_string_equal(world_state(&world, &id), "VERIFIED");
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM ledger WHERE owner_id = ?", &id),
                     1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_note_is_told_once_though_the_leader_changes),
        TEST(a_database_that_went_back_is_noticed),
        TEST(a_copy_of_an_attempt_that_is_known_restores_nothing),
        TEST(a_copy_of_an_attempt_that_the_database_lost_is_restored),
        TEST(a_lost_attempt_is_declared_before_it_is_fenced),
        TEST(a_full_report_may_come_in_parts),
        TEST(a_full_report_of_which_a_part_was_lost_is_asked_for_again),
        TEST(a_full_report_with_poison_in_it_keeps_its_other_copies),
        TEST(parts_that_came_are_not_forgotten_with_one_that_holds_poison),
        TEST(a_result_that_cannot_be_stored_has_failed),
        TEST(nothing_is_given_before_nodes_have_declared_and_no_number_twice),
        TEST(what_a_lost_attempt_made_for_a_cancelled_migration_is_taken_back),
        TEST(a_result_waits_for_the_ledger_that_the_database_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
