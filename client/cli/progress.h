/* SPDX-License-Identifier: Apache-2.0
 *
 * Live progress of migrations: on a terminal a bar for each disk (bytes, rate, time left) that is drawn
 * anew in place; elsewhere a plain line whenever something changed. Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_PROGRESS_H
#define GUTS_CLIENT_CLI_PROGRESS_H

#include <stdio.h>

#include "client/cli/command.h"

struct progress;
/* Bars when `out` is a terminal. */
struct progress *progress_new(FILE *out);
void progress_free(struct progress *progress);
/* What a migration looks like now (the answer of its show). */
void progress_update(struct progress *progress, const json_t *migration);
/* Draws: on a terminal the bars of those that move (at most as many as fit), else nothing. */
void progress_draw(struct progress *progress);
/* A line of its own above the bars. */
void progress_say(struct progress *progress, const char *format, ...)
    __attribute__((__format__(__printf__, 2, 3)));

/* Whether a state is one in which nothing more happens by itself. */
bool progress_is_resting(const json_t *migration);

#endif
