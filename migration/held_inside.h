/* SPDX-License-Identifier: Apache-2.0
 *
 * Between held.c (what a job is) and held_run.c (how its worker runs). Nobody else includes it.
 */
#ifndef GUTS_MIGRATION_HELD_INSIDE_H
#define GUTS_MIGRATION_HELD_INSIDE_H

#include "migration/held.h"

/* The worker is gone: with a result, by a cancel, or by a crash. */
void held_ended(struct held *held, const struct held_context *context, int status, uint64_t now_ms);
/* A result that nobody can read would be told for ever: without it the worker counts as crashed. */
bool held_result_is_readable(const struct held *held, const void *packed, size_t length);
/* Ends the job without its worker's doing; the result goes into the journal. */
void held_finish(struct held *held, const struct error *fault);

#endif
