/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: one libconfig file a daemon, read once at its start into plain structs. Each room
 * that has settings publishes a table of its keys; a daemon's main joins the tables to sections.
 * A key that no table names is an error, so a typing mistake never passes; all errors of a file are
 * told at once. Durations and sizes may be written with units ("10s", "5m", "200ms", "64MiB").
 *
 * Threads: single-threaded start only. The strings in a settings struct belong to the struct conf.
 */
#ifndef GUTS_COMMON_CONF_CONF_H
#define GUTS_COMMON_CONF_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

enum conf_type {
    CONF_STRING,      /* const char *; "" when absent and not required */
    CONF_SECRET_FILE, /* struct secret *, read from the file that the key names; NULL when absent */
    CONF_INTEGER,     /* int64_t */
    CONF_SIZE,        /* uint64_t, bytes */
    CONF_DURATION,    /* uint64_t, milliseconds */
    CONF_BOOL,        /* bool */
    CONF_STRINGS,     /* struct conf_strings */
};

struct conf_strings {
    const char **items;
    size_t count;
};

struct conf_key {
    const char *name; /* within its section: "host" */
    enum conf_type type;
    size_t offset; /* offsetof() in the section's settings struct */
    bool required;
    const char
        *standard;       /* the default, written as in a file ("10s", "true", "[\"a\"]"); or NULL */
    int64_t least, most; /* of a number, a text's length, a list's items; both 0: any */
    const char *help;    /* one line: `--help-config` prints the tables as an example file */
};

/* A section "name { … }" of the file, or the file's top level when name is "". */
struct conf_section {
    const char *name;
    const struct conf_key *keys;
    size_t key_count;
    void *settings;
};

struct conf;
/* FAULT_CONFIG with the file, the line and all that is wrong. A path of NULL gives all defaults. */
bool conf_load(const char *path, const struct conf_section *sections, size_t section_count,
               struct conf **ret_conf, struct error *err) MUST_CHECK;
void conf_free(struct conf *conf);
/* Writes the sections as a commented example file with each key's default. */
void conf_print_example(const struct conf_section *sections, size_t section_count);

#endif
