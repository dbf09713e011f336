/* SPDX-License-Identifier: Apache-2.0
 *
 * The scheduler on a real database, the bus in memory, the clock faked: orderings that real peers
 * rarely show. tests/integration/test_scheduler.py runs it.
 */
#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "proto/topology.h"
#include "scheduler/leadership.h"
#include "scheduler/loop.h"
#include "tests/integration/scheduler/world.h"

#define DONE GUTS__V1__OUTCOME__OUTCOME_DONE
#define FAILED GUTS__V1__OUTCOME__OUTCOME_FAILED
#define CANCELLED GUTS__V1__OUTCOME__OUTCOME_CANCELLED
#define STORED GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED
#define FENCED GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_FENCED
#define STOP GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STOP

static struct world world;
static struct world_node one, two;

static int set_up(void **state)
{
    world_begin(&world);
    world_node_begin(&world, &one, "node-1");
    world_turn(&world, 1);
    world_node_take(&one);
    return 0;
}

static int tear_down(void **state)
{
    world_node_end(&one);
    if (two.bus != NULL)
        world_node_end(&two);
    two.bus = NULL;
    world_end(&world);
    return 0;
}

static void second_node(void)
{
    world_node_begin(&world, &two, "node-2");
    world_turn(&world, 1);
    world_node_take(&two);
}

static void rounds(unsigned count)
{
    struct world_node *nodes[] = {&one, &two};
    for (unsigned i = 0; i < count; i++)
        world_round(&world, nodes, two.bus == NULL ? 1 : 2);
}

/* A migration whose job node-1 has accepted. */
static struct uuid begin_migration(const char *on_failure, struct world_job **ret_job)
{
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    struct uuid id = world_migrate(&world, &vm, on_failure, false, "{}");
    world_turn(&world, 1);
    world_node_take(&one);
    world_turn(&world, 1);
    *ret_job = world_node_job(&one, &id);
    assert_non_null(*ret_job);
    return id;
}

static void a_pending_row_becomes_an_accepted_job(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    assert_string_equal(world_state(&world, &id), "SCHEDULED");
    assert_string_equal(world_text(&world, "SELECT state FROM jobs WHERE owner_id = ?", &id),
                        "accepted");
    assert_int_equal(world_number(&world, "SELECT attempt FROM migrations WHERE id = ?", &id), 1);
    assert_int_equal(
        world_number(&world, "SELECT reserved_bytes FROM jobs WHERE owner_id = ?", &id), 64 << 20);
}

static void a_done_job_makes_verified_by_a_legal_path(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    job->reached = MIGRATION_UPLOADING;
    rounds(1);
    assert_string_equal(world_state(&world, &id), "UPLOADING");
    assert_true(job->leased);
    world_node_finish(&one, job, DONE, NULL);
    rounds(2);
    assert_string_equal(world_story(&world, &id),
                        "PENDING SCHEDULED DISCOVERED UPLOADING DEPLOYED VERIFIED");
    assert_int_equal(one.job_count, 0); /* it was told to close it */
    rounds(3);
    assert_string_equal(world_text(&world, "SELECT state FROM jobs WHERE owner_id = ?", &id),
                        "closed");
    assert_string_equal(
        world_text(&world, "SELECT evidence_json FROM migrations WHERE id = ?", &id),
        "{\"content\":\"same\"}");
    assert_int_equal(world_number(&world, "SELECT version FROM migrations WHERE id = ?", &id), 5);
}

static void a_result_told_twice_counts_once(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    struct world_job again = *job;
    world_node_finish(&one, job, DONE, NULL);
    world_node_finish(&one, &again, DONE, NULL);
    rounds(3);
    assert_string_equal(world_story(&world, &id),
                        "PENDING SCHEDULED DISCOVERED CONVERTING DEPLOYED VERIFIED");
}

static void a_failure_without_ledger_is_rolled_back_at_once(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    world_node_finish(&one, job, FAILED, "vm_running");
    rounds(1);
    assert_string_equal(world_story(&world, &id),
                        "PENDING SCHEDULED FAILED ROLLING_BACK ROLLED_BACK");
    assert_string_equal(world_text(&world, "SELECT fault_code FROM migrations WHERE id = ?", &id),
                        "vm_running");
    assert_int_equal(
        world_number(&world, "SELECT COUNT(*) FROM migrations WHERE id = ? AND open_vm IS NULL",
                     &id),
        1);
}

