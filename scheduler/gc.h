/* SPDX-License-Identifier: Apache-2.0
 *
 * Strays: what a node's look at one end lists is judged here, against migrations and ledgers. Strays
 * are stored and shown; a second wish removes what was shown.
 *
 * Threads: the scheduler's one.
 */
#ifndef GUTS_SCHEDULER_GC_H
#define GUTS_SCHEDULER_GC_H

#include "common/store/wish_outcome.h"
#include "scheduler/tick.h"

/* A page of things with marks: the strays among them are kept. */
bool gc_take_page(struct tick *tick, const struct job *job, const Guts__V1__CatalogPage *page,
                  struct error *err) MUST_CHECK;
/* What the job of a wish is to be told: the strays to remove, of those that the last look found, when
 * the wish asks for that. */
bool gc_request(struct tick *tick, const struct wish_due *wish, const char **ret_request_json,
                struct error *err) MUST_CHECK;

#endif
