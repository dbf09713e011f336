/* SPDX-License-Identifier: Apache-2.0
 *
 * What every daemon does at its start and its end: options (--config, --check-config, --help,
 * --version, --help-config), the log, signals, readiness for systemd (sd_notify), a watch on the
 * whole process. Knows nothing of what the daemon is for.
 *
 * Threads: daemon_begin runs before any thread is made: SIGTERM, SIGINT and SIGHUP are then blocked
 * in all threads and read from a descriptor.
 */
#ifndef GUTS_COMMON_DAEMON_DAEMON_H
#define GUTS_COMMON_DAEMON_DAEMON_H

#include <stdbool.h>

#include "common/base/error.h"
#include "common/conf/conf.h"

struct daemon_plan {
    const char *name;            /* "guts-scheduler" */
    const char *purpose;         /* one line for --help */
    const char *standard_config; /* "/etc/guts/guts-scheduler.conf" */
    const struct conf_section *sections;
    size_t section_count;
    /* Rules between settings (lease < takeover …); may be NULL. */
    bool (*check)(struct error *err);
};

struct log_settings {
    const char *level;
};
extern const struct conf_key log_conf_keys[];
extern const size_t log_conf_key_count;

struct daemon;
/* Parses argv and loads the configuration. Returns NULL when the process should end now (help was
 * printed, the configuration was checked or is wrong) with its status in ret_status: 0 fine,
 * 2 usage, 3 configuration. */
struct daemon *daemon_begin(const struct daemon_plan *plan, int argc, char **argv, int *ret_status);
void daemon_end(struct daemon *daemon);

/* A descriptor that becomes readable when a signal came; then daemon_stop_asked tells whether the
 * daemon should end. It stays true once it is. */
int daemon_signal_fd(const struct daemon *daemon);
bool daemon_stop_asked(struct daemon *daemon);
void daemon_ready(const char *status); /* sd_notify READY=1; nothing without NOTIFY_SOCKET */
void daemon_status(const char *status);

#endif
