/* SPDX-License-Identifier: Apache-2.0
 *
 * Strays: what a node's look at one end, or into its conversion spaces, lists is judged here, against
 * migrations, ledgers and jobs. Strays are stored and shown; a second wish removes what was shown.
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
bool gc_asks_to_remove(const struct wish_due *wish);

/* Conversion spaces (gc_space.c): a node that answers; then a wish, which is asked of its node until an
 * answer to it has come. */
void gc_take_left(struct tick *tick, struct node *node, const Guts__V1__NodeReport *report);
bool gc_ask_node(struct tick *tick, struct node *node, const struct wish_due *wish,
                 bool *ret_answered, struct error *err) MUST_CHECK;

#endif
