/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes that come, go and refuse, schedulers that succeed each other: on a real database, with
 * the bus in memory and the clock faked. tests/integration/test_scheduler.py runs it.
 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "proto/topology.h"
#include "scheduler/leadership.h"
#include "scheduler/loop.h"
#include "tests/integration/scheduler/stage.h"

/* Time passes as it does for a leader: turn by turn, or it would think that the broker has gone. */
static void pass(uint64_t duration_ms)
{
    world_turn(&world, (unsigned)(duration_ms / world.settings.idle_interval_ms));
}

static void a_silent_node_loses_its_job_to_another(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    job->step = "copy";
    rounds(1);
    assert_string_equal(world_text(&world, "SELECT state FROM steps WHERE owner_id = ?", &id),
                        "running");
    second_node();
    for (unsigned i = 0; i < 25; i++) {
        pass(5000);
        world_node_report(&two, false);
        world_turn(&world, 1);
        world_node_take(&two);
    }
    world_turn(&world, 2);
    world_node_take(&two);
    world_turn(&world, 1);
    struct world_job *taken = world_node_job(&two, &id);
    assert_non_null(taken);
    assert_int_equal(taken->attempt, 2);
    assert_int_equal(world_number(&world, "SELECT up FROM nodes WHERE id = ?", &one.id), 0);
    assert_string_equal(world_text(&world, "SELECT state FROM steps WHERE owner_id = ?", &id),
                        "interrupted");
    /* The first node wakes up: its worker may intend nothing, and is told to end. */
    world_node_report(&one, false);
    world_node_intend(&one, job, "disk-0", LEDGER_INTENDED);
    assert_int_equal(one.verdict, FENCED);
    assert_int_equal(one.job_count, 0);
    rounds(1);
    assert_true(taken->leased);
}

/* Nobody could be heard: that says nothing of the nodes, however long it lasts. */
static void a_broker_that_is_away_takes_no_job_from_its_node(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    second_node();
    rounds(2);
    bus_memory_set_up(world.broker, false);
    pass(4 * world.settings.takeover_ms);
    assert_int_equal(world_number(&world, "SELECT SUM(up) FROM nodes", NULL), 2);
    bus_memory_set_up(world.broker, true);
    for (unsigned i = 0; i < 10; i++)
        rounds(1);
    assert_true(world.scheduler.leads);
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_true(job->leased);
    assert_int_equal(job->attempt, 1);
    assert_null(world_node_job(&two, &id));
}

static void a_done_job_whose_last_words_were_lost_runs_no_step(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    job->step = "copy";
    rounds(1);
    world_node_restart(&one, true); /* from its journal it knows the result alone */
    job->step = NULL;
    job->is_finished = true;
    job->outcome = DONE;
    rounds(2);
    assert_string_equal(world_state(&world, &id), "VERIFIED");
    assert_string_equal(world_text(&world, "SELECT state FROM steps WHERE owner_id = ?", &id),
                        "done");
}

static void a_node_that_lost_a_job_gets_it_again_as_a_new_attempt(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    world_node_restart(&one, false);
    rounds(3);
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_int_equal(job->attempt, 2);
}

static void a_restarted_node_goes_on_with_the_same_attempt(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    world_node_restart(&one, true);
    rounds(3);
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_int_equal(job->attempt, 1);
    assert_true(job->leased);
}

static void an_unanswered_assignment_is_sent_again(void **state)
{
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    one.is_deaf = true;
    struct uuid id = world_migrate(&world, &vm, "rollback", false, "{}");
    rounds(1);
    assert_int_equal(one.assigns, 1);
    pass(world.settings.resend_ms);
    one.is_deaf = false;
    rounds(2);
    assert_non_null(world_node_job(&one, &id));
    assert_int_equal(world_node_job(&one, &id)->attempt, 1);
}

#define WAITING                                                                                    \
    "SELECT COUNT(*) FROM jobs WHERE state = 'waiting' AND node_id IS NULL AND ? IS NOT NULL"
#define ACCEPTED "SELECT COUNT(*) FROM jobs WHERE state = 'accepted' AND ? IS NOT NULL"

static void migrate_many(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "vm-%zu", i);
        struct uuid vm = world_vm(&world, name, 1 << 20);
        world_migrate(&world, &vm, "rollback", false, "{}");
    }
}

