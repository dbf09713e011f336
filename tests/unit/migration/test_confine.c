/* SPDX-License-Identifier: Apache-2.0
 *
 * Each test confines a child, which does its deeds and tells the errno of each.
 */
#include "migration/confine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"

struct place {
    char top[64];
    char outside[96], read[96], write[96];
    int listener; /* on the loopback */
    struct sockaddr_in address;
};

static void put(const char *directory, const char *name)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("content", file);
    fclose(file);
}

static int set_up(void **state)
{
    struct place *place = xcalloc(1, sizeof(*place));
    strcpy(place->top, "/tmp/guts-confine-XXXXXX");
    assert_non_null(mkdtemp(place->top));
    char *const directories[] = {place->outside, place->read, place->write};
    static const char *const names[] = {"outside", "read", "write"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(directories[i], 96, "%s/%s", place->top, names[i]);
        assert_int_equal(mkdir(directories[i], 0700), 0);
        put(directories[i], "file");
    }
    socklen_t length = sizeof(place->address);
    place->address.sin_family = AF_INET;
    place->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    place->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(place->listener, (struct sockaddr *)&place->address, length), 0);
    assert_int_equal(listen(place->listener, 4), 0);
    assert_int_equal(getsockname(place->listener, (struct sockaddr *)&place->address, &length), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    struct error err;
    close(place->listener);
    assert_true(file_remove_tree(place->top, &err));
    free(place);
    return 0;
}

static struct confine *prepare(const struct place *place, unsigned flags)
{
    struct confine *confine = NULL;
    struct error err = {0};
    if (!confine_new(flags, &confine, &err))
        fail_msg("%s", err.text);
    confine_system(confine);
    confine_path(confine, place->read, CONFINE_READ);
    confine_path(confine, place->write, CONFINE_READ | CONFINE_WRITE);
    confine_path(confine, "/nowhere/at/all", CONFINE_READ);
    return confine;
}

/* What the deed gives in a confined child: 0, or its errno. */
static int confined(const struct place *place, unsigned flags, int (*deed)(const struct place *))
{
    struct confine *confine = prepare(place, flags);
    pid_t child = fork();
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || confine_enter(confine) != 0)
            _exit(255);
        _exit(deed(place));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    confine_free(confine);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 255);
    return WEXITSTATUS(status);
}

static int result(long value)
{
    return value < 0 ? errno : 0;
}

static int open_in(const char *directory, const char *name, int flags)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return result(open(path, flags | O_CLOEXEC, 0600));
}

static int read_outside(const struct place *place)
{
    return open_in(place->outside, "file", O_RDONLY);
}

static int read_shadow(const struct place *place)
{
    return open_in("/etc", "shadow", O_RDONLY);
}

static int write_where_only_reading_is(const struct place *place)
{
    return open_in(place->read, "file", O_WRONLY);
}

static int make_where_only_reading_is(const struct place *place)
{
    return open_in(place->read, "new", O_WRONLY | O_CREAT);
}

static int work_as_usual(const struct place *place)
{
    char from[160], to[160];
    snprintf(from, sizeof(from), "%s/new", place->write);
    snprintf(to, sizeof(to), "%s/sub/renamed", place->write);
    int wrong = open_in(place->read, "file", O_RDONLY);
    wrong = wrong ? wrong : open_in(place->write, "new", O_RDWR | O_CREAT | O_TRUNC);
    wrong = wrong ? wrong : open_in(place->write, "file", O_RDWR | O_TRUNC);
    char sub[160];
    snprintf(sub, sizeof(sub), "%s/sub", place->write);
    wrong = wrong ? wrong : result(mkdir(sub, 0700));
    wrong = wrong ? wrong : result(rename(from, to)); /* into another directory */
    wrong = wrong ? wrong : result(unlink(to));
    wrong = wrong ? wrong : open_in("/dev", "null", O_RDWR);
    wrong = wrong ? wrong : open_in("/proc/self", "status", O_RDONLY);
    return wrong ? wrong : open_in("/etc/ssl", "openssl.cnf", O_RDONLY);
}

static void files_open_where_they_may_and_nowhere_else(void **state)
{
    struct place *place = *state;
    assert_int_equal(confined(place, 0, work_as_usual), 0);
    assert_int_equal(confined(place, 0, read_outside), EACCES);
    assert_int_equal(confined(place, 0, read_shadow), EACCES);
    assert_int_equal(confined(place, 0, write_where_only_reading_is), EACCES);
    assert_int_equal(confined(place, 0, make_where_only_reading_is), EACCES);
}

static int run_shell(const struct place *place)
{
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    return errno;
}

