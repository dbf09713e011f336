/* SPDX-License-Identifier: Apache-2.0
 *
 * Work that is due: new migrations, settle checks, jobs whose back-off has ended. Found by indexes on
 * due_at, never by scanning.
 */
#ifndef GUTS_SCHEDULER_DUE_H
#define GUTS_SCHEDULER_DUE_H

#include "scheduler/tick.h"

bool due_take_migrations(struct tick *tick, size_t most, size_t *ret_taken,
                         struct error *err) MUST_CHECK;
bool due_take_jobs(struct tick *tick, size_t most, size_t *ret_taken, struct error *err) MUST_CHECK;
/* Brings migrations into the picture for this tick; those that rest leave it again. */
bool due_load_migrations(struct tick *tick, const struct uuid *ids, size_t count,
                         struct error *err) MUST_CHECK;

#endif