static void a_failure_with_a_ledger_gets_a_rollback_job(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    world_node_intend(&one, job, "disk-0", LEDGER_INTENDED);
    assert_int_equal(one.verdict, STORED);
    world_node_intend(&one, job, "disk-0", LEDGER_MADE);
    assert_int_equal(one.answered_state, LEDGER_MADE);
    world_node_finish(&one, job, FAILED, "vm_running");
    rounds(2);
    assert_string_equal(world_state(&world, &id), "ROLLING_BACK");
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_int_equal(job->kind, JOB_ROLLBACK);
    assert_int_equal(job->attempt, 2);
    assert_int_equal(job->ledger_count, 1);
    rounds(1);
    world_node_intend(&one, job, "disk-0", LEDGER_UNDONE);
    assert_int_equal(one.verdict, STORED);
    world_node_finish(&one, job, DONE, NULL);
    rounds(1);
    assert_string_equal(world_state(&world, &id), "ROLLED_BACK");
}

static void on_failure_keep_rests_in_failed_and_can_be_tried_again(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("keep", &job);
    world_node_finish(&one, job, FAILED, "vm_running");
    rounds(1);
    assert_string_equal(world_state(&world, &id), "FAILED");
    struct uuid wish = world_wish(&world, "retry", OWNER_MIGRATION, &id);
    rounds(2);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish), "done");
    job = world_node_job(&one, &id);
    assert_non_null(job);
    world_node_finish(&one, job, DONE, NULL);
    rounds(1);
    assert_string_equal(world_state(&world, &id), "VERIFIED");
}

static void a_fault_that_may_pass_is_tried_again_before_on_failure(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    for (int i = 0; i < 2; i++) {
        world_node_finish(&one, job, FAILED, "source_unreachable");
        rounds(3);
        job = world_node_job(&one, &id);
        assert_non_null(job);
        assert_int_equal(job->attempt, i + 2);
    }
    world_node_finish(&one, job, FAILED, "source_unreachable");
    rounds(2);
    assert_string_equal(world_state(&world, &id), "ROLLED_BACK");
    assert_int_equal(world_number(&world, "SELECT attempt FROM migrations WHERE id = ?", &id), 3);
}

static void a_silent_node_loses_its_job_to_another(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    second_node();
    for (unsigned i = 0; i < 25; i++) {
        clock_fake_advance(5000);
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
    /* The first node wakes up: its worker may intend nothing, and is told to end. */
    world_node_report(&one, false);
    world_node_intend(&one, job, "disk-0", LEDGER_INTENDED);
    assert_int_equal(one.verdict, FENCED);
    assert_int_equal(one.job_count, 0);
    rounds(1);
    assert_true(taken->leased);
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
    clock_fake_advance(world.settings.resend_ms);
    one.is_deaf = false;
    rounds(2);
    assert_non_null(world_node_job(&one, &id));
    assert_int_equal(world_node_job(&one, &id)->attempt, 1);
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

static void a_cancel_stops_new_intents_and_undoes(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    rounds(1);
    world_node_intend(&one, job, "disk-0", LEDGER_INTENDED);
    struct uuid wish = world_wish(&world, "cancel", OWNER_MIGRATION, &id);
    rounds(2);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish), "done");
    assert_string_equal(world_state(&world, &id), "CANCELLING");
    assert_int_equal(job->wanted, WANTED_CANCEL);
    world_node_intend(&one, job, "disk-1", LEDGER_INTENDED);
    assert_int_equal(one.verdict, STOP);
    world_node_intend(&one, job, "disk-0", LEDGER_MADE);
    assert_int_equal(one.verdict, STORED);
    world_node_finish(&one, job, CANCELLED, "cancelled");
    rounds(2);
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_int_equal(job->kind, JOB_ROLLBACK);
    world_node_intend(&one, job, "disk-0", LEDGER_UNDONE);
    world_node_finish(&one, job, DONE, NULL);
    rounds(1);
    assert_string_equal(world_state(&world, &id), "CANCELLED");
}

static void a_pending_migration_is_cancelled_at_once(void **state)
{
    one.slots = 0;
    rounds(1);
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    struct uuid id = world_migrate(&world, &vm, "rollback", false, "{}");
    rounds(1);
    world_wish(&world, "cancel", OWNER_MIGRATION, &id);
    rounds(1);
    assert_string_equal(world_story(&world, &id), "PENDING CANCELLING CANCELLED");
}

