/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole node with real workers (this program runs itself again as one) on the bus in memory,
 * against a scheduler that is played (play.h).
 */
#include "tests/unit/migration/play.h"

#include "common/base/file.h"
#include "common/base/log.h"
#include "migration/worker.h"
#include "proto/fault.h"

static void a_node_declares_its_drivers_when_it_starts(void **state)
{
    struct play *play = *state;
    assert_true(play->declared);
}

static void a_migration_is_accepted_done_told_and_closed(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = ", \"disks\": 3"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->outcome, GUTS__V1__OUTCOME__OUTCOME_DONE);
    assert_int_equal(play->reached, MIGRATION_VERIFIED);
    assert_int_equal(play->accepts, 1);
    assert_true(play->steps_told > 3);
    assert_int_equal(play->steps_running, 0);
    assert_non_null(strstr(play->evidence, "xxh3-128-tree:"));
    assert_int_equal(play_entry_of(play, "server")->state, LEDGER_MADE);
    assert_int_equal(play_entry_of(play, "snapshot")->state, LEDGER_MADE);
    assert_int_equal(play_count_deeds(play, "server"), 1);
    assert_true(play_directory_exists(play));
    play->wanted = WANTED_CLOSE;
    AWAIT(play, play->gone);
    assert_false(play_directory_exists(play));
}

static void a_doubled_assignment_is_accepted_again_and_done_once(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0 && play->accepts == 2);
    assert_int_equal(play_count_deeds(play, "server"), 1);
}

static void an_assignment_to_another_instance_is_dropped(void **state)
{
    struct play *play = *state;
    unsigned before = play->reports;
    strcpy(play->instance, "somebody else");
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->reports > before + 3);
    assert_int_equal(play->accepts + play->refuses, 0);
}

static void no_worker_starts_before_a_renewal_names_its_attempt(void **state)
{
    struct play *play = *state;
    play->renews = false;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->accepts == 1);
    unsigned before = play->reports;
    AWAIT(play, play->reports > before + 5);
    assert_int_equal(play->run, 0);
    play->renews = true;
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->run, 1);
}

static void jobs_beyond_the_slots_are_refused(void **state)
{
    struct play *play = *state;
    struct wish wish = {.kind = JOB_MIGRATE, .settings = SLOW};
    for (int i = 0; i < 3; i++) {
        play->job = uuid_new();
        play->owner = uuid_new();
        play_assign(play, &wish);
    }
    AWAIT(play, play->refuses == 1);
    assert_int_equal(play->accepts, 2);
    assert_string_equal(play->refuse_code, FAULT_NODE_REFUSED.code);
}

static void a_dry_run_stops_after_the_preflight_and_touches_nothing(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .dry_run = true});
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->outcome, GUTS__V1__OUTCOME__OUTCOME_DONE);
    assert_int_equal(play->reached, MIGRATION_DISCOVERED);
    assert_int_equal(play->writes, 0);
}

static void a_running_vm_is_refused_unless_it_may_be_stopped(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = ", \"power\": \"on\""});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_VM_RUNNING.code);
    assert_int_equal(play->writes, 0);
    play->job = uuid_new();
    play->finishes = 0;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE,
                                     .settings = ", \"power\": \"on\"",
                                     .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_string_equal(play_entry_of(play, "power")->prior_json, "{\"power\":\"on\"}");
}

static void a_rollback_takes_all_back_and_starts_the_vm_last(void **state)
{
    struct play *play = *state;
    const char *on = ", \"power\": \"on\"";
    play_assign(
        play,
        &(struct wish){.kind = JOB_MIGRATE, .settings = on, .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes > 0);
    play->job = uuid_new();
    play->finishes = 0;
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK, .attempt = 2, .settings = on});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    for (size_t i = 0; i < play->ledger_count; i++)
        assert_int_equal(play->ledger[i].state, LEDGER_UNDONE);
    assert_int_equal(play_count_deeds(play, "server_remove"), 1);
    assert_int_equal(play_count_deeds(play, "snapshot_remove"), 1);
    struct error err;
    CLEANUP(buffer_fini) struct buffer log = {0};
    CLEANUP(xfreep) char *path = xasprintf("%s/log", play->world);
    assert_true(file_read(path, 1 << 20, &log, &err));
    const char *last = NULL;
    for (const char *at = strstr(log.data, "\"deed\":"); at; at = strstr(at + 1, "\"deed\":"))
        last = at;
    assert_memory_equal(last, "\"deed\":\"power_on\"", 17);
}

