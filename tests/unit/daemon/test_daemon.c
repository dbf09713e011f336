/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "tests/unit/check.h"

static struct log_settings log_settings;
static struct node_settings {
    uint64_t lease;
    uint64_t takeover;
} node;
static const struct conf_key node_keys[] = {
    {"lease", CONF_DURATION, offsetof(struct node_settings, lease), false, "10s", 0, 0, "Lease"},
    {"takeover", CONF_DURATION, offsetof(struct node_settings, takeover), false, "30s", 0, 0,
     "Takeover"},
};
static const struct conf_section sections[] = {
    {"log", log_conf_keys, 1, &log_settings},
    {"node", node_keys, COUNT_OF(node_keys), &node},
};

static bool check(struct error *err)
{
    return node.takeover > node.lease ||
           error_set(err, &FAULT_CONFIG, "node.takeover must exceed node.lease");
}

static char directory[] = "/tmp/guts-test-daemon-XXXXXX";
static char path[128];
static char output_path[128];
static char output[8192];
static struct daemon_plan plan = {"guts-test", "tests", path, sections, COUNT_OF(sections), check};

/* Runs daemon_begin in a child, as it changes the process; `inside` says what to look at there.
 * Returns the child's status; what it wrote stands in `output`. */
static int run(const char *const *options, int (*inside)(struct daemon *daemon))
{
    char *argv[8] = {(char *)"guts-test"};
    int argc = 1;
    for (; options[argc - 1] != NULL; argc++)
        argv[argc] = (char *)options[argc - 1];
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int status = 99;
        int file = open(output_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(file, STDOUT_FILENO);
        dup2(file, STDERR_FILENO);
        struct daemon *daemon = daemon_begin(&plan, argc, argv, &status);
        if (daemon != NULL)
            status = inside != NULL ? inside(daemon) : 98;
        daemon_end(daemon);
        fflush(stdout);
        _exit(status);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    struct error err;
    struct buffer content = {0};
    assert_true(file_read(output_path, sizeof(output) - 1, &content, &err));
    memcpy(output, content.data, content.length + 1);
    buffer_fini(&content);
    return WEXITSTATUS(status);
}
#define RUN(inside, ...) run((const char *const[]){__VA_ARGS__, NULL}, inside)

static void configure(const char *text)
{
    struct error err;
    assert_true(file_replace(path, 0600, text, strlen(text), &err));
}

static void help_and_version_are_printed(void **state)
{
    assert_int_equal(RUN(NULL, "--help"), 0);
    assert_non_null(strstr(output, "--check-config"));
    assert_non_null(strstr(output, path));
    assert_int_equal(RUN(NULL, "--version"), 0);
    assert_string_equal(output, "guts-test " GUTS_VERSION "\n");
    assert_int_equal(RUN(NULL, "--help-config"), 0);
    assert_non_null(strstr(output, "lease = \"10s\";"));
}

static void wrong_options_end_with_two(void **state)
{
    assert_int_equal(RUN(NULL, "--nonsense"), 2);
    assert_int_equal(RUN(NULL, "--config"), 2);
    assert_int_equal(RUN(NULL, "stray"), 2);
    assert_non_null(strstr(output, "\"stray\" is not expected"));
}

static void a_configuration_can_be_checked(void **state)
{
    configure("log = { level = \"debug\"; };");
    assert_int_equal(RUN(NULL, "--check-config"), 0);
    assert_non_null(strstr(output, "is fine"));
    assert_int_equal(RUN(NULL, "--config", "/nowhere/at.all"), 3);
    assert_non_null(strstr(output, "No such file"));
    configure("log = { level = \"loud\"; };");
    assert_int_equal(RUN(NULL, "--check-config"), 3);
    assert_non_null(strstr(output, "log.level must be"));
    configure("nod = { };");
    assert_int_equal(RUN(NULL, "--check-config"), 3);
    assert_non_null(strstr(output, "nod is not known"));
}

static void rules_between_settings_are_checked(void **state)
{
    configure("node = { lease = \"40s\"; };");
    assert_int_equal(RUN(NULL, "--check-config"), 3);
    assert_non_null(strstr(output, "node.takeover must exceed node.lease"));
}

static int look_at_process(struct daemon *daemon)
{
    struct rlimit limit;
    sigset_t blocked;
    if (getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur != 0 || limit.rlim_max != 0)
        return 10;
    if (sigprocmask(SIG_BLOCK, NULL, &blocked) != 0 || !sigismember(&blocked, SIGTERM))
        return 11;
    return daemon_stop_asked(daemon) ? 12 : 0;
}

static void a_daemon_leaves_no_core_files_and_blocks_its_signals(void **state)
{
    configure("");
    assert_int_equal(RUN(look_at_process, "--config", path), 0);
    assert_non_null(strstr(output, "\"event\":\"daemon_started\""));
    assert_non_null(strstr(output, "\"event\":\"daemon_ended\""));
}

static bool readable(struct daemon *daemon)
{
    struct pollfd poll_fd = {daemon_signal_fd(daemon), POLLIN, 0};
    return poll(&poll_fd, 1, 0) == 1;
}

static int take_signals(struct daemon *daemon)
{
    if (readable(daemon))
        return 10;
    kill(getpid(), SIGHUP);
    if (!readable(daemon) || daemon_stop_asked(daemon) || readable(daemon))
        return 11;
    kill(getpid(), SIGTERM);
    if (!readable(daemon) || !daemon_stop_asked(daemon) || readable(daemon))
        return 12;
    return daemon_stop_asked(daemon) ? 0 : 13;
}

static void a_term_signal_asks_to_stop_and_a_hangup_does_not(void **state)
{
    configure("");
    assert_int_equal(RUN(take_signals, "-c", path), 0);
}

static int notify_socket = -1;

static int tell_systemd(struct daemon *daemon)
{
    daemon_ready("serving\nREADY=0");
    daemon_status("busy");
    kill(getpid(), SIGINT);
    return daemon_stop_asked(daemon) ? 0 : 10;
}

static void assert_datagram(const char *expected)
{
    char data[256] = "";
    ssize_t length = recv(notify_socket, data, sizeof(data) - 1, MSG_DONTWAIT);
    assert_int_equal(length, strlen(expected));
    assert_string_equal(data, expected);
}

static void systemd_hears_of_readiness_and_end(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", directory);
    notify_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(notify_socket, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    configure("");
    assert_int_equal(RUN(tell_systemd, "-c", path), 0);
    unsetenv("NOTIFY_SOCKET");
    assert_datagram("READY=1\nSTATUS=serving READY=0");
    assert_datagram("STATUS=busy");
    assert_datagram("STOPPING=1");
    close(notify_socket);
}

static int make_place(void **state)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(path, sizeof(path), "%s/x.conf", directory);
    snprintf(output_path, sizeof(output_path), "%s/output", directory);
    return 0;
}

static int remove_place(void **state)
{
    struct error err;
    return !file_remove_tree(directory, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version_are_printed),
        cmocka_unit_test(wrong_options_end_with_two),
        cmocka_unit_test(a_configuration_can_be_checked),
        cmocka_unit_test(rules_between_settings_are_checked),
        cmocka_unit_test(a_daemon_leaves_no_core_files_and_blocks_its_signals),
        cmocka_unit_test(a_term_signal_asks_to_stop_and_a_hangup_does_not),
        cmocka_unit_test(systemd_hears_of_readiness_and_end),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
