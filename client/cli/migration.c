/* SPDX-License-Identifier: Apache-2.0
 *
 * Migrations that exist: looking at them, and the operator's verbs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/arguments.h"
#include "client/cli/endpoint.h"
#include "client/cli/summary.h"
#include "client/cli/wait.h"
#include "common/base/memory.h"

static const struct column list_columns[] = {
    {"ID", "id", LOOK_PLAIN},
    {"VM", "vm_name", LOOK_PLAIN},
    {"SERVER", "server_name", LOOK_PLAIN},
    {"STATE", "state", LOOK_PLAIN},
    {"DONE", "done_bytes", LOOK_BYTES},
    {"OF", "total_bytes", LOOK_BYTES},
    {"FAULT", "fault.code", LOOK_PLAIN},
    {"CREATED AT", "created_at", LOOK_TIME},
};
static const struct column step_columns[] = {
    {"ATTEMPT", "attempt", LOOK_PLAIN},
    {"NUMBER", "number", LOOK_PLAIN},
    {"STEP", "name", LOOK_PLAIN},
    {"STATE", "state", LOOK_PLAIN},
    {"STARTED AT", "started_at", LOOK_TIME},
    {"FINISHED AT", "finished_at", LOOK_TIME},
    {"FAULT", "fault.code", LOOK_PLAIN},
};
static const struct column ledger_columns[] = {
    {"POSITION", "position", LOOK_PLAIN}, {"END", "end", LOOK_PLAIN},
    {"KIND", "kind", LOOK_PLAIN},         {"KEY", "key", LOOK_PLAIN},
    {"STATE", "state", LOOK_PLAIN},       {"EXTERNAL ID", "external_id", LOOK_PLAIN},
    {"ATTEMPT", "attempt", LOOK_PLAIN},   {"DETAIL", "detail", LOOK_PLAIN},
};
static const struct option_row list_options[] = {
    {"--state", "STATE", "only those in this state", NULL},
    {"--source", "SOURCE", "only those from this source", "sources"},
    {"--destination", "DESTINATION", "only those to this destination", "destinations"},
    {"--vm", "VM", "only those of this vm", "vms"},
    {"--limit", "COUNT", "show at most so many, the newest", NULL},
};
static const struct option_row wait_options[] = {
    {"--wait", NULL, "wait until it rests, with progress", NULL},
    {"--no-wait", NULL, "do not even wait for the scheduler's word", NULL},
};

static int run_list(struct session *session, const struct arguments *arguments)
{
    struct guts_filter filters[8];
    size_t count = 0;
    static const char *const names[] = {"state", "source", "destination", "vm"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        CLEANUP(xfreep) char *option = xasprintf("--%s", names[i]);
        if (arguments_has(arguments, option))
            filters[count++] = (struct guts_filter){names[i], arguments_get(arguments, option)};
    }
    uint64_t most = 0;
    if (!arguments_number(arguments, "--limit", 1, &most))
        return EXIT_USAGE;
    struct guts_error err = {0};
    filters[count++] = (struct guts_filter){"order", "desc"}; /* a limit keeps the newest */
    json_t *newest = guts_list(session->guts, GUTS_MIGRATIONS, NULL, filters, count, most, &err);
    if (newest == NULL)
        return output_error(&err);
    json_t *list = json_array();
    for (size_t i = json_array_size(newest); i > 0; i--)
        json_array_append(list, json_array_get(newest, i - 1));
    json_decref(newest);
    int status = output_list(&session->output, list, list_columns, COUNT_OF(list_columns));
    json_decref(list);
    return status;
}

static json_t *show(struct session *session, const char *id, int *ret_status)
{
    struct guts_error err = {0};
    json_t *migration = guts_show(session->guts, GUTS_MIGRATIONS, id, &err);
    if (migration == NULL)
        *ret_status = output_error(&err);
    return migration;
}

static int run_show(struct session *session, const struct arguments *arguments)
{
    int status;
    json_t *migration = show(session, arguments->operands[0], &status);
    if (migration == NULL)
        return status;
    bool brief = session->output.format == OUTPUT_TABLE && session->output.column_count == 0;
    json_t *shown = brief ? summary_of_migration(migration) : json_incref(migration);
    status = output_show(&session->output, shown, NULL, 0);
    json_decref(shown);
    json_decref(migration);
    return status;
}

static int show_part(struct session *session, const struct arguments *arguments, const char *part,
                     const struct column *columns, size_t count)
{
    int status;
    json_t *migration = show(session, arguments->operands[0], &status);
    if (migration == NULL)
        return status;
    status = output_list(&session->output, json_object_get(migration, part), columns, count);
    json_decref(migration);
    return status;
}

