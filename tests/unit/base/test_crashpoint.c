/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/crashpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "tests/unit/check.h"

static char directory[] = "/tmp/guts-crashpoint-XXXXXX";

static char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void arm(const char *name, const char *line)
{
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    assert_true(fputs(line, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool exists(const char *name)
{
    return access(path_of(name), F_OK) == 0;
}

/* A process that passes the point "after_step" with the detail "copy" so often; its wait status. */
static int pass_in_child(int passes, int options)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        crashpoint_open("guts-worker");
        errno = ENOTTY;
        for (int i = 0; i < passes; i++)
            crashpoint("after_step", "guts.v1.copy");
        crashpoint("end");
        _exit(errno == ENOTTY ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, options), pid);
    if (WIFSTOPPED(status)) {
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    return status;
}

static void a_point_that_is_not_armed_does_nothing(void **state)
{
    int status = pass_in_child(3, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void an_armed_point_kills_once_at_its_pass(void **state)
{
    arm("worker.after_step:copy", "3 kill\n");
    int status = pass_in_child(2, 0);
    assert_true(WIFEXITED(status)); /* the third pass is another process's */
    status = pass_in_child(1, 0);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_false(exists("worker.after_step:copy"));
    assert_true(exists("worker.after_step:copy.fired"));
    status = pass_in_child(5, 0);
    assert_true(WIFEXITED(status));
}

static void a_point_can_stop_instead(void **state)
{
    arm("worker.after_step:copy", "1 stop\n");
    int status = pass_in_child(1, WUNTRACED);
    assert_true(WIFSTOPPED(status));
}

static void a_point_can_arm_another(void **state)
{
    arm("worker.after_step:copy", "1 arm worker.end 2 kill\n");
    int status = pass_in_child(1, 0);
    assert_true(WIFEXITED(status));
    status = pass_in_child(0, 0);
    assert_true(WIFSIGNALED(status));
}

static void passes_are_traced_where_there_is_a_file_for_them(void **state)
{
    struct stat facts;
    arm("trace", "");
    int status = pass_in_child(1, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(stat(path_of("trace"), &facts), 0);
    assert_int_equal(facts.st_size, strlen("worker.after_step:copy\nworker.end\n"));
}

static int begin(void **state)
{
    strcpy(directory + strlen(directory) - 6, "XXXXXX");
    return mkdtemp(directory) && setenv(CRASHPOINT_ENVIRONMENT, directory, 1) == 0 ? 0 : -1;
}

static int end(void **state)
{
    struct error err;
    return file_remove_tree(directory, &err) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_point_that_is_not_armed_does_nothing, begin, end),
        cmocka_unit_test_setup_teardown(an_armed_point_kills_once_at_its_pass, begin, end),
        cmocka_unit_test_setup_teardown(a_point_can_stop_instead, begin, end),
        cmocka_unit_test_setup_teardown(a_point_can_arm_another, begin, end),
        cmocka_unit_test_setup_teardown(passes_are_traced_where_there_is_a_file_for_them, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
