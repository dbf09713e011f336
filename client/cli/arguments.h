/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a command's words: options anywhere, "--name=value" or "--name value", "--" ends options.
 * Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_ARGUMENTS_H
#define GUTS_CLIENT_CLI_ARGUMENTS_H

#include "client/cli/command.h"

/* Splits words into operands and options of the command and the common ones. Complains on stderr and
 * returns false when they do not fit. `command` NULL: only common options and operands. */
bool arguments_parse(const struct command *command, char *const *words, size_t count,
                     struct arguments *ret_arguments);
void arguments_fini(struct arguments *arguments);
/* A number that an option gives, *ret_number untouched without it; complains and returns false when it
 * is none or below `least`. */
bool arguments_number(const struct arguments *arguments, const char *name, uint64_t least,
                      uint64_t *ret_number);
/* "90", "90s", "5m", "2h" in milliseconds. */
bool arguments_duration(const char *text, uint64_t *ret_ms);

#endif
