/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "migration/cage.h"

static bool run_shell(const char *script, uint64_t timeout_ms, struct buffer *output,
                      struct error *err)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    struct cage_run run = {
        .plan = {.argv = argv}, .timeout_ms = timeout_ms, .output = output, .most = 4096};
    return cage_run(&run, err);
}

static void a_tool_that_is_not_installed_is_unsupported(void **state)
{
    struct error err = {0};
    const char *argv[] = {"no-such-tool-anywhere", NULL};
    struct cage *cage = NULL;
    assert_false(cage_start(&(struct cage_plan){.argv = argv}, &cage, &err));
    assert_ptr_equal(err.fault, &FAULT_UNSUPPORTED);
    assert_false(cage_has_tool("no-such-tool-anywhere"));
    assert_true(cage_has_tool("sh"));
}

static void output_comes_back(void **state)
{
    struct error err = {0};
    struct buffer output = {0};
    assert_true(run_shell("echo out; echo err >&2", 10000, &output, &err));
    assert_string_equal(output.data, "out\nerr\n");
    buffer_fini(&output);
}

static void a_failure_tells_the_status_and_the_last_lines(void **state)
{
    struct error err = {0};
    assert_false(run_shell("echo it broke; exit 3", 10000, NULL, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    assert_non_null(strstr(err.text, "status 3"));
    assert_non_null(strstr(err.text, "it broke"));
}

static void output_beyond_its_bound_is_dropped(void **state)
{
    struct error err = {0};
    struct buffer output = {0};
    assert_true(run_shell("head -c 1000000 /dev/zero", 20000, &output, &err));
    assert_int_equal(output.length, 4096);
    buffer_fini(&output);
}

static void a_tool_that_hangs_is_ended_with_its_children(void **state)
{
    struct error err = {0};
    struct buffer output = {0};
    uint64_t before = clock_mono_ms();
    /* The shell ignores SIGTERM, and so does its child. */
    assert_false(
        run_shell("trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000", 300, &output, &err));
    assert_ptr_equal(err.fault, &FAULT_TIMEOUT);
    assert_true(clock_mono_ms() - before < 8000);
    pid_t child = (pid_t)atoi(output.data);
    assert_true(child > 0);
    /* Gone, or a zombie that init has yet to reap. */
    for (int turn = 0; turn < 1000 && kill(child, 0) == 0; turn++) {
        char path[64], line[256] = "";
        snprintf(path, sizeof(path), "/proc/%d/stat", child);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            break;
        assert_non_null(fgets(line, sizeof(line), file));
        fclose(file);
        if (strstr(line, ") Z ") != NULL)
            break;
        usleep(20000);
        assert_true(turn < 999);
    }
    buffer_fini(&output);
}

static void nothing_of_ours_is_inherited(void **state)
{
    struct error err = {0};
    struct buffer output = {0};
    int leak = open("/dev/null", O_RDONLY);
    assert_true(leak > 2);
    assert_int_equal(setenv("GUTS_TEST_SECRET", "hush", 1), 0);
    char script[128];
    snprintf(script, sizeof(script),
             "[ -e /proc/self/fd/%d ] && echo leak; echo \"$GUTS_TEST_SECRET$LC_ALL\"; cat", leak);
    assert_true(run_shell(script, 10000, &output, &err));
    assert_string_equal(output.data, "C\n");
    close(leak);
    buffer_fini(&output);
}

static void a_passed_descriptor_stays(void **state)
{
    struct error err = {0};
    struct buffer output = {0};
    int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    char script[64];
    snprintf(script, sizeof(script), "head -c 5 <&%d", fd);
    const char *argv[] = {"sh", "-c", script, NULL};
    struct cage_run run = {.plan = {.argv = argv, .fds = &fd, .fd_count = 1},
                           .timeout_ms = 10000,
                           .output = &output,
                           .most = 100};
    assert_true(cage_run(&run, &err));
    assert_string_equal(output.data, "root:");
    close(fd);
    buffer_fini(&output);
}

static bool refuse(void *context, struct error *err)
{
    return error_set(err, &FAULT_CANCELLED, "enough");
}

static void a_cancel_ends_it(void **state)
{
    struct error err = {0};
    const char *argv[] = {"sleep", "1000", NULL};
    struct cage_run run = {.plan = {.argv = argv}, .timeout_ms = 60000, .go_on = refuse};
    assert_false(cage_run(&run, &err));
    assert_ptr_equal(err.fault, &FAULT_CANCELLED);
}

static void a_limit_on_files_holds(void **state)
{
    struct error err = {0};
    char path[] = "/tmp/guts-cage-XXXXXX", script[128];
    int fd = mkstemp(path);
    snprintf(script, sizeof(script), "head -c 100000 /dev/zero > %s", path);
    const char *argv[] = {"sh", "-c", script, NULL};
    struct cage_run run = {.plan = {.argv = argv, .file_bytes = 1000}, .timeout_ms = 10000};
    assert_false(cage_run(&run, &err));
    assert_int_equal(lseek(fd, 0, SEEK_END), 1000);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tool_that_is_not_installed_is_unsupported),
        cmocka_unit_test(output_comes_back),
        cmocka_unit_test(a_failure_tells_the_status_and_the_last_lines),
        cmocka_unit_test(output_beyond_its_bound_is_dropped),
        cmocka_unit_test(a_tool_that_hangs_is_ended_with_its_children),
        cmocka_unit_test(nothing_of_ours_is_inherited),
        cmocka_unit_test(a_passed_descriptor_stays),
        cmocka_unit_test(a_cancel_ends_it),
        cmocka_unit_test(a_limit_on_files_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
