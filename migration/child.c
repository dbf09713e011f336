/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "migration/channel.h"

/* A sanitizer's shadow memory counts as data, all terabytes of it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED false
#endif

#define ENVIRONMENT_MOST 8
#define END_MS 2000
#define END_STEP_MS 2
#define STUCK_MOST 256

static int pidfd_open_(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void limit(int resource, uint64_t soft, uint64_t hard)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return;
    struct rlimit wanted = {.rlim_cur = soft < now.rlim_max ? soft : now.rlim_max,
                            .rlim_max = hard < now.rlim_max ? hard : now.rlim_max};
    if (setrlimit((__rlimit_resource_t)resource, &wanted) != 0)
        _exit(126);
}

/* Puts fd at `place` without close-on-exec. */
static void place_fd(int fd, int place)
{
    if (fd == place ? fcntl(fd, F_SETFD, 0) != 0 : dup2(fd, place) < 0)
        _exit(126);
}

/* Between fork and exec: nothing that allocates. */
static void become_worker(const char *verb, int socket_fd, int lease_fd, int stderr_fd,
                          pid_t daemon, const struct child_limits *limits, char *environment[])
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != daemon ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        _exit(126);
    int null = open("/dev/null", O_RDWR);
    place_fd(null, 0);
    place_fd(stderr_fd, 1);
    place_fd(stderr_fd, 2);
    place_fd(socket_fd, CHILD_SOCKET_FD);
    place_fd(lease_fd, CHILD_LEASE_FD);
    if (syscall(SYS_close_range, CHILD_LEASE_FD + 1, ~0u, 0) != 0)
        _exit(126);
    limit(RLIMIT_CORE, 0, 0);
    limit(RLIMIT_NOFILE, limits->open_files, limits->open_files);
    if (limits->memory_bytes > 0 && !SANITIZED)
        limit(RLIMIT_DATA, limits->memory_bytes, RLIM_INFINITY);
    char *const argv[] = {"guts-migration", (char *)verb, NULL};
    execve("/proc/self/exe", argv, environment);
    _exit(127);
}

/* Nothing of the daemon's own reaches a worker but where tools are found; a sanitizer's options steer
 * the runtime of a build that tests use. */
static void choose_environment(char *ret_environment[ENVIRONMENT_MOST])
{
    static char *const sanitizers[] = {
        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "TSAN_OPTIONS="};
    size_t count = 0;
    ret_environment[count++] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    ret_environment[count++] = "LC_ALL=C.UTF-8";
    for (char **text = environ; SANITIZED && *text; text++) {
        for (size_t i = 0; i < COUNT_OF(sanitizers); i++) {
            if (strncmp(*text, sanitizers[i], strlen(sanitizers[i])) == 0 &&
                count < ENVIRONMENT_MOST - 1)
                ret_environment[count++] = *text;
        }
    }
#ifdef GUTS_CRASHPOINTS
    for (char **text = environ; *text; text++) {
        if (strncmp(*text, CRASHPOINT_ENVIRONMENT "=", strlen(CRASHPOINT_ENVIRONMENT "=")) == 0)
            ret_environment[count++] = *text;
    }
#endif
    ret_environment[count] = NULL;
}