static int run_steps(struct session *session, const struct arguments *arguments)
{
    return show_part(session, arguments, "steps", step_columns, COUNT_OF(step_columns));
}

static int run_ledger(struct session *session, const struct arguments *arguments)
{
    return show_part(session, arguments, "ledger", ledger_columns, COUNT_OF(ledger_columns));
}

static int run_watch(struct session *session, const struct arguments *arguments)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < arguments->operand_count; i++)
        json_array_append_new(ids, json_string(arguments->operands[i]));
    int status = wait_for_migrations(session, ids, "VERIFIED|CLEANED");
    json_decref(ids);
    return status;
}

/* One verb for each of the named migrations; a refusal of one does not keep the others from it. */
static int act(struct session *session, const struct arguments *arguments, const char *verb,
               const char *good)
{
    int status = EXIT_DONE;
    json_t *ids = json_array();
    for (size_t i = 0; i < arguments->operand_count; i++) {
        const char *id = arguments->operands[i];
        struct guts_error err = {0};
        json_t *answer = guts_act(session->guts, GUTS_MIGRATIONS, id, verb, NULL, &err);
        json_t *end = NULL;
        if (answer != NULL && !arguments_has(arguments, "--no-wait"))
            end = wish_await(session, answer, &err);
        if (answer == NULL || (end == NULL && !arguments_has(arguments, "--no-wait")))
            status = output_error(&err);
        else
            json_array_append_new(ids, json_string(id));
        json_decref(end);
        json_decref(answer);
        if (interrupted)
            break;
    }
    if (arguments_has(arguments, "--wait") && json_array_size(ids) > 0 && !interrupted) {
        int waited = wait_for_migrations(session, ids, good);
        status = status != EXIT_DONE ? status : waited;
    }
    json_decref(ids);
    return status;
}

static int run_cancel(struct session *session, const struct arguments *arguments)
{
    return act(session, arguments, "cancel", "CANCELLED");
}

static int run_retry(struct session *session, const struct arguments *arguments)
{
    return act(session, arguments, "retry", "VERIFIED|CLEANED");
}

static int run_rollback(struct session *session, const struct arguments *arguments)
{
    return act(session, arguments, "rollback", "ROLLED_BACK");
}

static int run_cleanup(struct session *session, const struct arguments *arguments)
{
    return act(session, arguments, "cleanup", "CLEANED");
}

static int run_delete(struct session *session, const struct arguments *arguments)
{
    int status = EXIT_DONE;
    for (size_t i = 0; i < arguments->operand_count; i++) {
        struct guts_error err = {0};
        json_t *answer = guts_delete(session->guts, GUTS_MIGRATIONS, arguments->operands[i], &err);
        json_t *end = answer != NULL && json_object_get(answer, "wish") != NULL
                          ? wish_await(session, answer, &err)
                          : json_incref(answer);
        if (end == NULL)
            status = output_error(&err);
        json_decref(end);
        json_decref(answer);
        if (interrupted)
            break;
    }
    return status;
}

#define VERB(name, summary, run)                                                                   \
    {                                                                                              \
        name, "MIGRATION [MIGRATION ...]", 1, 100000, summary, wait_options,                       \
            COUNT_OF(wait_options), "migrations", run, false                                       \
    }
static const struct command commands[] = {
    {"migration list", "", 0, 0, "list migrations", list_options, COUNT_OF(list_options), NULL,
     run_list, false},
    {"migration show", "MIGRATION", 1, 1, "show a migration with all that is known of it", NULL, 0,
     "migrations", run_show, false},
    {"migration steps", "MIGRATION", 1, 1, "list the steps of its jobs", NULL, 0, "migrations",
     run_steps, false},
    {"migration ledger", "MIGRATION", 1, 1, "list what was made or changed at either end", NULL, 0,
     "migrations", run_ledger, false},
    {"migration watch", "MIGRATION [MIGRATION ...]", 1, 100000, "follow migrations to their end",
     NULL, 0, "migrations", run_watch, false},
    VERB("migration cancel", "stop it and put everything back", run_cancel),
    VERB("migration retry", "try a failed one again", run_retry),
    VERB("migration rollback", "put everything back", run_rollback),
    VERB("migration cleanup", "accept the result and drop the way back", run_cleanup),
    {"migration delete", "MIGRATION [MIGRATION ...]", 1, 100000, "forget ended migrations", NULL, 0,
     "migrations", run_delete, false},
};
const struct command_group migration_commands = {"Migrations", commands, COUNT_OF(commands)};
