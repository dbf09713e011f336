/* SPDX-License-Identifier: Apache-2.0
 *
 * Settle checks by a whole node, and what a worker gets from its daemon (play.h).
 */
#include "tests/unit/migration/play.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "migration/worker.h"
#include "proto/fault.h"

static void put_in_world(const struct play *play, const char *name, const char *content)
{
    struct error err;
    CLEANUP(xfreep) char *path = xasprintf("%s/%s", play->world, name);
    if (!file_replace(path, 0644, content, strlen(content), &err))
        fail_msg("%s", err.text);
}

static bool is_in_world(const struct play *play, const char *name)
{
    CLEANUP(xfreep) char *path = xasprintf("%s/%s", play->world, name);
    return access(path, F_OK) == 0;
}

/* What a worker would leave that was paused between the answer and the deed for all that time. */
static void stray(struct play *play)
{
    CLEANUP(xfreep) char *disk = xasprintf("disks/%s-1-0", UUID_TEXT(&play->owner));
    CLEANUP(xfreep)
    char *server = xasprintf("{\"id\": \"late\", \"migration\": \"%s\", \"name\": \"x\"}",
                             UUID_TEXT(&play->owner));
    put_in_world(play, disk, "");
    put_in_world(play, "servers/late.json", server);
    put_in_world(play, "servers/other.json",
                 "{\"id\": \"other\", \"migration\": \"of another\", \"name\": \"x\"}");
    put_in_world(play, "vms/vm-000001", "off");
}

static void a_settle_check_mends_what_strayed_at_both_ends(void **state)
{
    struct play *play = *state;
    const char *on = ", \"power\": \"on\"";
    play_assign(
        play,
        &(struct wish){.kind = JOB_MIGRATE, .settings = on, .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes == 1);
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK, .attempt = 2, .settings = on});
    AWAIT(play, play->finishes == 2);
    stray(play);
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK,
                                     .attempt = 3,
                                     .settings = on,
                                     .request = "{\"settle\":true}"});
    AWAIT(play, play->finishes == 3);
    assert_string_equal(play->fault_text, "");
    CLEANUP(xfreep) char *disk = xasprintf("disks/%s-1-0", UUID_TEXT(&play->owner));
    assert_false(is_in_world(play, disk));
    assert_false(is_in_world(play, "servers/late.json"));
    assert_true(is_in_world(play, "servers/other.json"));
    assert_int_equal(play_count_deeds(play, "power_on"), 3); /* server, rollback, settle check */
    for (size_t i = 0; i < play->ledger_count; i++)
        assert_int_equal(play->ledger[i].state, LEDGER_UNDONE);
}

static void a_vm_that_a_later_migration_stopped_is_left_alone(void **state)
{
    struct play *play = *state;
    const char *on = ", \"power\": \"on\"";
    play_assign(
        play,
        &(struct wish){.kind = JOB_MIGRATE, .settings = on, .options = "{\"stop_source\": true}"});
    AWAIT(play, play->finishes == 1);
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK, .attempt = 2, .settings = on});
    AWAIT(play, play->finishes == 2);
    put_in_world(play, "vms/vm-000001", "off");
    put_in_world(play, "vms/vm-000001.by", "01990000-0000-7000-8000-000000000000");
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK,
                                     .attempt = 3,
                                     .settings = on,
                                     .request = "{\"settle\":true}"});
    AWAIT(play, play->finishes == 3);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play_count_deeds(play, "power_on"), 2); /* server, rollback */
}

static void a_settle_check_of_a_fenced_attempt_touches_nothing(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes == 1);
    play->job = uuid_new();
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK, .attempt = 2});
    AWAIT(play, play->finishes == 2);
    stray(play);
    play->verdict = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_FENCED;
    play->job = uuid_new();
    play_assign(play,
                &(struct wish){.kind = JOB_ROLLBACK, .attempt = 3, .request = "{\"settle\":true}"});
    AWAIT(play, play->finishes == 3);
    assert_string_equal(play->fault, FAULT_FENCED.code);
    assert_true(is_in_world(play, "servers/late.json"));
}

static void what_an_earlier_run_took_back_is_told_and_not_done_again(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE});
    AWAIT(play, play->finishes == 1);
    size_t entries = play->ledger_count;
    assert_true(entries >= 2);
    play->job = uuid_new();
    play->answers_left =
        2; /* the last entry is claimed and settled; the next claim is not answered */
    unsigned writes = play->writes;
    play_assign(play, &(struct wish){.kind = JOB_ROLLBACK});
    AWAIT(play, play->writes >= writes + 3);
    assert_int_equal(kill(play_worker_pid(play), SIGKILL), 0);
    play->answers = true;
    AWAIT(play, play->finishes == 2);
    assert_string_equal(play->fault_text, "");
    assert_int_equal(play->run, 2);
    assert_int_equal(play->steps_told, entries);
    assert_int_equal(play->steps_running, 0);
}

static void a_worker_has_an_environment_of_its_own_and_hides_its_memory(void **state)
{
    struct play *play = *state;
    char path[64];
    assert_int_equal(setenv("GUTS_TEST_PASSWORD", "of the daemon", 1), 0);
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)play_worker_pid(play));
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char text[4096] = "";
    ssize_t length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    unsetenv("GUTS_TEST_PASSWORD");
    assert_true(length > 0 || errno == EACCES || errno == EPERM);
    if (length > 0)
        assert_null(memmem(text, (size_t)length, "GUTS_TEST", 9));
}

static bool file_of_process_holds(pid_t pid, const char *name, const char *line)
{
    char path[64], text[4096] = "";
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    FILE *file = fopen(path, "r");
    size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[length] = '\0';
    if (file)
        fclose(file);
    return strstr(text, line) != NULL;
}

static bool status_holds(pid_t pid, const char *line)
{
    return file_of_process_holds(pid, "status", line);
}

static void a_worker_at_work_stands_behind_its_walls(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    pid_t worker = play_worker_pid(play);
    assert_true(status_holds(worker, "\nNoNewPrivs:\t1\n"));
    assert_true(status_holds(worker, "\nSeccomp:\t2\n"));
    /* at most: CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER */
    assert_true(status_holds(worker, "\nCapInh:\t0000000000000000\n") &&
                status_holds(worker, "\nCapPrm:\t000000000000000") &&
                status_holds(worker, "\nCapEff:\t000000000000000") &&
                (geteuid() != 0 || status_holds(worker, "\nCapBnd:\t000000000000000")));
    assert_true(file_of_process_holds(worker, "limits",
                                      "\nMax open files            256                  256 "));
    assert_true(file_of_process_holds(worker, "limits",
                                      "\nMax core file size        0                    0 "));
    assert_int_equal(getpgid(worker), worker);
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
        TEST(a_settle_check_mends_what_strayed_at_both_ends),
        TEST(a_vm_that_a_later_migration_stopped_is_left_alone),
        TEST(a_settle_check_of_a_fenced_attempt_touches_nothing),
        TEST(what_an_earlier_run_took_back_is_told_and_not_done_again),
        TEST(a_worker_at_work_stands_behind_its_walls),
        TEST(a_worker_has_an_environment_of_its_own_and_hides_its_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
