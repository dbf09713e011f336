/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/cage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "migration/confine.h"

#define GRACE_MS 2000
#define ASK_MS 200
#define ENVIRONMENT_MOST 16

struct cage {
    pid_t pid;
    int pidfd;
    int output;
    bool ended; /* its status is known; it stays a zombie until we close, so that its group's number
                 * cannot be given to somebody else */
    int status;
    char tail[CAGE_TAIL_BYTES]; /* the last bytes of its output, not terminated */
    size_t tail_length;
    char shown[CAGE_TAIL_BYTES + 1];
};

/* All that the child needs between fork and exec, prepared before: there it may only make calls that
 * are safe in a child of a process with threads. */
struct child {
    const struct cage_plan *plan;
    char *path;
    const char *environment[ENVIRONMENT_MOST + 4];
    int null_fd;
    int output_fd;
    int report_fd; /* errno of a failed exec goes here; closes itself by a successful one */
    pid_t parent;
};

static bool find_tool(const char *name, char **ret_path)
{
    if (name[0] == '/') {
        if (access(name, X_OK) != 0)
            return false;
        *ret_path = xstrdup(name);
        return true;
    }
    const char *rest = CAGE_PATH;
    while (*rest != '\0') {
        size_t length = strcspn(rest, ":");
        char *path = xasprintf("%.*s/%s", (int)length, rest, name);
        if (access(path, X_OK) == 0) {
            *ret_path = path;
            return true;
        }
        free(path);
        rest += length + (rest[length] == ':');
    }
    return false;
}

char *cage_tool(const char *name)
{
    char *path = NULL;
    return find_tool(name, &path) ? path : NULL;
}

bool cage_has_tool(const char *name)
{
    CLEANUP(xfreep) char *path = cage_tool(name);
    return path != NULL;
}

static void set_limit(int resource, uint64_t most)
{
    struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    setrlimit(resource, &limit);
}

/* A worker's own soft limit on memory is not meant for the tools that it starts. */
static void lift_limit(int resource)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(resource, &limit);
    }
}

static void leave_descriptors(const struct child *child)
{
    dup2(child->null_fd, STDIN_FILENO);
    dup2(child->output_fd, STDOUT_FILENO);
    dup2(child->output_fd, STDERR_FILENO);
    if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) {
        for (int fd = 3; fd < 65536; fd++) /* a kernel before 5.11 */
            fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    for (size_t i = 0; i < child->plan->fd_count; i++)
        fcntl(child->plan->fds[i], F_SETFD, 0);
}

static void reset_signals(void)
{
    for (int number = 1; number < 32; number++)
        signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

__attribute__((noreturn)) static void run_child(const struct child *child)
{
    const struct cage_plan *plan = child->plan;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != child->parent)
        _exit(127); /* it died before PDEATHSIG stood */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    reset_signals();
    leave_descriptors(child);
    set_limit(RLIMIT_CORE, 0);
    lift_limit(RLIMIT_DATA);
    if (plan->memory_bytes > 0)
        set_limit(RLIMIT_AS, plan->memory_bytes);
    if (plan->file_bytes > 0)
        set_limit(RLIMIT_FSIZE, plan->file_bytes);
    int failed = 0;
    if (chdir(plan->directory != NULL ? plan->directory : "/") != 0)
        failed = errno;
    if (failed == 0 && plan->confine != NULL)
        failed = confine_enter(plan->confine);
    if (failed == 0) {
        execve(child->path, (char *const *)plan->argv, (char *const *)child->environment);
        failed = errno;
    }
    ssize_t written = write(child->report_fd, &failed, sizeof(failed));
    _exit(written == (ssize_t)sizeof(failed) ? 127 : 126);
}

static void fill_environment(struct child *child)
{
    size_t count = 0;
    child->environment[count++] = "PATH=" CAGE_PATH;
    child->environment[count++] = "LC_ALL=C";
    child->environment[count++] = "HOME=/nonexistent";
    const char *const *more = child->plan->environment;
    for (size_t i = 0; more != NULL && more[i] != NULL && i < ENVIRONMENT_MOST; i++)
        child->environment[count++] = more[i];
    child->environment[count] = NULL;
}

/* Waits until the child has become the tool, or says why it could not. */
static bool await_exec(int report_fd, const char *name, struct error *err)
{
    int failed = 0;
    ssize_t got;
    do
        got = read(report_fd, &failed, sizeof(failed));
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof(failed))
        return error_set_errno(err, failed, "cannot start \"%s\"", name);
    return true;
}

