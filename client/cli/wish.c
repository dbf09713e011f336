/* SPDX-License-Identifier: Apache-2.0
 *
 * Wishes: what somebody asked for, and what became of it. */
#include <stdio.h>

#include "client/cli/endpoint.h"
#include "common/base/memory.h"

static const struct column columns[] = {
    {"ID", "id", LOOK_PLAIN},
    {"VERB", "verb", LOOK_PLAIN},
    {"OWNER KIND", "owner_kind", LOOK_PLAIN},
    {"OWNER", "owner_id", LOOK_PLAIN},
    {"WHO", "who", LOOK_PLAIN},
    {"STATE", "state", LOOK_PLAIN},
    {"FAULT", "fault", LOOK_PLAIN},
    {"ANSWER", "answer", LOOK_PLAIN},
    {"CREATED AT", "created_at", LOOK_TIME},
    {"FINISHED AT", "finished_at", LOOK_TIME},
};

int wish_outcome(struct session *session, json_t *answer, bool wait)
{
    struct guts_error err = {0};
    const json_t *wish = json_object_get(answer, "wish");
    if (!wait || wish == NULL)
        return output_show(&session->output, wish != NULL ? wish : answer, columns,
                           wish != NULL ? COUNT_OF(columns) : 0);
    json_t *end = guts_wish_wait(session->guts, answer, session->wait_ms, &interrupted, &err);
    if (end == NULL)
        return output_error(&err);
    int status = output_show(&session->output, end, columns, COUNT_OF(columns));
    json_decref(end);
    return status;
}

static int run_show(struct session *session, const struct arguments *arguments)
{
    struct guts_error err = {0};
    json_t *wish = guts_show(session->guts, GUTS_WISHES, arguments->operands[0], &err);
    if (wish == NULL)
        return output_error(&err);
    int status = output_show(&session->output, wish, columns, COUNT_OF(columns));
    json_decref(wish);
    return status;
}

static const struct command commands[] = {
    {"wish show", "WISH", 1, 1, "show what became of a wish", NULL, 0, NULL, run_show, false},
};
const struct command_group wish_commands = {"Wishes", commands, COUNT_OF(commands)};
