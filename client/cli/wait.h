/* SPDX-License-Identifier: Apache-2.0
 *
 * Waiting for migrations with progress. Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_WAIT_H
#define GUTS_CLIENT_CLI_WAIT_H

#include "client/cli/output.h"

/* Shows the migrations (an array of ids) until all rest, the session's time is up or Ctrl-C came (the
 * migrations go on then, and it says how to look at them). EXIT_DONE when each ended in `good` (a state,
 * or two parted by '|'; with NULL any rest will do), else EXIT_UNFINISHED. Progress goes to standard output beside
 * tables, and to standard error beside formats that programs read. */
int wait_for_migrations(struct session *session, const json_t *ids, const char *good);

#endif
