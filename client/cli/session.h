/* SPDX-License-Identifier: Apache-2.0
 *
 * Running one command: its words, the environment, how it shows things, the session with the API.
 * Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_SESSION_H
#define GUTS_CLIENT_CLI_SESSION_H

#include "client/cli/command.h"

/* `words` are those behind the command's name. Returns the exit code. */
int session_run(const struct command *command, char *const *words, size_t count);

#endif