static void a_dry_run_ends_as_cancelled_with_its_answer(void **state)
{
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    struct uuid id = world_migrate(&world, &vm, "rollback", true, "{}");
    rounds(1);
    struct world_job *job = world_node_job(&one, &id);
    assert_non_null(job);
    job->reached = MIGRATION_DISCOVERED;
    world_node_finish(&one, job, DONE, NULL);
    rounds(1);
    assert_string_equal(world_story(&world, &id),
                        "PENDING SCHEDULED DISCOVERED CANCELLING CANCELLED");
    assert_string_equal(
        world_text(&world, "SELECT evidence_json FROM migrations WHERE id = ?", &id),
        "{\"answer\":1}");
}

static void cleanup_is_refused_before_verified_and_done_after(void **state)
{
    struct world_job *job;
    struct uuid id = begin_migration("rollback", &job);
    struct uuid early = world_wish(&world, "cleanup", OWNER_MIGRATION, &id);
    rounds(1);
    assert_string_equal(world_text(&world,
                                   "SELECT CONCAT(state, ' ', fault_code) FROM wishes"
                                   " WHERE id = ?",
                                   &early),
                        "refused state_forbids");
    world_node_finish(&one, job, DONE, NULL);
    rounds(2);
    world_wish(&world, "cleanup", OWNER_MIGRATION, &id);
    rounds(2);
    job = world_node_job(&one, &id);
    assert_non_null(job);
    assert_int_equal(job->kind, JOB_CLEANUP);
    world_node_finish(&one, job, DONE, NULL);
    rounds(1);
    assert_string_equal(world_state(&world, &id), "CLEANED");
    world_wish(&world, "delete", OWNER_MIGRATION, &id);
    rounds(1);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM migrations WHERE id = ?", &id), 0);
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

static void nothing_vanishes_before_all_pages_have_come(void **state)
{
    struct uuid old = world_vm(&world, "old", 1);
    struct uuid wish = world_wish(&world, "refresh", OWNER_SOURCE, &world.source);
    rounds(2);
    struct world_job *job = world_node_job(&one, &world.source);
    assert_non_null(job);
    assert_int_equal(job->kind, JOB_DISCOVER);
    job->pages = 2;
    world_node_page(&one, job, 1, false, "first");
    world_node_page(&one, job, 1, false, "first");
    world_node_finish(&one, job, DONE, NULL);
    rounds(2);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish),
                        "taken");
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM vms WHERE gone_at IS NULL", NULL),
                     2);
    world_node_page(&one, &one.jobs[0], 2, true, "second");
    rounds(3);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish), "done");
    assert_int_equal(world_number(&world, "SELECT vm_count FROM sources", NULL), 2);
    assert_int_equal(world_number(&world, "SELECT gone_at IS NOT NULL FROM vms WHERE id = ?", &old),
                     1);
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
        TEST(a_pending_row_becomes_an_accepted_job),
        TEST(a_done_job_makes_verified_by_a_legal_path),
        TEST(a_result_told_twice_counts_once),
        TEST(a_failure_without_ledger_is_rolled_back_at_once),
        TEST(a_failure_with_a_ledger_gets_a_rollback_job),
        TEST(on_failure_keep_rests_in_failed_and_can_be_tried_again),
        TEST(a_fault_that_may_pass_is_tried_again_before_on_failure),
        TEST(a_silent_node_loses_its_job_to_another),
        TEST(a_node_that_lost_a_job_gets_it_again_as_a_new_attempt),
        TEST(a_restarted_node_goes_on_with_the_same_attempt),
        TEST(an_unanswered_assignment_is_sent_again),
        TEST(a_refused_job_goes_to_another_node),
        TEST(a_cancel_stops_new_intents_and_undoes),
        TEST(a_pending_migration_is_cancelled_at_once),
        TEST(a_dry_run_ends_as_cancelled_with_its_answer),
        TEST(cleanup_is_refused_before_verified_and_done_after),
        TEST(what_fits_nowhere_waits_and_says_why),
        TEST(no_node_is_promised_more_than_it_has),
        TEST(nothing_vanishes_before_all_pages_have_come),
        TEST(a_poison_message_costs_only_itself),
        TEST(a_second_node_under_a_live_name_is_refused),
        TEST(a_successor_leads_and_goes_on),
        TEST(a_former_leader_writes_nothing),
        TEST(a_database_that_went_back_is_noticed),
        TEST(a_drained_node_gets_no_new_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