static void programs_run_only_when_they_are_named(void **state)
{
    struct place *place = *state;
    assert_int_equal(confined(place, 0, run_shell), EACCES);
    struct confine *confine = prepare(place, 0);
    confine_tool(confine, "/bin/sh");
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        _exit(confine_enter(confine) != 0 ? 255 : run_shell(place));
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    confine_free(confine);
}

static int connect_loopback(const struct place *place)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno
                  : result(connect(fd, (const struct sockaddr *)&place->address,
                                   sizeof(place->address)));
}

static int listen_loopback(const struct place *place)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : result(bind(fd, (struct sockaddr *)&any, sizeof(any)));
}

static int open_netlink(const struct place *place)
{
    return result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int open_packets(const struct place *place)
{
    return result(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int talk_inside(const struct place *place)
{
    int pair[2];
    return result(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
}

static void the_network_is_there_when_it_is_needed_and_only_then(void **state)
{
    struct place *place = *state;
    assert_int_equal(confined(place, 0, connect_loopback), EACCES);
    assert_int_equal(confined(place, 0, open_netlink), EACCES);
    assert_int_equal(confined(place, 0, talk_inside), 0);
    assert_int_equal(confined(place, CONFINE_NETWORK, connect_loopback), 0);
    assert_int_equal(confined(place, CONFINE_NETWORK, open_netlink), 0);
    assert_int_equal(confined(place, CONFINE_NETWORK, open_packets), EACCES);
}

static void nobody_listens(void **state)
{
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 4)
        skip(); /* the network's ports are Landlock's since Linux 6.7 */
    assert_int_equal(confined(*state, CONFINE_NETWORK, listen_loopback), EACCES);
}

static int mount_something(const struct place *place)
{
    return result(mount("none", place->write, "tmpfs", 0, NULL));
}

static int leave_namespaces(const struct place *place)
{
    return result(unshare(CLONE_NEWUSER));
}

static int clone_namespaces(const struct place *place)
{
    long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        _exit(0);
    return result(child);
}

static int open_by_handle(const struct place *place)
{
    struct {
        unsigned bytes;
        int type;
        unsigned char data[8];
    } handle = {8, 1, {2}};
    return result(syscall(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY));
}

static int load_program(const struct place *place)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int add_key(const struct place *place)
{
    return result(syscall(SYS_add_key, "user", "a", "b", 1, -3));
}

static void calls_that_open_cages_are_refused(void **state)
{
    static int (*const deeds[])(const struct place *) = {
        mount_something, leave_namespaces, clone_namespaces, open_by_handle, load_program, add_key};
    for (size_t i = 0; i < COUNT_OF(deeds); i++)
        assert_int_equal(confined(*state, 0, deeds[i]), EPERM);
}

static int signal_parent(const struct place *place)
{
    return result(kill(getppid(), 0));
}

static void nobody_outside_is_signalled(void **state)
{
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 6)
        skip(); /* signals are Landlock's since Linux 6.12 */
    assert_int_equal(confined(*state, 0, signal_parent), EPERM);
}

static int fork_once(const struct place *place)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return result(child);
}

static void *nothing(void *context)
{
    return context;
}

static int start_thread(const struct place *place)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, nothing, NULL);
    return failed ? failed : pthread_join(thread, NULL);
}

static void tools_have_threads_and_no_children(void **state)
{
    struct place *place = *state;
    assert_int_equal(confined(place, CONFINE_NO_CHILDREN, fork_once), EPERM);
    assert_int_equal(confined(place, CONFINE_NO_CHILDREN, start_thread), 0);
    assert_int_equal(confined(place, 0, fork_once), 0);
    assert_int_equal(confined(place, 0, start_thread), 0);
}

static int make_socket(const struct place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/sock", place->outside);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return result(bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

static void a_directory_for_sockets_is_for_nothing_else(void **state)
{
    struct place *place = *state;
    assert_int_equal(confined(place, 0, make_socket), EACCES);
    struct confine *confine = prepare(place, 0);
    confine_path(confine, place->outside, CONFINE_SOCKETS);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (confine_enter(confine) != 0 || make_socket(place) != 0)
            _exit(1);
        _exit(read_outside(place) == EACCES ? 0 : 2);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    confine_free(confine);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    char kinds[CONFINE_KINDS_SIZE];
    const struct CMUnitTest tests[] = {
        TEST(files_open_where_they_may_and_nowhere_else),
        TEST(programs_run_only_when_they_are_named),
        TEST(the_network_is_there_when_it_is_needed_and_only_then),
        TEST(nobody_listens),
        TEST(calls_that_open_cages_are_refused),
        TEST(nobody_outside_is_signalled),
        TEST(tools_have_threads_and_no_children),
        TEST(a_directory_for_sockets_is_for_nothing_else),
    };
    if (!confine_kinds(kinds)) {
        fprintf(stderr, "skipped: this kernel has %s\n", kinds);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
