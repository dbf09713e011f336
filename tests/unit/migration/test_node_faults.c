/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes wrong around a node: workers that die or fall silent, a daemon that starts again, a broker
 * that is away, a source that changes, a disk that is full, a name that is taken. Played as in
 * test_node.c.
 */
#include "tests/unit/migration/play.h"

#include <jansson.h>
#include <signal.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "migration/worker.h"
#include "proto/fault.h"
#include "proto/topology.h"

static void a_worker_killed_in_mid_copy_goes_on_from_its_journal(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 12 << 20);
    kill(play_worker_pid(play), SIGKILL);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    /* The operator learns of it though it went on: the events are made of notes. */
    assert_ptr_equal(strstr(play->first_note, "worker_crashed"), play->first_note);
    assert_non_null(strstr(play->first_note, "signal 9"));
    assert_int_equal(play->run, 2);
    assert_int_equal(play_count_deeds(play, "server"), 1);
    json_t *evidence = json_loads(play->evidence, 0, NULL);
    json_t *content = json_object_get(evidence, "content");
    json_int_t read = json_integer_value(json_object_get(content, "bytes_read"));
    assert_int_equal(json_integer_value(json_object_get(content, "resumes")), 1);
    /* Bytes in flight at the kill were never told; what is told is each byte once, and little more. */
    assert_true(read >= 28 << 20 && read <= 40 << 20);
    json_decref(evidence);
}

static void a_node_that_starts_again_goes_on_with_its_jobs(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 12 << 20);
    play_stop_node(play);
    play_start_node(play);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 2);
    assert_int_equal(play->resumes, 1);
}

static void a_result_is_told_again_after_a_start(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    play_stop_node(play);
    play->reached = MIGRATION_UNKNOWN;
    play_start_node(play);
    assert_true(play_directory_exists(play));
    play->wanted = WANTED_CLOSE;
    AWAIT(play, play->gone);
}

static void a_worker_that_always_crashes_ends_the_job_with_its_signal(void **state)
{
    struct play *play = *state;
    uint32_t run = 0;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    while (play->finishes == 0) {
        AWAIT(play, play->finishes > 0 || (play->run > run && play->done_bytes > 0));
        run = play->run;
        if (play->finishes == 0)
            kill(play_worker_pid(play), SIGABRT);
        play->done_bytes = 0;
    }
    assert_string_equal(play->fault, FAULT_WORKER_CRASHED.code);
    assert_non_null(strstr(play->fault_text, "signal 6"));
    assert_int_equal(run, 3);
}

static void a_broker_that_is_away_does_not_stop_a_copy(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    bus_memory_set_up(play->broker, false);
    uint64_t until = clock_mono_ms() + 1000;
    while (clock_mono_ms() < until)
        play_turn(play);
    bus_memory_set_up(play->broker, true);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 1);
}

static void a_source_that_changes_meanwhile_is_copied_again(void **state)
{
    struct play *play = *state;
    struct error err;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    CLEANUP(xfreep) char *path = xasprintf("%s/vms/vm-000001.generation", play->world);
    assert_true(file_replace(path, 0644, "1", 1, &err));
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    json_t *evidence = json_loads(play->evidence, 0, NULL);
    json_t *content = json_object_get(evidence, "content");
    assert_true(json_integer_value(json_object_get(content, "bytes_read")) >= 64 << 20);
    json_decref(evidence);
}

/* A disk that an earlier run had finished is of the machine as it was then. */
static void a_source_that_changes_between_two_runs_is_copied_again(void **state)
{
    struct play *play = *state;
    struct error err;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW ", \"disks\": 3"});
    AWAIT(play, play->done_bytes > 76 << 20); /* two at once: two are done */
    pid_t worker = play_worker_pid(play);
    CLEANUP(xfreep) char *path = xasprintf("%s/vms/vm-000001.generation", play->world);
    kill(worker, SIGSTOP);
    assert_true(file_replace(path, 0644, "1", 1, &err));
    kill(worker, SIGKILL);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 2);
    json_t *evidence = json_loads(play->evidence, 0, NULL);
    json_t *content = json_object_get(evidence, "content");
    assert_true(json_integer_value(json_object_get(content, "bytes_read")) >= 150 << 20);
    json_decref(evidence);
}

