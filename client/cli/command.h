/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of `guts`: one table row each, from which the help, the completion and the manual page
 * are made. "source create" and "source-create" are the same command.
 *
 * Threads: constant tables; the process has one thread.
 */
#ifndef GUTS_CLIENT_CLI_COMMAND_H
#define GUTS_CLIENT_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/lib/guts.h"

/* Exit codes: scripts rely on them. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1, /* the API, or what was asked, said no */
    EXIT_USAGE = 2,
    EXIT_UNREACHABLE = 3, /* no API, or it is not ready */
    EXIT_NOT_FOUND = 4,
    EXIT_DENIED = 5,     /* no token, a wrong one, or a role that may not */
    EXIT_UNFINISHED = 6, /* a migration that was waited for ended otherwise than asked */
    EXIT_TIMED_OUT = 7,
    EXIT_INTERRUPTED = 130,
};

/* An option of a command: "--driver DRIVER". */
struct option_row {
    const char *name;  /* "--driver" */
    const char *value; /* "DRIVER", or NULL for a flag */
    const char *help;
    const char *complete; /* how the shell completes the value: "sources", "file", "a|b|c", NULL */
};

struct option_value {
    const struct option_row *row;
    const char *value;
};
struct arguments {
    const char **operands;
    size_t operand_count;
    struct option_value *options;
    size_t option_count;
};
const char *arguments_get(const struct arguments *arguments,
                          const char *name); /* the last, or NULL */
bool arguments_has(const struct arguments *arguments, const char *name);
size_t arguments_count(const struct arguments *arguments, const char *name);
const char *arguments_nth(const struct arguments *arguments, const char *name, size_t index);

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_CSV, OUTPUT_VALUE };
#define OUTPUT_COLUMNS_MOST 32
struct output {
    enum output_format format;
    const char *columns[OUTPUT_COLUMNS_MOST]; /* as asked by -c; 0: the command's own choice */
    size_t column_count;
    const char *sort_column; /* NULL: as the API gave them */
    bool descending;
};

/* What a command has in hand. */
struct session {
    struct guts *guts;
    struct output output;
    uint64_t wait_ms; /* of --timeout; 0: no limit */
};

struct command {
    const char *name;     /* "source create" */
    const char *operands; /* "NAME", "VM [VM ...]", "" */
    size_t operand_least, operand_most;
    const char *summary;
    const struct option_row *options;
    size_t option_count;
    const char *complete; /* how the shell completes operands */
    int (*run)(struct session *session, const struct arguments *arguments);
    bool offline; /* needs no API */
};

/* The tables, one a file of commands. */
struct command_group {
    const char *title;
    const struct command *commands;
    size_t count;
};
extern const struct command_group source_commands, destination_commands, driver_commands,
    vm_commands, migrate_commands, migration_commands, event_commands, node_commands,
    service_commands, wish_commands, gc_commands, shell_commands;
extern const struct command_group *const command_groups[];
extern const size_t command_group_count;

/* Options that every command takes. */
extern const struct option_row common_options[];
extern const size_t common_option_count;

/* The command that the first words name; *ret_words tells how many they were. NULL: none. */
const struct command *command_find(char *const *words, size_t count, size_t *ret_words);
/* The command that was perhaps meant by words that name none: some letters off, or its two words in the
 * other order. NULL: nothing is near. */
const struct command *command_nearest(char *const *words, size_t count);
void command_help(const struct command *command);
/* All commands whose names begin with the words of `prefix` ("" for all). Returns how many. */
size_t command_list_help(const char *prefix);

/* Set by SIGINT. */
extern volatile int interrupted;

#endif
