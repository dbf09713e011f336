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
#include "tests/integration/scheduler/stage.h"

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
    job->step = "verify";
    rounds(1);
    assert_string_equal(world_state(&world, &id), "UPLOADING");
    assert_string_equal(world_text(&world, "SELECT state FROM steps WHERE owner_id = ?", &id),
                        "running");
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
    assert_string_equal(world_text(&world, "SELECT state FROM steps WHERE owner_id = ?", &id),
                        "done");
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
                        "PENDING SCHEDULED DISCOVERED UPLOADING DEPLOYED VERIFIED");
}

/* The assignment as node-1 took it, whose acceptance is still on its way. */
static struct uuid begin_unaccepted(struct world_job *ret_job)
{
    struct uuid vm = world_vm(&world, "vm", 1 << 30);
    struct uuid id = world_migrate(&world, &vm, "rollback", false, "{}");
    one.is_deaf = true; /* says nothing of it */
    world_turn(&world, 1);
    world_node_take(&one);
    one.is_deaf = false;
    *ret_job = (struct world_job){.owner = id, .attempt = 1, .run = 1, .kind = JOB_MIGRATE};
    const char *text = world_text(&world,
                                  "SELECT LOWER(CONCAT_WS('-', SUBSTR(HEX(id), 1, 8),"
                                  " SUBSTR(HEX(id), 9, 4), SUBSTR(HEX(id), 13, 4),"
                                  " SUBSTR(HEX(id), 17, 4), SUBSTR(HEX(id), 21)))"
                                  " FROM jobs WHERE owner_id = ?",
                                  &id);
    assert_true(uuid_parse(text, &ret_job->id));
    assert_string_equal(world_text(&world, "SELECT state FROM jobs WHERE owner_id = ?", &id),
                        "assigned");
    return id;
}

static void a_result_that_overtakes_its_acceptance_counts(void **state)
{
    struct world_job job;
    struct uuid id = begin_unaccepted(&job);
    one.jobs[one.job_count++] = job;
    world_node_finish(&one, &one.jobs[0], DONE, NULL);
    world_turn(&world, 1);
    assert_string_equal(world_state(&world, &id), "VERIFIED");
    rounds(3);
    assert_string_equal(world_text(&world, "SELECT state FROM jobs WHERE owner_id = ?", &id),
                        "closed");
}

static void an_intent_that_overtakes_its_acceptance_is_stored(void **state)
{
    struct world_job job;
    struct uuid id = begin_unaccepted(&job);
    world_node_intend(&one, &job, "disk-0", LEDGER_INTENDED);
    assert_int_equal(one.verdict, STORED);
    /* What was done is told before, and after, the intent is told once more. */
    world_node_intend(&one, &job, "disk-0", LEDGER_MADE);
    world_node_intend(&one, &job, "disk-0", LEDGER_INTENDED);
    assert_int_equal(one.verdict, STORED);
    assert_int_equal(one.answered_state, LEDGER_MADE);
    assert_string_equal(world_text(&world, "SELECT state FROM ledger WHERE owner_id = ?", &id),
                        "made");
}

static void an_acceptance_that_comes_after_the_end_changes_nothing(void **state)
{
    struct world_job job;
    struct uuid id = begin_unaccepted(&job);
    one.jobs[one.job_count++] = job;
    world_node_finish(&one, &one.jobs[0], FAILED, "vm_running");
    world_turn(&world, 1);
    assert_string_equal(world_state(&world, &id), "ROLLED_BACK");
    world_node_accept(&one, &job);
    world_turn(&world, 1);
    assert_string_equal(world_state(&world, &id), "ROLLED_BACK");
    assert_string_not_equal(world_text(&world, "SELECT state FROM jobs WHERE owner_id = ?", &id),
                            "accepted");
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

static void a_failed_discovery_leaves_no_pages(void **state)
{
    struct uuid wish = world_wish(&world, "refresh", OWNER_SOURCE, &world.source);
    rounds(1);
    struct world_job *job = world_node_job(&one, &world.source);
    assert_non_null(job);
    world_node_page(&one, job, 1, false, "first");
    world_turn(&world, 1);
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM pages", NULL), 1);
    world_node_finish(&one, job, FAILED, "unreachable");
    rounds(2);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish),
                        "failed");
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM pages", NULL), 0);
}

/* Too large for a message: nothing that waiting or trying again could mend. */
static void a_job_that_no_message_can_hold_fails_and_holds_up_nobody(void **state)
{
    size_t size = 3u << 19;
    char *options = xcalloc(1, size + 32);
    strcpy(options, "{\"x\":\"");
    memset(options + 6, 'y', size);
    strcpy(options + 6 + size, "\"}");
    struct uuid big = world_vm(&world, "big", 1), small = world_vm(&world, "small", 1);
    struct uuid culprit = world_migrate(&world, &big, "rollback", false, options);
    struct uuid other = world_migrate(&world, &small, "rollback", false, "{}");
    rounds(3);
    assert_string_equal(world_state(&world, &other), "SCHEDULED");
    assert_non_null(world_node_job(&one, &other));
    assert_string_equal(world_story(&world, &culprit),
                        "PENDING SCHEDULED FAILED ROLLING_BACK ROLLED_BACK");
    assert_string_equal(
        world_text(&world, "SELECT fault_code FROM migrations WHERE id = ?", &culprit),
        "too_large");
    assert_int_equal(world_number(&world, "SELECT COUNT(*) FROM jobs WHERE owner_id = ?", &culprit),
                     1);
    free(options);
}

static void a_refresh_that_no_node_can_serve_tells_why_it_waits(void **state)
{
    struct uuid node = one.id;
    world_wish(&world, "disable", OWNER_NODE, &node);
    rounds(2);
    struct uuid wish = world_wish(&world, "refresh", OWNER_SOURCE, &world.source);
    rounds(2);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish),
                        "taken");
    assert_string_equal(world_text(&world, "SELECT fault_text FROM wishes WHERE id = ?", &wish),
                        "no node can take it now: 1 node_disabled");
    world_wish(&world, "enable", OWNER_NODE, &node);
    rounds(2);
    assert_non_null(world_node_job(&one, &world.source));
    assert_int_equal(
        world_number(&world, "SELECT fault_code IS NULL FROM wishes WHERE id = ?", &wish), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_pending_row_becomes_an_accepted_job),
        TEST(a_done_job_makes_verified_by_a_legal_path),
        TEST(a_result_told_twice_counts_once),
        TEST(a_result_that_overtakes_its_acceptance_counts),
        TEST(an_intent_that_overtakes_its_acceptance_is_stored),
        TEST(an_acceptance_that_comes_after_the_end_changes_nothing),
        TEST(a_failure_without_ledger_is_rolled_back_at_once),
        TEST(a_failure_with_a_ledger_gets_a_rollback_job),
        TEST(on_failure_keep_rests_in_failed_and_can_be_tried_again),
        TEST(a_fault_that_may_pass_is_tried_again_before_on_failure),
        TEST(a_cancel_stops_new_intents_and_undoes),
        TEST(a_pending_migration_is_cancelled_at_once),
        TEST(a_dry_run_ends_as_cancelled_with_its_answer),
        TEST(cleanup_is_refused_before_verified_and_done_after),
        TEST(nothing_vanishes_before_all_pages_have_come),
        TEST(a_failed_discovery_leaves_no_pages),
        TEST(a_job_that_no_message_can_hold_fails_and_holds_up_nobody),
        TEST(a_refresh_that_no_node_can_serve_tells_why_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
