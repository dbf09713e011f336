/* SPDX-License-Identifier: Apache-2.0
 *
 * What sources and destinations have in common on the command line: create, list, show, set, delete,
 * test, refresh, with settings and secrets. Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_ENDPOINT_H
#define GUTS_CLIENT_CLI_ENDPOINT_H

#include "client/cli/output.h"

extern const struct option_row endpoint_create_options[5], endpoint_set_options[6],
    endpoint_act_options[1], endpoint_list_options[1];

int endpoint_create(struct session *session, const struct arguments *arguments,
                    enum guts_kind kind);
int endpoint_list(struct session *session, const struct arguments *arguments, enum guts_kind kind);
int endpoint_show(struct session *session, const struct arguments *arguments, enum guts_kind kind);
int endpoint_set(struct session *session, const struct arguments *arguments, enum guts_kind kind);
int endpoint_delete(struct session *session, const struct arguments *arguments,
                    enum guts_kind kind);
/* verb: "test" or "refresh"; waits for the wish's outcome unless --no-wait. */
int endpoint_act(struct session *session, const struct arguments *arguments, enum guts_kind kind,
                 const char *verb);
/* The outcome of the wish that the answer carries; says so when the scheduler keeps quiet for long. NULL:
 * none, or a no, with err. */
json_t *wish_await(struct session *session, const json_t *answer, struct guts_error *err);
/* Tells of the outcome of a wish that the answer carries; waits for it when `wait`. */
int wish_outcome(struct session *session, json_t *answer, bool wait);

#endif