/* Each look takes few rows, yet a node gets its share of the whole backlog at once. */
static void a_backlog_reaches_equal_nodes_in_few_messages_and_evenly(void **state)
{
    second_node();
    one.slots = two.slots = 64;
    rounds(1);
    world.settings.batch_due = 8;
    migrate_many(32);
    for (unsigned i = 0; i < 4; i++)
        world_turn(&world, 1);
    world_node_take(&one);
    world_node_take(&two);
    world_turn(&world, 2);
    assert_int_equal(one.assigns, 16);
    assert_int_equal(two.assigns, 16);
    assert_int_equal(one.assign_messages + two.assign_messages, 4);
    assert_int_equal(world_number(&world, ACCEPTED, &world.source), 32);
}

static void jobs_without_a_backlog_are_spread_one_by_one(void **state)
{
    second_node();
    migrate_many(2);
    rounds(2);
    assert_int_equal(one.assigns, 1);
    assert_int_equal(two.assigns, 1);
}

static void a_message_that_no_queue_takes_gives_all_its_jobs_back(void **state)
{
    two = one; /* reports, and has no queue */
    two.id = uuid_new();
    two.pool = uuid_new();
    snprintf(two.name, sizeof two.name, "node-ghost");
    world_node_report(&two, true);
    two.bus = NULL;
    migrate_many(8);
    rounds(1);
    assert_int_equal(one.assigns, 4);
    assert_int_equal(world_number(&world, ACCEPTED, &world.source), 4);
    assert_int_equal(world_number(&world, WAITING, &world.source), 4);
}

static void a_refused_job_goes_to_another_node(void **state)
{
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    one.refuses = true;
    struct uuid id = world_migrate(&world, &vm, "rollback", false, "{}");
    rounds(1);
    second_node();
    world.settings.retry_first_ms = 0;
    rounds(3);
    assert_non_null(world_node_job(&two, &id));
}

static void what_fits_nowhere_waits_and_says_why(void **state)
{
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    struct uuid id =
        world_migrate(&world, &vm, "rollback", false, "{\"reserve_bytes\":214748364800}");
    rounds(2);
    assert_string_equal(world_state(&world, &id), "PENDING");
    const char *why = world_text(&world,
                                 "SELECT n.reasons_json FROM needs n JOIN migrations m"
                                 " ON m.needs_hash = n.hash WHERE m.id = ?",
                                 &id);
    assert_string_equal(
        why,
        "{\"counts\":{\"no_space\":1},\"nodes\":[{\"name\":\"node-1\",\"reason\":\"no_space\"}]}");
    one.capacity_bytes = one.free_bytes = 300ull << 30;
    rounds(2);
    assert_string_equal(world_state(&world, &id), "SCHEDULED");
}

static void no_node_is_promised_more_than_it_has(void **state)
{
    struct uuid ids[5];
    one.capacity_bytes = one.free_bytes = 10ull << 30;
    rounds(1);
    for (size_t i = 0; i < 5; i++) {
        struct uuid vm = world_vm(&world,
                                  i == 0   ? "a"
                                  : i == 1 ? "b"
                                  : i == 2 ? "c"
                                  : i == 3 ? "d"
                                           : "e",
                                  1);
        ids[i] = world_migrate(&world, &vm, "rollback", false, "{\"reserve_bytes\":4294967296}");
    }
    rounds(2);
    assert_int_equal(
        world_number(&world, "SELECT COUNT(*) FROM migrations WHERE state = 'SCHEDULED'", NULL), 2);
    assert_int_equal(world_number(&world, "SELECT available_bytes FROM pools", NULL), 2ull << 30);
    (void)ids;
}

static void a_poison_message_costs_only_itself(void **state)
{
    struct error err;
    const struct bus_publication rubbish = {.exchange = TOPOLOGY_EXCHANGE,
                                            .routing_key = TOPOLOGY_SCHEDULER,
                                            .type = MESSAGE_NODE_REPORT,
                                            .body = "rubbish",
                                            .length = 7};
    assert_true(bus_publish(world.sender, &rubbish, &err));
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    assert_string_equal(world_state(&world, &id), "SCHEDULED");
    assert_int_equal(bus_memory_dead_count(world.broker), 1);
}

