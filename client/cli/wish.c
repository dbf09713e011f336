/* SPDX-License-Identifier: Apache-2.0
 *
 * Wishes: what somebody asked for, and what became of it. */
#include <stdio.h>
#include <string.h>

#include "client/cli/endpoint.h"
#include "common/base/memory.h"

#define QUIET_MS 5000 /* so long it waits without a word */

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

/* Why it waits, where the scheduler has said so. */
static void print_reason(struct session *session, const char *id)
{
    struct guts_error err = {0};
    json_t *wish = guts_show(session->guts, GUTS_WISHES, id, &err);
    CLEANUP(xfreep)
    char *text = wish != NULL ? output_clean(output_text(wish, "fault.detail")) : NULL;
    if (text != NULL && text[0] != '\0')
        fprintf(stderr, "guts: it waits: %s\n", text);
    json_decref(wish);
    guts_error_clear(&err);
}

json_t *wish_await(struct session *session, const json_t *answer, struct guts_error *err)
{
    bool patient = session->wait_ms == 0 || session->wait_ms > QUIET_MS;
    json_t *end = guts_wish_wait(session->guts, answer, patient ? QUIET_MS : session->wait_ms,
                                 &interrupted, err);
    if (end != NULL || !patient || interrupted || strcmp(err->code, "timeout") != 0)
        return end;
    guts_error_clear(err);
    CLEANUP(xfreep) char *id = output_clean(output_text(answer, "wish.id"));
    fprintf(stderr,
            "guts: no outcome of wish %s yet; waiting (Ctrl-C: it stands; is a guts-scheduler up? "
            "guts service list)\n",
            id);
    print_reason(session, id);
    uint64_t left_ms = session->wait_ms == 0 ? 0 : session->wait_ms - QUIET_MS;
    return guts_wish_wait(session->guts, answer, left_ms, &interrupted, err);
}

int wish_outcome(struct session *session, json_t *answer, bool wait)
{
    struct guts_error err = {0};
    const json_t *wish = json_object_get(answer, "wish");
    if (!wait || wish == NULL)
        return output_show(&session->output, wish != NULL ? wish : answer, columns,
                           wish != NULL ? COUNT_OF(columns) : 0);
    json_t *end = wish_await(session, answer, &err);
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
