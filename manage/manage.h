/* SPDX-License-Identifier: Apache-2.0
 *
 * guts-manage: what an administrator does to an installation by hand. One command, one file; a
 * command parses its own options, prints its result on standard output and what went wrong on
 * standard error.
 *
 * Exit status: 0 done; 1 refused or failed; 2 wrong usage; 3 the configuration is wrong; 4 the
 * database cannot be reached at present.
 *
 * Threads: one.
 */
#ifndef GUTS_MANAGE_MANAGE_H
#define GUTS_MANAGE_MANAGE_H

#include <getopt.h>

#include "common/base/error.h"
#include "common/store/store.h"

#define MANAGE_CONFIG "/etc/guts/guts-manage.conf"

enum manage_status {
    MANAGE_DONE = 0,
    MANAGE_FAILED = 1,
    MANAGE_USAGE = 2,
    MANAGE_CONFIG_WRONG = 3,
    MANAGE_UNAVAILABLE = 4,
};

struct manage {
    const char *config; /* path of our own configuration */
};

struct manage_command {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* "usage: …" and its options */
    int (*run)(const struct manage *manage, const struct manage_command *command, int argc,
               char **argv);
};
extern const struct manage_command manage_db_sync;
extern const struct manage_command manage_keygen;
extern const struct manage_command manage_token_create;
extern const struct manage_command manage_token_list;
extern const struct manage_command manage_token_revoke;
extern const struct manage_command manage_config_check;
extern const struct manage_command manage_keystone_setup;

/* ---- main.c: for the commands ---- */

/* Reads the options of a command: each long option's `val` is an index into ret_values ('h' prints
 * the help). Returns true to go on; else the process ends with ret_status. */
#define MANAGE_OPTIONS_MOST 12
bool manage_options(const struct manage_command *command, int argc, char **argv,
                    const struct option *options, const char *ret_values[MANAGE_OPTIONS_MOST],
                    int *ret_status);
/* Says on standard error what is wrong with the call. Returns MANAGE_USAGE. */
int manage_usage(const struct manage_command *command, const char *format, ...) PRINTF_LIKE(2, 3);
/* Prints the error and its hint; returns the status that belongs to it. */
int manage_fail(const struct error *err);
/* A store from our configuration, which is kept until the process ends. */
bool manage_store(const struct manage *manage, struct store **ret_store,
                  struct error *err) MUST_CHECK;
/* Whether our configuration can be read. */
bool manage_config(const struct manage *manage, struct error *err) MUST_CHECK;

#endif