static void a_bad_part_of_a_report_costs_no_lease(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    size_t dead = bus_memory_dead_count(world.broker);
    job->step = "no word";
    job->digest = "xxh3:\xc3\xa9";
    rounds(1);
    assert_true(job->leased);
    assert_int_equal(bus_memory_dead_count(world.broker), dead);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM steps WHERE owner_id = ?", &id), 0);
}

static void an_idle_node_is_answered_only_when_something_is_wanted(void **state)
{
    uint64_t answers = one.renewals;
    rounds(2);
    assert_int_equal(one.renewals, answers);
    struct uuid wish = world_wish(&world, "drain", OWNER_NODE, &one.id);
    world_turn(&world, 1);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish), "done");
    rounds(2);
    assert_true(one.renewals > answers);
}

static void a_message_that_the_database_refuses_costs_only_itself(void **state)
{
    struct world_job *job;
    begin_migration("rollback", &job);
    second_node();
    size_t dead = bus_memory_dead_count(world.broker);
    run_sql("ALTER TABLE steps ADD CONSTRAINT unwanted CHECK (name <> 'unwanted')");
    job->step = "unwanted";
    world_node_report(&one, false);
    world_node_report(&two, false);
    world_turn(&world, 1);
    world_node_take(&two);
    assert_true(world.scheduler.leads);
    assert_int_equal(bus_memory_dead_count(world.broker), dead + 1);
    assert_int_equal(world_number(&world, "SELECT report_number FROM nodes WHERE id = ?", &two.id),
                     two.report);
    world_node_take(&one);
    assert_true(job->leased); /* the rest of it counts */
    assert_int_equal(world_number(&world, "SELECT report_number FROM nodes WHERE id = ?", &one.id),
                     one.report);
    job->step = NULL;
    rounds(1);
    assert_true(job->leased);
    run_sql("ALTER TABLE steps DROP CONSTRAINT unwanted");
}

static void due_work_that_the_database_refuses_stops_no_other(void **state)
{
    struct uuid vms[] = {world_vm(&world, "a", 1 << 30), world_vm(&world, "b", 1 << 30)};
    run_sql(
        "ALTER TABLE jobs ADD CONSTRAINT unwanted CHECK (project <> 'q' AND kind <> 'discover')");
    struct uuid bad = world_migrate(&world, &vms[0], "rollback", false, "{}");
    run_sql("UPDATE migrations SET project = 'q'");
    struct uuid good = world_migrate(&world, &vms[1], "rollback", false, "{}");
    struct uuid wish = world_wish(&world, "refresh", OWNER_SOURCE, &world.source);
    struct uuid test = world_wish(&world, "test", OWNER_DESTINATION, &world.destination);
    rounds(3);
    assert_true(world.scheduler.leads);
    assert_string_equal(world_state(&world, &good), "SCHEDULED");
    assert_string_equal(world_state(&world, &bad), "PENDING");
    assert_int_equal(world_number(&world,
                                  "SELECT COUNT(*) FROM events WHERE owner_id = ? AND kind = "
                                  "'migration.postponed'",
                                  &bad),
                     1);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish),
                        "failed");
    assert_string_equal(world_text(&world, "SELECT fault_code FROM wishes WHERE id = ?", &wish),
                        "internal");
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &test),
                        "taken");
    run_sql("ALTER TABLE jobs DROP CONSTRAINT unwanted");
    run_sql("UPDATE migrations SET due_at = 1 WHERE project = 'q'");
    rounds(2);
    assert_string_equal(world_state(&world, &bad), "SCHEDULED");
}

static void a_migration_that_was_just_deleted_takes_no_wish(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    world_node_finish(&one, job, FAILED, "vm_running");
    rounds(3);
    assert_string_equal(world_state(&world, &id), "ROLLED_BACK");
    world_wish(&world, "delete", OWNER_MIGRATION, &id);
    struct uuid again = world_wish(&world, "delete", OWNER_MIGRATION, &id);
    rounds(1);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM migrations", NULL), 0);
    assert_string_equal(world_text(&world, "SELECT fault_code FROM wishes WHERE id = ?", &again),
                        "not_found");
    assert_true(world.scheduler.leads);
}

static void a_commit_that_was_thought_lost_loads_the_picture_again(void **state)
{
    struct world_job *job;
    begin_migration("rollback", &job);
    run_sql("UPDATE leader SET batch = batch + 1");
    loop_turn(&world.scheduler, -1);
    world_node_report(&one, false);
    clock_fake_advance(world.settings.idle_interval_ms);
    loop_turn(&world.scheduler, -1);
    assert_false(world.scheduler.leads);
    rounds(2);
    assert_true(world.scheduler.leads);
    assert_true(job->leased);
}