/* What a reader notices by itself, in the middle of the copy, is no other matter. */
static void a_change_that_the_copy_itself_meets_starts_it_over(void **state)
{
    struct play *play = *state;
    play_control(play, "[{\"end\": \"source\", \"deed\": \"read\", \"delay_ms\": 500,"
                       " \"fault\": \"source_changed\"}]");
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, strstr(play->first_note, "copying again"));
    play_control(play, "[]");
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 1);
}

static void a_worker_without_a_sign_of_life_is_ended_and_the_job_says_so(void **state)
{
    struct play *play = *state;
    play->worker.stall_ms = 400;
    play->worker.restarts = 1;
    play_control(play, "[{\"deed\": \"snapshot\", \"delay_ms\": 60000}]");
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault, FAULT_WORKER_STALLED.code);
    assert_int_equal(play->run, 2);
}

static void a_full_disk_is_told_by_its_code(void **state)
{
    struct play *play = *state;
    play_assign(play,
                &(struct wish){.kind = JOB_MIGRATE, .options = "{\"stage_bytes\": 8796093022208}"});
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->outcome, GUTS__V1__OUTCOME__OUTCOME_FAILED);
    assert_string_equal(play->fault, FAULT_NO_SPACE.code);
}

static void a_node_whose_name_is_taken_ends_its_workers_and_takes_no_job(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    pid_t worker = play_worker_pid(play);
    play_refuse_name(play);
    AWAIT(play, kill(worker, 0) != 0);
    unsigned reports = play->reports;
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    for (int i = 0; i < 100; i++)
        play_turn(play);
    assert_int_equal(play->accepts, 1);
    assert_true(play->reports <= reports + 1);
    assert_int_equal(play->finishes, 0);
}

static void a_refused_node_asks_again_after_a_lease(void **state)
{
    struct play *play = *state;
    play->lease_ms = 300;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    uint64_t began_ms = clock_mono_ms();
    play_refuse_name(play);
    pid_t worker = play_worker_pid(play);
    AWAIT(play, kill(worker, 0) != 0);
    unsigned reports = play->reports;
    AWAIT(play, play->reports > reports);
    assert_true(clock_mono_ms() - began_ms >= play->lease_ms);
    AWAIT(play, play->finishes > 0);
    assert_string_equal(play->fault_text, "");
}

static void a_job_that_cannot_be_written_down_is_refused_and_leaves_nothing(void **state)
{
    struct play *play = *state;
    struct error err;
    CLEANUP(xfreep)
    char *path = xasprintf("%s/jobs/n1/%s-1/journal", play->pool, UUID_TEXT(&play->job));
    assert_true(file_make_directory(path, 0700, &err)); /* in the place of the file */
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->refuses == 1);
    assert_false(play_directory_exists(play));
}

/* A copy of this node, disk and all, has the queue: two that report in turns would undo each other. */
static void a_node_that_cannot_hear_answers_does_not_report(void **state)
{
    struct play *play = *state;
    struct bus *other = bus_memory_open(play->broker);
    struct bus_queue queue = topology_node(play->settings.name);
    unsigned reports = play->reports;
    play_stop_node(play);
    bus_consume(other, &queue);
    play_open_node(play);
    for (int i = 0; i < 100; i++)
        play_turn(play);
    assert_int_equal(play->reports, reports);
    bus_close(other);
    bus_consume(play->bus, &queue); /* as a bus does by itself now and then */
    AWAIT(play, play->reports > reports);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_VERB) == 0)
        return worker_main();
    log_open("test", LOG_ERROR_LEVEL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_worker_killed_in_mid_copy_goes_on_from_its_journal),
        TEST(a_node_that_starts_again_goes_on_with_its_jobs),
        TEST(a_result_is_told_again_after_a_start),
        TEST(a_worker_that_always_crashes_ends_the_job_with_its_signal),
        TEST(a_broker_that_is_away_does_not_stop_a_copy),
        TEST(a_source_that_changes_meanwhile_is_copied_again),
        TEST(a_source_that_changes_between_two_runs_is_copied_again),
        TEST(a_change_that_the_copy_itself_meets_starts_it_over),
        TEST(a_worker_without_a_sign_of_life_is_ended_and_the_job_says_so),
        TEST(a_full_disk_is_told_by_its_code),
        TEST(a_node_whose_name_is_taken_ends_its_workers_and_takes_no_job),
        TEST(a_refused_node_asks_again_after_a_lease),
        TEST(a_job_that_cannot_be_written_down_is_refused_and_leaves_nothing),
        TEST(a_node_that_cannot_hear_answers_does_not_report),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