static void a_rollback_that_fails_at_the_destination_leaves_the_source_off(void **state)
{
    struct play *play = *state;
    const char *on = ", \"power\": \"on\"";
    play_assign(
        play,
        &(struct wish){.kind = JOB_MIGRATE, .settings = on, .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes > 0);
    play_control(play, "[{\"deed\": \"server_remove\", \"fault\": \"destination_refused\"}]");
    play->job = uuid_new();
    play->finishes = 0;
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK, .attempt = 2, .settings = on});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_DESTINATION_REFUSED.code);
    assert_int_equal(play_entry_of(play, "server")->state, LEDGER_ERROR);
    assert_int_equal(play_entry_of(play, "disk")->state, LEDGER_UNDONE);
    assert_int_equal(play_entry_of(play, "power")->state, LEDGER_MADE);
}

/* What was not accepted yet must not look like what could not be taken back: it would be removed. */
static void a_cleanup_that_fails_leaves_the_ledger_as_it_was(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes == 1);
    play_control(play, "[{\"deed\": \"accept\", \"fault\": \"unavailable\"}]");
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_CLEANUP, .attempt = 2});
    AWAIT(play, play->finishes == 2);
    assert_string_equal(play->fault, FAULT_UNAVAILABLE.code);
    for (size_t i = 0; i < play->ledger_count; i++)
        assert_int_not_equal(play->ledger[i].state, LEDGER_ERROR);
    assert_int_equal(play_entry_of(play, "server")->state, LEDGER_MADE);
    play_control(play, "[]");
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_CLEANUP, .attempt = 3});
    AWAIT(play, play->finishes == 3);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play_entry_of(play, "server")->state, LEDGER_KEPT);
    assert_string_equal(play_entry_of(play, "server")->detail, "");
}

static void a_cleanup_keeps_the_server_and_drops_the_snapshot(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    play->job = uuid_new();
    play->finishes = 0;
    play_assign(play, &(struct wish){.kind = JOB_CLEANUP, .attempt = 2});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play_entry_of(play, "server")->state, LEDGER_KEPT);
    assert_int_equal(play_entry_of(play, "snapshot")->state, LEDGER_UNDONE);
}

static void a_discovery_comes_in_pages_and_then_ends(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_DISCOVER, .settings = ", \"vms\": 5000"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->vms, 5000);
    assert_true(play->pages > 2);
    assert_true(play->last_page);
}

static void a_fenced_ledger_write_ends_the_job_before_its_deed(void **state)
{
    struct play *play = *state;
    play->verdict = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_FENCED;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_FENCED.code);
    assert_int_equal(play_count_deeds(play, "snapshot"), 0);
    play->wanted = WANTED_FENCED;
    AWAIT(play, play->gone);
    assert_false(play_directory_exists(play));
}

static void an_unanswered_ledger_write_is_sent_again_and_holds_the_deed_back(void **state)
{
    struct play *play = *state;
    play->answers = false;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->writes >= 3);
    assert_int_equal(play_count_deeds(play, "snapshot"), 0);
    play->answers = true;
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play_count_deeds(play, "snapshot"), 1);
}

static void a_cancel_in_mid_copy_ends_the_job_as_cancelled(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    play->wanted = WANTED_CANCEL;
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->outcome, GUTS__V1__OUTCOME__OUTCOME_CANCELLED);
    assert_int_equal(play_count_deeds(play, "server"), 0);
}

static void an_older_attempt_is_dropped_when_a_newer_one_comes(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .attempt = 2, .settings = SLOW});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_false(play_directory_exists(play));
    assert_int_equal(play_count_deeds(play, "server"), 1);
    assert_int_equal(play_count_deeds(play, "disk_remove"), 1);
}

