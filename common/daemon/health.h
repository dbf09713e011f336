/* SPDX-License-Identifier: Apache-2.0
 *
 * /healthz (the process turns its loop), /readyz (it can do its work; says what it lacks) and
 * /metrics, the same for every daemon. guts-scheduler and guts-migration serve nothing else.
 *
 * Threads: the daemon sets its state from its loop; the server reads it from its own thread.
 */
#ifndef GUTS_COMMON_DAEMON_HEALTH_H
#define GUTS_COMMON_DAEMON_HEALTH_H

#include "common/http/server.h"

struct health;
struct health *health_new(uint64_t loop_deadline_ms); /* no beat for longer: /healthz answers 503 */
void health_free(struct health *health);
void health_beat(struct health *health);
/* what: "database", "broker", "leader" …; text NULL: fine. A part that is wanting makes /readyz 503. */
void health_set(struct health *health, const char *what, const char *text);
/* Answers the three paths; returns false for any other. */
bool health_answer(struct health *health, const struct http_request *request,
                   struct http_answer *answer);
/* A server of one thread for the three paths; `listen` "" opens none. */
bool health_serve(struct health *health, const char *listen, struct http_server **ret_server,
                  struct error *err) MUST_CHECK;

#endif
