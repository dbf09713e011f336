/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking on the terminal without an echo. Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_PROMPT_H
#define GUTS_CLIENT_CLI_PROMPT_H

#include "common/base/secret.h"

/* Reads one line: from the terminal without echo, or from standard input where that is none. */
bool prompt_secret(const char *name, struct secret **ret_secret, struct error *err) MUST_CHECK;

#endif