static void a_sealed_password_reaches_the_driver_and_nothing_else(void **state)
{
    struct play *play = *state;
    struct error err;
    play_assign(play, &(struct wish){.kind = JOB_TEST, .password = "wrong"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_SOURCE_CREDENTIALS.code);
    play->job = uuid_new();
    play->finishes = 0;
    play_assign(play, &(struct wish){.kind = JOB_TEST, .password = "SecretThatIsFine"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    CLEANUP(buffer_fini) struct buffer journal = {0};
    CLEANUP(xfreep)
    char *path = xasprintf("%s/jobs/n1/%s-1/journal", play->pool, UUID_TEXT(&play->job));
    assert_true(file_read(path, 1 << 20, &journal, &err));
    assert_null(memmem(journal.data, journal.length, "SecretThatIsFine", 16));
}

static void a_seal_for_another_address_is_refused(void **state)
{
    struct play *play = *state;
    play_assign(play,
                &(struct wish){.kind = JOB_TEST, .password = "x", .sealed_for = "/elsewhere"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_SEAL_INVALID.code);
}

static void a_node_that_is_asked_declares_its_ledger_again(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->ledger_copies, 0);
    play->asks_again = true;
    AWAIT(play, play->ledger_copies > 0);
    assert_int_equal(play->ledger_copies, play->ledger_count);
}

static void a_migration_that_needs_more_space_than_was_reserved_is_refused(void **state)
{
    struct play *play = *state;
    play_assign(play,
                &(struct wish){.kind = JOB_MIGRATE, .options = "{\"reserve_bytes\": 1048576}"});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_NO_SPACE.code);
    assert_int_equal(play->writes, 0);
}

static void rules_of_the_world_make_a_deed_fail(void **state)
{
    struct play *play = *state;
    play_control(play, "[{\"deed\": \"server\", \"fault\": \"destination_refused\"}]");
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_DESTINATION_REFUSED.code);
    assert_int_equal(play_entry_of(play, "server")->state, LEDGER_INTENDED);
}

static void a_draining_node_refuses_jobs_and_ends_those_it_has(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    play->drains = true;
    unsigned before = play->reports;
    AWAIT(play, play->reports > before + 1);
    struct uuid first = play->job;
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->refuses == 1);
    assert_string_equal(play->refuse_code, FAULT_NODE_REFUSED.code);
    play->job = first;
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_VERB) == 0)
        return worker_main();
    log_open("test", LOG_ERROR_LEVEL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_node_declares_its_drivers_when_it_starts),
        TEST(a_migration_is_accepted_done_told_and_closed),
        TEST(a_doubled_assignment_is_accepted_again_and_done_once),
        TEST(an_assignment_to_another_instance_is_dropped),
        TEST(no_worker_starts_before_a_renewal_names_its_attempt),
        TEST(jobs_beyond_the_slots_are_refused),
        TEST(a_dry_run_stops_after_the_preflight_and_touches_nothing),
        TEST(a_running_vm_is_refused_unless_it_may_be_stopped),
        TEST(a_rollback_takes_all_back_and_starts_the_vm_last),
        TEST(a_rollback_that_fails_at_the_destination_leaves_the_source_off),
        TEST(a_cleanup_that_fails_leaves_the_ledger_as_it_was),
        TEST(a_cleanup_keeps_the_server_and_drops_the_snapshot),
        TEST(a_discovery_comes_in_pages_and_then_ends),
        TEST(a_fenced_ledger_write_ends_the_job_before_its_deed),
        TEST(an_unanswered_ledger_write_is_sent_again_and_holds_the_deed_back),
        TEST(a_cancel_in_mid_copy_ends_the_job_as_cancelled),
        TEST(an_older_attempt_is_dropped_when_a_newer_one_comes),
        TEST(a_sealed_password_reaches_the_driver_and_nothing_else),
        TEST(a_seal_for_another_address_is_refused),
        TEST(a_node_that_is_asked_declares_its_ledger_again),
        TEST(a_migration_that_needs_more_space_than_was_reserved_is_refused),
        TEST(rules_of_the_world_make_a_deed_fail),
        TEST(a_draining_node_refuses_jobs_and_ends_those_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
