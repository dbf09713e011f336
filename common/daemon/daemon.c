/* SPDX-License-Identifier: Apache-2.0 */
#include "common/daemon/daemon.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/base/crashpoint.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/daemon/notify.h"

enum { STATUS_FINE = 0, STATUS_USAGE = 2, STATUS_CONFIG = 3 };

const struct conf_key log_conf_keys[] = {
    {"level", CONF_STRING, offsetof(struct log_settings, level), false, "info", 1, 16,
     "least level of the lines that are written: debug, info, warn or error"},
};
const size_t log_conf_key_count = COUNT_OF(log_conf_keys);

struct daemon {
    const char *name;
    struct conf *conf;
    int signal_fd;
    bool stop_asked;
};

struct options {
    const char *config;
    bool check_config;
};

/* -- options ------------------------------------------------------------------------------------ */

static void print_help(const struct daemon_plan *plan)
{
    printf("%s: %s\n\n"
           "usage: %s [--config FILE] [--check-config]\n\n"
           "  -c, --config FILE  read FILE instead of %s\n"
           "  --check-config     tell what is wrong with the configuration, and end\n"
           "  --help-config      print a configuration with all keys and defaults, and end\n"
           "  --version          print the version, and end\n"
           "  -h, --help         print this, and end\n",
           plan->name, plan->purpose, plan->name, plan->standard_config);
}

/* False: the process should end now, with ret_status. */
static bool options_parse(const struct daemon_plan *plan, int argc, char **argv,
                          struct options *options, int *ret_status)
{
    enum { CHECK_CONFIG = 256, HELP_CONFIG, VERSION };
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", no_argument, NULL, CHECK_CONFIG},
        {"help-config", no_argument, NULL, HELP_CONFIG},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    *options = (struct options){plan->standard_config, false};
    *ret_status = STATUS_FINE;
    optind = 0; /* glibc: begin anew */
    for (;;) {
        switch (getopt_long(argc, argv, "c:h", known, NULL)) {
        case 'c':
            options->config = optarg;
            break;
        case CHECK_CONFIG:
            options->check_config = true;
            break;
        case HELP_CONFIG:
            conf_print_example(plan->sections, plan->section_count);
            return false;
        case VERSION:
            printf("%s %s\n", plan->name, GUTS_VERSION);
            return false;
        case 'h':
            print_help(plan);
            return false;
        case -1:
            if (optind == argc)
                return true;
            fprintf(stderr, "%s: \"%s\" is not expected (see --help)\n", plan->name, argv[optind]);
            *ret_status = STATUS_USAGE;
            return false;
        default:
            *ret_status = STATUS_USAGE;
            return false;
        }
    }
}

/* -- configuration ------------------------------------------------------------------------------ */

/* The level from the section that holds our own keys; info where a daemon has none. */
static bool log_level_find(const struct daemon_plan *plan, enum log_level *ret_level,
                           struct error *err)
{
    *ret_level = LOG_INFO_LEVEL;
    for (size_t i = 0; i < plan->section_count; i++) {
        if (plan->sections[i].keys != log_conf_keys)
            continue;
        const struct log_settings *settings = plan->sections[i].settings;
        if (!log_level_parse(settings->level, ret_level))
            return error_set(err, &FAULT_CONFIG, "%s.level must be debug, info, warn or error",
                             plan->sections[i].name);
    }
    return true;
}

static bool configure(const struct daemon_plan *plan, const char *path, struct conf **ret_conf,
                      struct error *err)
{
    enum log_level level;
    struct conf *conf = NULL;
    if (!conf_load(path, plan->sections, plan->section_count, &conf, err))
        return false;
    if (!log_level_find(plan, &level, err) || (plan->check != NULL && !plan->check(err))) {
        conf_free(conf);
        return error_prefix(err, "\"%s\"", path);
    }
    log_open(plan->name, level);
    *ret_conf = conf;
    return true;
}

/* -- the process -------------------------------------------------------------------------------- */

/* Before the configuration is read: secrets must not land in a core file. */
static void refuse_core_files(void)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        log_warn("core_limit", "core files could not be switched off: %s", strerror(errno));
}

static int signals_open(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN); /* a peer that hangs up is an error of the write */
    sigprocmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct daemon *daemon_begin(const struct daemon_plan *plan, int argc, char **argv, int *ret_status)
{
    struct options options;
    struct error err;
    struct conf *conf = NULL;
    if (!options_parse(plan, argc, argv, &options, ret_status))
        return NULL;
    refuse_core_files();
    if (!configure(plan, options.config, &conf, &err)) {
        fprintf(stderr, "%s: %s\n", plan->name, err.text);
        *ret_status = STATUS_CONFIG;
        return NULL;
    }
    if (options.check_config) {
        printf("%s: \"%s\" is fine\n", plan->name, options.config);
        conf_free(conf);
        return NULL;
    }
    struct daemon *daemon = xcalloc(1, sizeof(*daemon));
    *daemon = (struct daemon){plan->name, conf, signals_open(), false};
    if (daemon->signal_fd < 0) {
        fprintf(stderr, "%s: signals cannot be read: %s\n", plan->name, strerror(errno));
        *ret_status = STATUS_CONFIG;
        daemon_end(daemon);
        return NULL;
    }
    crashpoint_open(plan->name);
    log_info("daemon_started", "%s %s with \"%s\"", plan->name, GUTS_VERSION, options.config);
    return daemon;
}

void daemon_end(struct daemon *daemon)
{
    if (daemon == NULL)
        return;
    if (daemon->signal_fd >= 0)
        log_info("daemon_ended", "%s ended", daemon->name);
    fd_closep(&daemon->signal_fd);
    conf_free(daemon->conf);
    free(daemon);
}

int daemon_signal_fd(const struct daemon *daemon)
{
    return daemon->signal_fd;
}

static void take_signal(struct daemon *daemon, const struct signalfd_siginfo *info)
{
    if (info->ssi_signo == SIGHUP) {
        log_info("signal", "SIGHUP: the configuration is read at the start only");
        return;
    }
    log_info("signal", "%s from process %u: ending",
             info->ssi_signo == SIGINT ? "SIGINT" : "SIGTERM", info->ssi_pid);
    if (!daemon->stop_asked)
        notify_send("STOPPING=1", NULL);
    daemon->stop_asked = true;
}

bool daemon_stop_asked(struct daemon *daemon)
{
    struct signalfd_siginfo info;
    while (read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info))
        take_signal(daemon, &info);
    return daemon->stop_asked;
}

void daemon_ready(const char *status)
{
    notify_send("READY=1", status);
}

void daemon_status(const char *status)
{
    notify_send(NULL, status);
}
