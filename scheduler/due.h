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

/* Kinds of due work. */
#define DUE_JOBS 1u
#define DUE_MIGRATIONS 2u
#define DUE_WISHES 4u
#define DUE_NODES 8u
#define DUE_ALL (DUE_JOBS | DUE_MIGRATIONS | DUE_WISHES | DUE_NODES)

/* The first due job or migration could not be served: it is looked at again a minute later, and an
 * event says why. Touches no other column of it. */
bool due_shelve(struct tick *tick, unsigned part, const struct error *reason,
                struct error *err) MUST_CHECK;

#endif