static struct cage *adopt(pid_t pid, int *output_fd)
{
    struct cage *cage = xcalloc(1, sizeof(*cage));
    cage->pid = pid;
    cage->pidfd = pidfd_open(pid, 0);
    cage->output = *output_fd;
    *output_fd = -1;
    fcntl(cage->output, F_SETFL, O_NONBLOCK);
    return cage;
}

static bool start_prepared(struct child *child, int *read_fd, int *report_fd,
                           struct cage **ret_cage, struct error *err)
{
    child->parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_set_errno(err, errno, "cannot fork for \"%s\"", child->path);
    if (pid == 0)
        run_child(child);
    setpgid(pid, pid); /* both sides do it: whoever comes first */
    fd_closep(&child->report_fd);
    fd_closep(&child->output_fd);
    struct cage *cage = adopt(pid, read_fd);
    if (!await_exec(*report_fd, child->path, err)) {
        cage_close(cage);
        return false;
    }
    *ret_cage = cage;
    return true;
}

bool cage_start(const struct cage_plan *plan, struct cage **ret_cage, struct error *err)
{
    CLEANUP(xfreep) char *path = NULL;
    if (!find_tool(plan->argv[0], &path))
        return error_set(err, &FAULT_UNSUPPORTED, "\"%s\" is not installed", plan->argv[0]);
    struct child child = {.plan = plan, .path = path, .output_fd = -1, .report_fd = -1};
    fill_environment(&child);
    CLEANUP(fd_closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    int output[2] = {-1, -1}, report[2] = {-1, -1};
    bool made = null_fd >= 0 && pipe2(output, O_CLOEXEC) == 0 && pipe2(report, O_CLOEXEC) == 0;
    int failed = errno;
    CLEANUP(fd_closep) int output_read = output[0];
    CLEANUP(fd_closep) int report_read = report[0];
    child.null_fd = null_fd;
    child.output_fd = output[1];
    child.report_fd = report[1];
    bool done = false;
    if (!made)
        error_set_errno(err, failed, "cannot make pipes for \"%s\"", plan->argv[0]);
    else {
        if (plan->output_may_drop)
            fcntl(child.output_fd, F_SETFL, O_NONBLOCK);
        done = start_prepared(&child, &output_read, &report_read, ret_cage, err);
    }
    fd_closep(&child.output_fd);
    fd_closep(&child.report_fd);
    return done;
}

static void keep_tail(struct cage *cage, const char *data, size_t length)
{
    if (length >= CAGE_TAIL_BYTES) {
        data += length - CAGE_TAIL_BYTES;
        length = CAGE_TAIL_BYTES;
        cage->tail_length = 0;
    }
    size_t drop = 0;
    if (cage->tail_length + length > CAGE_TAIL_BYTES)
        drop = cage->tail_length + length - CAGE_TAIL_BYTES;
    memmove(cage->tail, cage->tail + drop, cage->tail_length - drop);
    cage->tail_length -= drop;
    memcpy(cage->tail + cage->tail_length, data, length);
    cage->tail_length += length;
}

static int clamp_ms(uint64_t duration_ms)
{
    return duration_ms > 1u << 30 ? 1 << 30 : (int)duration_ms;
}

bool cage_read(struct cage *cage, uint64_t timeout_ms, void *ret_data, size_t most,
               size_t *ret_length, bool *ret_end, struct error *err)
{
    struct pollfd wait = {.fd = cage->output, .events = POLLIN};
    if (poll(&wait, 1, clamp_ms(timeout_ms)) < 0 && errno != EINTR)
        return error_set_errno(err, errno, "cannot wait for a tool's output");
    ssize_t got = read(cage->output, ret_data, most);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return error_set_errno(err, errno, "cannot read a tool's output");
    *ret_end = got == 0;
    *ret_length = got > 0 ? (size_t)got : 0;
    if (got > 0)
        keep_tail(cage, ret_data, (size_t)got);
    return true;
}

/* The status as waitpid(2) would have told it. */
static int status_of(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8 : info->si_status & 0x7f;
}

bool cage_ended(struct cage *cage, uint64_t timeout_ms, int *ret_status)
{
    if (!cage->ended && timeout_ms > 0 && cage->pidfd >= 0) {
        struct pollfd wait = {.fd = cage->pidfd, .events = POLLIN};
        poll(&wait, 1, clamp_ms(timeout_ms));
    }
    siginfo_t info = {.si_pid = 0};
    if (!cage->ended && waitid(P_PID, (id_t)cage->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == cage->pid) {
        cage->ended = true;
        cage->status = status_of(&info);
    }
    if (cage->ended)
        *ret_status = cage->status;
    return cage->ended;
}

static void drain(struct cage *cage)
{
    char data[4096];
    for (int turns = 0; turns < 64; turns++) {
        ssize_t got = read(cage->output, data, sizeof(data));
        if (got <= 0)
            return;
        keep_tail(cage, data, (size_t)got);
    }
}

/* The length of a terminal's control sequence ("ESC [ 1 ; 31 m") at the place, or 0. */
static size_t control_length(const struct cage *cage, size_t at)
{
    if (cage->tail[at] != '\033' || at + 1 >= cage->tail_length || cage->tail[at + 1] != '[')
        return 0;
    size_t end = at + 2;
    while (end < cage->tail_length && (cage->tail[end] < '@' || cage->tail[end] > '~'))
        end++;
    return end - at + (end < cage->tail_length);
}

const char *cage_tail(struct cage *cage)
{
    drain(cage);
    size_t length = 0;
    for (size_t i = 0; i < cage->tail_length; i++) {
        char letter = cage->tail[i];
        size_t control = control_length(cage, i);
        if (control > 0)
            i += control - 1;
        if (letter == '\r' || control > 0)
            continue;
        if (letter == '\n')
            letter = '|';
        cage->shown[length++] = letter >= ' ' && letter <= '~' ? letter : '?';
    }
    while (length > 0 && (cage->shown[length - 1] == '|' || cage->shown[length - 1] == ' '))
        length--;
    cage->shown[length] = '\0';
    return cage->shown;
}

void cage_close(struct cage *cage)
{
    if (cage == NULL)
        return;
    int status;
    if (!cage_ended(cage, 0, &status)) {
        kill(-cage->pid, SIGTERM);
        cage_ended(cage, GRACE_MS, &status);
    }
    /* Also when the leader ended by itself: what it started may live on in its group. */
    kill(-cage->pid, SIGKILL);
    while (waitpid(cage->pid, &status, 0) < 0 && errno == EINTR)
        ;
    fd_closep(&cage->pidfd);
    fd_closep(&cage->output);
    free(cage);
}

void cage_closep(struct cage **cage)
{
    cage_close(*cage);
    *cage = NULL;
}

static void take_output(const struct cage_run *run, const char *data, size_t length)
{
    if (run->output == NULL || run->output->length >= run->most)
        return;
    size_t room = run->most - run->output->length;
    buffer_append(run->output, data, length < room ? length : room);
}

static bool judge(const struct cage_run *run, struct cage *cage, int status, struct error *err)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    const char *tail = cage_tail(cage);
    size_t length = strlen(tail);
    const char *last = length > 300 ? tail + length - 300 : tail;
    if (WIFSIGNALED(status))
        return error_set(err, &FAULT_IO, "\"%s\" was ended by signal %d: %s", run->plan.argv[0],
                         WTERMSIG(status), last);
    return error_set(err, &FAULT_IO, "\"%s\" failed with status %d: %s", run->plan.argv[0],
                     WEXITSTATUS(status), last);
}

/* Reads until the output ends or the tool does; a grandchild may hold the pipe open for longer. */
static bool attend(const struct cage_run *run, struct cage *cage, struct error *err)
{
    uint64_t deadline = clock_mono_ms() + run->timeout_ms;
    bool end = false;
    int status = 0;
    for (;;) {
        char data[4096];
        size_t length = 0;
        if (!end && !cage_read(cage, ASK_MS, data, sizeof(data), &length, &end, err))
            return false;
        take_output(run, data, length);
        if (length == 0 && cage_ended(cage, end ? ASK_MS : 0, &status))
            return judge(run, cage, status, err);
        if (run->go_on != NULL && !run->go_on(run->context, err))
            return false;
        if (clock_mono_ms() >= deadline)
            return error_set(err, &FAULT_TIMEOUT, "\"%s\" did not end within %llu ms",
                             run->plan.argv[0], (unsigned long long)run->timeout_ms);
    }
}

bool cage_run(const struct cage_run *run, struct error *err)
{
    CLEANUP(cage_closep) struct cage *cage = NULL;
    return cage_start(&run->plan, &cage, err) && attend(run, cage, err);
}