static void a_second_node_under_a_live_name_is_refused(void **state)
{
    struct world_node clone;
    bus_close(one.bus);
    world_node_begin(&world, &clone, "node-1");
    world_turn(&world, 1);
    world_node_take(&clone);
    assert_true(clone.was_refused_name);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM nodes", NULL), 1);
    one.bus = clone.bus;
}

static void a_successor_leads_and_goes_on(void **state)
{
    struct world_job *job;
    struct scheduler second;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    world_scheduler_begin(&world, &second);
    loop_turn(&second, -1);
    assert_false(second.leads);
    leadership_release(&world.scheduler);
    bus_close(world.scheduler.bus);
    world.scheduler.bus = bus_memory_open(world.broker);
    loop_turn(&second, -1);
    assert_true(second.leads);
    world_node_finish(&one, job, DONE, NULL);
    for (int i = 0; i < 4; i++) {
        clock_fake_advance(1000);
        loop_turn(&second, -1);
        if (i == 1) /* a new leader compares its ledger with the node's before a result counts */
            assert_string_not_equal(world_state(&world, &id), "VERIFIED");
        world_node_take(&one);
        world_node_report(&one, false);
    }
    assert_string_equal(world_state(&world, &id), "VERIFIED");
    picture_free(world.scheduler.picture);
    world.scheduler.picture = NULL;
    world_scheduler_end(&second);
}

static void a_former_leader_writes_nothing(void **state)
{
    struct scheduler second;
    world_scheduler_begin(&world, &second);
    struct error err;
    assert_true(db_execute(world.db, "UPDATE leader SET renewed_at = 0", NULL, 0, NULL, &err));
    loop_turn(&second, -1);
    assert_true(second.leads);
    world_turn(&world, 1);
    assert_false(world.scheduler.leads);
    assert_int_equal(world_number(&world, "SELECT term FROM leader", NULL), 2);
    world_scheduler_end(&second);
}

static void a_drained_node_gets_no_new_jobs(void **state)
{
    struct uuid wish = world_wish(&world, "drain", OWNER_NODE, &one.id);
    rounds(1);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish), "done");
    struct uuid vm = world_vm(&world, "vm", 1);
    struct uuid id = world_migrate(&world, &vm, "rollback", false, "{}");
    rounds(2);
    assert_string_equal(world_state(&world, &id), "PENDING");
    world_wish(&world, "enable", OWNER_NODE, &one.id);
    rounds(1);
    assert_string_equal(world_state(&world, &id), "SCHEDULED");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_silent_node_loses_its_job_to_another),
        TEST(a_broker_that_is_away_takes_no_job_from_its_node),
        TEST(a_done_job_whose_last_words_were_lost_runs_no_step),
        TEST(a_node_that_lost_a_job_gets_it_again_as_a_new_attempt),
        TEST(a_restarted_node_goes_on_with_the_same_attempt),
        TEST(an_unanswered_assignment_is_sent_again),
        TEST(a_backlog_reaches_equal_nodes_in_few_messages_and_evenly),
        TEST(jobs_without_a_backlog_are_spread_one_by_one),
        TEST(a_message_that_no_queue_takes_gives_all_its_jobs_back),
        TEST(a_refused_job_goes_to_another_node),
        TEST(what_fits_nowhere_waits_and_says_why),
        TEST(no_node_is_promised_more_than_it_has),
        TEST(a_poison_message_costs_only_itself),
        TEST(a_bad_part_of_a_report_costs_no_lease),
        TEST(an_idle_node_is_answered_only_when_something_is_wanted),
        TEST(a_message_that_the_database_refuses_costs_only_itself),
        TEST(due_work_that_the_database_refuses_stops_no_other),
        TEST(a_migration_that_was_just_deleted_takes_no_wish),
        TEST(a_commit_that_was_thought_lost_loads_the_picture_again),
        TEST(a_second_node_under_a_live_name_is_refused),
        TEST(a_successor_leads_and_goes_on),
        TEST(a_former_leader_writes_nothing),
        TEST(a_drained_node_gets_no_new_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
