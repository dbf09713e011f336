/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes come, go silent, come back, are replaced: what that means for their jobs.
 */
#ifndef GUTS_SCHEDULER_NODE_LIFE_H
#define GUTS_SCHEDULER_NODE_LIFE_H

#include "scheduler/tick.h"

/* Takes its live jobs away; their space stays reserved. For ever: those that ended are closed too, and
 * nothing stays, the directories having gone with it. */
bool node_life_lose_jobs(struct tick *tick, struct node *node, const char *text, bool is_for_ever,
                         struct error *err) MUST_CHECK;
/* Nodes that were silent for the takeover time. */
bool node_life_sweep(struct tick *tick, struct error *err) MUST_CHECK;
void node_life_tell(struct tick *tick, const struct node *node, const char *kind,
                    enum event_severity severity, const char *text);
/* What an operator asked: "enabled", "draining", "disabled". */
void node_life_set_state(struct tick *tick, struct node *node, const char *state,
                         const char *reason);

#endif