/* dup2 onto a place that another of them holds would lose it: move all above the places first. */
static int lift(int fd)
{
    return fd > CHILD_LEASE_FD ? fcntl(fd, F_DUPFD_CLOEXEC, fd) : fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

static bool start(const char *verb, int theirs, int lease_fd, int stderr_fd,
                  const struct child_limits *limits, struct child *child, struct error *err)
{
    pid_t daemon = getpid();
    char *environment[ENVIRONMENT_MOST];
    choose_environment(environment);
    CLEANUP(fd_closep) int socket_high = lift(theirs);
    CLEANUP(fd_closep) int lease_high = lift(lease_fd);
    CLEANUP(fd_closep) int stderr_high = lift(stderr_fd);
    if (socket_high < 0 || lease_high < 0 || stderr_high < 0)
        return error_set_errno(err, errno, "preparing a worker");
    pid_t pid = fork();
    if (pid == 0)
        become_worker(verb, socket_high, lease_high, stderr_high, daemon, limits, environment);
    if (pid < 0)
        return error_set_errno(err, errno, "starting a worker");
    setpgid(pid, pid); /* both sides do it, so that it is done whoever comes first */
    child->pid_fd = pidfd_open_(pid);
    if (child->pid_fd < 0) {
        int number = errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return error_set_errno(err, number, "watching a worker");
    }
    child->pid = pid;
    return true;
}

/* -- its end -------------------------------------------------------------------------------------- */

/* Those that did not end in time. */
static pid_t stuck[STUCK_MOST];
static size_t stuck_count;

static void reap_stuck(void)
{
    for (size_t i = stuck_count; i-- > 0;)
        if (waitpid(stuck[i], NULL, WNOHANG) != 0)
            stuck[i] = stuck[--stuck_count];
}

static void forget(struct child *child)
{
    fd_closep(&child->pid_fd);
    fd_closep(&child->socket_fd);
    fd_closep(&child->stderr_fd);
    child->pid = 0;
}

bool child_start(const char *verb, int lease_fd, const struct child_limits *limits,
                 struct child *ret_child, struct error *err)
{
    int sockets[2], pipes[2];
    reap_stuck();
    if (!channel_pair(sockets, err))
        return false;
    CLEANUP(fd_closep) int ours = sockets[0];
    CLEANUP(fd_closep) int theirs = sockets[1];
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return error_set_errno(err, errno, "making a worker's pipe");
    CLEANUP(fd_closep) int read_end = pipes[0];
    CLEANUP(fd_closep) int write_end = pipes[1];
    fcntl(read_end, F_SETFL, O_NONBLOCK);
    struct child child = {0};
    if (!start(verb, theirs, lease_fd, write_end, limits, &child, err))
        return false;
    child.socket_fd = ours;
    child.stderr_fd = read_end;
    ours = read_end = -1;
    *ret_child = child;
    return true;
}

int child_reap(struct child *child)
{
    int status = 0;
    kill(-child->pid, SIGKILL); /* what it started goes with it */
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    forget(child);
    return status;
}

bool child_end(struct child *child)
{
    uint64_t until_ms = clock_mono_ms() + END_MS;
    pid_t ended;
    kill(-child->pid, SIGKILL); /* the whole group, at once */
    while ((ended = waitpid(child->pid, NULL, WNOHANG)) == 0 && clock_mono_ms() < until_ms)
        poll(NULL, 0, END_STEP_MS);
    if (ended == 0) {
        log_error("worker_stuck", "the worker %d does not end", (int)child->pid);
        if (stuck_count < STUCK_MOST)
            stuck[stuck_count++] = child->pid;
    }
    forget(child);
    return ended != 0;
}

void child_describe(int status, char ret_text[CHILD_STATUS_SIZE])
{
    if (WIFSIGNALED(status))
        snprintf(ret_text, CHILD_STATUS_SIZE, "signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(ret_text, CHILD_STATUS_SIZE, "exit status %d", WEXITSTATUS(status));
}

/* /proc files tell no size: read what comes. */
static bool read_proc(const char *path, char *text, size_t size)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    if (got <= 0)
        return false;
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return true;
}

static bool start_time(pid_t pid, uint64_t *ret_time)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (!read_proc(path, text, sizeof(text)))
        return false;
    char *at = strrchr(text, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return false;
    *ret_time = strtoull(at + 1, NULL, 10);
    return true;
}

bool child_hide_self(struct error *err)
{
    if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0) != 0)
        return error_set_errno(err, errno, "hiding the worker's memory");
    return true;
}

bool child_mark_self(struct child_mark *ret_mark, struct error *err)
{
    *ret_mark = (struct child_mark){.pid = getpid()};
    if (!start_time(getpid(), &ret_mark->start_time) ||
        !read_proc("/proc/sys/kernel/random/boot_id", ret_mark->boot_id, sizeof(ret_mark->boot_id)))
        return error_set(err, &FAULT_IO, "cannot read /proc");
    return true;
}

static bool mark_lives(const struct child_mark *mark)
{
    char boot_id[37];
    uint64_t time;
    return read_proc("/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id)) &&
           strcmp(boot_id, mark->boot_id) == 0 && start_time(mark->pid, &time) &&
           time == mark->start_time;
}

bool child_end_marked(const struct child_mark *mark, uint64_t timeout_ms, struct error *err)
{
    if (mark->pid <= 1)
        return true;
    CLEANUP(fd_closep) int fd = pidfd_open_(mark->pid);
    /* Compared after the descriptor is ours: from then on it means one process only. */
    if (fd < 0 || !mark_lives(mark))
        return true;
    kill(-mark->pid, SIGKILL);
    if (syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
        return error_set_errno(err, errno, "ending the worker %d", (int)mark->pid);
    struct pollfd end = {.fd = fd, .events = POLLIN};
    if (poll(&end, 1, (int)timeout_ms) != 1)
        return error_set(err, &FAULT_TIMEOUT, "the worker %d does not end", (int)mark->pid);
    return true;
}
