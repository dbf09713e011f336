/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks each daemon whether it understands its configuration: only the daemon itself knows.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "manage/manage.h"

#define STANDARD_DIRECTORY "/etc/guts"
#define PATIENCE_MS 30000
#define NOT_STARTED 127

enum { CONFIG_DIR };
extern char **environ;

/* Beside our own binary, or NULL: then PATH decides. */
static const char *binary_beside_us(struct arena *arena, const char *daemon)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length <= 0)
        return NULL;
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    if (slash == NULL)
        return NULL;
    *slash = '\0';
    const char *path = arena_printf(arena, "%s/%s", self, daemon);
    return access(path, X_OK) == 0 ? path : NULL;
}

/* The exit status; NOT_STARTED when there is none. */
static int wait_bounded(pid_t child)
{
    uint64_t until = clock_mono_ms() + PATIENCE_MS;
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0 && clock_mono_ms() < until)
        clock_sleep_ms(10);
    if (ended == 0) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : NOT_STARTED;
}

static int run_daemon(struct arena *arena, const char *daemon, const char *config)
{
    const char *beside = binary_beside_us(arena, daemon);
    char *const argv[] = {(char *)daemon, (char *)"--config", (char *)config,
                          (char *)"--check-config", NULL};
    pid_t child;
    fflush(stdout); /* its lines come behind ours */
    int failed = beside != NULL ? posix_spawn(&child, beside, NULL, NULL, argv, environ)
                                : posix_spawnp(&child, daemon, NULL, NULL, argv, environ);
    if (failed != 0) {
        fprintf(stderr, "%s: cannot be started: %s\n", daemon, strerror(failed));
        return NOT_STARTED;
    }
    return wait_bounded(child);
}

/* One of a daemon that this host does not run is absent, which is fine. */
static bool check_daemon(struct arena *arena, const char *daemon, const char *directory,
                         size_t *checked)
{
    const char *config = arena_printf(arena, "%s/%s.conf", directory, daemon);
    if (access(config, F_OK) != 0) {
        printf("%s: no \"%s\" here, not checked\n", daemon, config);
        return true;
    }
    int status = run_daemon(arena, daemon, config);
    (*checked)++;
    if (status == 0)
        printf("%s: \"%s\" is fine\n", daemon, config);
    else if (status == NOT_STARTED)
        printf("%s: \"%s\" could not be checked: the program gave no answer\n", daemon, config);
    else
        printf("%s: \"%s\" is WRONG (status %d)\n", daemon, config, status);
    return status == 0;
}

static bool check_ours(struct arena *arena, const char *directory, size_t *checked)
{
    struct manage manage = {arena_printf(arena, "%s/guts-manage.conf", directory)};
    struct error err = {0};
    if (access(manage.config, F_OK) != 0) {
        printf("guts-manage: no \"%s\" here, not checked\n", manage.config);
        return true;
    }
    (*checked)++;
    if (manage_config(&manage, &err)) {
        printf("guts-manage: \"%s\" is fine\n", manage.config);
        return true;
    }
    printf("guts-manage: \"%s\" is WRONG\n%s\n", manage.config, err.text);
    return false;
}

static int run(const struct manage *manage, const struct manage_command *command, int argc,
               char **argv)
{
    static const char *const daemons[] = {"guts-api", "guts-scheduler", "guts-migration"};
    static const struct option options[] = {
        {"config-dir", required_argument, NULL, CONFIG_DIR}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *values[MANAGE_OPTIONS_MOST] = {[CONFIG_DIR] = STANDARD_DIRECTORY};
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    size_t checked = 0;
    int status;
    if (!manage_options(command, argc, argv, options, values, &status))
        return status;
    if (optind != argc)
        return manage_usage(command, "\"%s\" is not expected", argv[optind]);
    bool fine = check_ours(arena, values[CONFIG_DIR], &checked);
    for (size_t i = 0; i < COUNT_OF(daemons); i++)
        fine = check_daemon(arena, daemons[i], values[CONFIG_DIR], &checked) && fine;
    if (checked == 0)
        fprintf(stderr, "guts-manage: nothing to check in \"%s\"\n", values[CONFIG_DIR]);
    return fine && checked > 0 ? MANAGE_DONE : MANAGE_CONFIG_WRONG;
}

const struct manage_command manage_config_check = {
    .name = "config-check",
    .summary = "asks each daemon of this host whether its configuration is right",
    .help = "usage: guts-manage config-check [--config-dir DIRECTORY]\n\n"
            "  --config-dir DIRECTORY  default: " STANDARD_DIRECTORY "\n\n"
            "Runs the --check-config of each daemon that has a file there. Status 3 when one is\n"
            "wrong, or when there is none.\n",
    .run = run,
};
