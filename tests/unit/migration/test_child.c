/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/child.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/log.h"
#include "migration/lease.h"

#define PATIENCE_MS 20000
static const struct child_limits limits = {.open_files = 64};

/* What a worker of this test does. */
static int sleep_long(void)
{
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    if (write(CHILD_SOCKET_FD, "", 1) != 1)
        return 1;
    for (;;)
        pause();
}

static bool is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, PATIENCE_MS) == 1;
}

static struct child begin(void)
{
    struct error err;
    struct lease_page *page;
    struct child child;
    int fd;
    assert_true(lease_page_new(&page, &fd, &err));
    assert_true(child_start("sleep", fd, &limits, &child, &err));
    assert_true(is_readable(child.socket_fd));
    lease_page_free(page);
    close(fd);
    return child;
}

static bool is_gone(pid_t pid)
{
    for (unsigned i = 0; i < PATIENCE_MS / 10; i++) {
        if (kill(pid, 0) != 0)
            return errno == ESRCH;
        poll(NULL, 0, 10);
    }
    return false;
}

static void one_that_is_ended_is_gone(void **state)
{
    struct child child = begin();
    pid_t pid = child.pid;
    assert_true(child_end(&child));
    assert_int_equal(child.pid, 0);
    assert_true(is_gone(pid));
}

/* Who is traced by another is not given to its parent before the tracer lets it go: as one that the kernel holds. */
static pid_t hold(pid_t pid, int *ret_release_fd)
{
    int told[2], release[2];
    char byte = 0;
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(release), 0);
    pid_t tracer = fork();
    if (tracer == 0) {
        close(release[1]);
        byte = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
        if (write(told[1], &byte, 1) != 1)
            _exit(1);
        _exit(read(release[0], &byte, 1) != 0);
    }
    close(told[1]);
    close(release[0]);
    bool held = is_readable(told[0]) && read(told[0], &byte, 1) == 1 && byte;
    close(told[0]);
    *ret_release_fd = release[1];
    return held ? tracer : (kill(tracer, SIGKILL), waitpid(tracer, NULL, 0), close(release[1]), 0);
}

static void one_that_does_not_end_holds_nobody_up_and_is_reaped_later(void **state)
{
    int release_fd;
    struct child child = begin();
    pid_t pid = child.pid, tracer = hold(pid, &release_fd);
    if (tracer == 0) { /* this user may not trace */
        assert_true(child_end(&child));
        skip();
    }
    assert_false(child_end(&child));
    assert_int_equal(child.pid, 0);
    close(release_fd);
    waitpid(tracer, NULL, 0);
    siginfo_t about;
    assert_int_equal(waitid(P_PID, (id_t)pid, &about, WEXITED | WNOWAIT), 0);
    child = begin();
    assert_int_equal(kill(pid, 0), -1);
    assert_true(child_end(&child));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "sleep") == 0)
        return sleep_long();
    log_open("test", LOG_ERROR_LEVEL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_ended_is_gone),
        cmocka_unit_test(one_that_does_not_end_holds_nobody_up_and_is_reaped_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
