/* SPDX-License-Identifier: Apache-2.0
 *
 * guts migrate: begins migrations, and waits for them where asked. */
#include <stdio.h>
#include <string.h>

#include "client/cli/output.h"
#include "client/cli/wait.h"
#include "common/base/file.h"
#include "common/base/memory.h"

#define VMS_A_CALL 5000
#define OPTION_FILE_MOST_BYTES (32u << 10)

static const struct option_row options[] = {
    {"--to", "DESTINATION", "where to", "destinations"},
    {"--source", "SOURCE", "where the vms are, when their names alone do not say", "sources"},
    {"--all", NULL, "every vm of --source that can be migrated", NULL},
    {"--name", "NAME", "of the server (one vm only; default: the vm's)", NULL},
    {"--option", "NAME=VALUE|NAME=@FILE",
     "an option of the destination's driver (again: one more of a list); see: guts driver show",
     NULL},
    {"--on-failure", "rollback|keep", "what to do when it fails (rollback)", "rollback|keep"},
    {"--dry-run", NULL, "only check what would happen", NULL},
    {"--wait", NULL, "wait for the end, with progress", NULL},
};

static const struct column columns[] = {
    {"VM", "vm_name", LOOK_PLAIN},
    {"VM ID", "vm_id", LOOK_PLAIN},
    {"MIGRATION", "migration", LOOK_PLAIN},
    {"RESULT", "result", LOOK_PLAIN},
};

/* "@FILE" stands for what is in the file; NULL after a complaint. */
static json_t *option_value(const char *text)
{
    CLEANUP(buffer_fini) struct buffer content = {0};
    struct error err;
    if (text[0] != '@')
        return json_string(text);
    if (!file_read(text + 1, OPTION_FILE_MOST_BYTES, &content, &err)) {
        fprintf(stderr, "guts: %s\n", err.text);
        return NULL;
    }
    json_t *value = json_stringn(content.length > 0 ? content.data : "", content.length);
    if (value == NULL)
        fprintf(stderr, "guts: \"%s\" is not text\n", text + 1);
    return value;
}

/* A name that is given again makes a list. */
static void option_put(json_t *object, const char *name, json_t *value)
{
    json_t *known = json_object_get(object, name);
    if (known == NULL) {
        json_object_set_new(object, name, value);
        return;
    }
    if (!json_is_array(known)) {
        json_t *list = json_pack("[O]", known);
        json_object_set_new(object, name, list);
        known = list;
    }
    json_array_append_new(known, value);
}

static bool add_options(const struct arguments *arguments, json_t *body)
{
    if (!arguments_has(arguments, "--option"))
        return true;
    json_t *object = json_object();
    json_object_set_new(body, "options", object);
    for (size_t i = 0; i < arguments_count(arguments, "--option"); i++) {
        const char *text = arguments_nth(arguments, "--option", i);
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text) {
            fprintf(stderr, "guts: \"%s\" is no NAME=VALUE\n", text);
            return false;
        }
        CLEANUP(xfreep) char *name = xasprintf("%.*s", (int)(equals - text), text);
        json_t *value = option_value(equals + 1);
        if (value == NULL)
            return false;
        option_put(object, name, value);
    }
    return true;
}

/* The ids of all vms of the source that have no obstacle. */
static json_t *all_vms(struct session *session, const char *source, struct guts_error *err)
{
    struct guts_filter filter = {"source", source};
    json_t *list = guts_list(session->guts, GUTS_VMS, NULL, &filter, 1, 0, err);
    if (list == NULL)
        return NULL;
    json_t *ids = json_array();
    size_t index, left_out = 0;
    json_t *vm;
    json_array_foreach(list, index, vm) {
        if (output_text(vm, "obstacle.code")[0] == '\0')
            json_array_append(ids, json_object_get(vm, "id"));
        else
            left_out++;
    }
    json_decref(list);
    if (left_out > 0)
        fprintf(stderr, "guts: %zu vms are left out for their obstacle; see: guts vm list\n",
                left_out);
    return ids;
}

static json_t *read_vms(struct session *session, const struct arguments *arguments,
                        struct guts_error *err)
{
    if (arguments_has(arguments, "--all"))
        return all_vms(session, arguments_get(arguments, "--source"), err);
    json_t *vms = json_array();
    for (size_t i = 0; i < arguments->operand_count; i++)
        json_array_append_new(vms, json_string(arguments->operands[i]));
    return vms;
}

static json_t *make_body(struct session *session, const struct arguments *arguments,
                         struct guts_error *err)
{
    json_t *vms = read_vms(session, arguments, err);
    if (vms == NULL)
        return NULL;
    json_t *body =
        json_pack("{so ss}", "vms", vms, "destination", arguments_get(arguments, "--to"));
    static const char *const texts[][2] = {
        {"--source", "source"}, {"--name", "name"}, {"--on-failure", "on_failure"}};
    for (size_t i = 0; body != NULL && i < COUNT_OF(texts); i++)
        if (arguments_has(arguments, texts[i][0]))
            json_object_set_new(body, texts[i][1],
                                json_string(arguments_get(arguments, texts[i][0])));
    if (body != NULL && arguments_has(arguments, "--dry-run"))
        json_object_set_new(body, "dry_run", json_true());
    return body;
}

/* {"created": [...], "skipped": [...]} as rows. */
static void add_rows(json_t *rows, const json_t *answer)
{
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(answer, "created"), index, entry) {
        json_array_append_new(rows,
                              json_pack("{ss ss ss ss}", "vm_name", output_text(entry, "vm_name"),
                                        "vm_id", output_text(entry, "vm_id"), "migration",
                                        output_text(entry, "id"), "result", "created"));
    }
    json_array_foreach(json_object_get(answer, "skipped"), index, entry) {
        json_array_append_new(rows, json_pack("{ss ss ss ss}", "vm_name", output_text(entry, "vm"),
                                              "vm_id", output_text(entry, "vm_id"), "migration",
                                              output_text(entry, "migration"), "result",
                                              output_text(entry, "reason")));
    }
}

static json_t *ids_of(const json_t *rows)
{
    json_t *ids = json_array();
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
        if (output_text(row, "migration")[0] != '\0')
            json_array_append(ids, json_object_get(row, "migration"));
    return ids;
}

static bool check_words(const struct arguments *arguments)
{
    const char *wrong = NULL;
    if (!arguments_has(arguments, "--to"))
        wrong = "--to DESTINATION is needed";
    else if (arguments_has(arguments, "--all") && arguments->operand_count > 0)
        wrong = "either --all or names of vms";
    else if (arguments_has(arguments, "--all") && !arguments_has(arguments, "--source"))
        wrong = "--all needs --source";
    else if (!arguments_has(arguments, "--all") && arguments->operand_count == 0)
        wrong = "which vms? name them, or use --all with --source";
    if (wrong != NULL)
        fprintf(stderr, "guts: %s\n", wrong);
    return wrong == NULL;
}

/* Asks for a part of the vms at a time, as many as the API takes. What was created before a part fails
 * stands: asking for it again is answered with what exists. */
static bool create_parts(struct session *session, json_t *body, json_t *rows,
                         struct guts_error *err)
{
    json_t *vms = json_incref(json_object_get(body, "vms"));
    bool fine = true;
    for (size_t from = 0; fine && from < json_array_size(vms); from += VMS_A_CALL) {
        json_t *part = json_array();
        for (size_t i = from; i < from + VMS_A_CALL && i < json_array_size(vms); i++)
            json_array_append(part, json_array_get(vms, i));
        json_object_set_new(body, "vms", part);
        json_t *answer = guts_create(session->guts, GUTS_MIGRATIONS, body, err);
        fine = answer != NULL;
        if (fine)
            add_rows(rows, answer);
        json_decref(answer);
    }
    json_decref(vms);
    return fine;
}

/* One that is gone is not moved, and nobody shall take it for moved. */
static int status_of(const json_t *rows)
{
    size_t index;
    json_t *row;
    json_array_foreach(rows, index, row)
        if (output_text(row, "migration")[0] == '\0')
            return EXIT_NOT_FOUND;
    return EXIT_DONE;
}

static int wait_for_rows(struct session *session, const struct arguments *arguments,
                         const json_t *rows)
{
    json_t *ids = ids_of(rows);
    const char *good = arguments_has(arguments, "--dry-run") ? "CANCELLED" : "VERIFIED|CLEANED";
    int status = wait_for_migrations(session, ids, good);
    json_decref(ids);
    return status;
}

static int run_migrate(struct session *session, const struct arguments *arguments)
{
    if (!check_words(arguments))
        return EXIT_USAGE;
    struct guts_error err = {0};
    json_t *body = make_body(session, arguments, &err);
    if (body == NULL)
        return output_error(&err);
    if (!add_options(arguments, body)) {
        json_decref(body);
        return EXIT_USAGE;
    }
    json_t *rows = json_array();
    bool created = create_parts(session, body, rows, &err);
    json_decref(body);
    int status = EXIT_DONE;
    if (json_array_size(rows) > 0 || created)
        status = output_list(&session->output, rows, columns, COUNT_OF(columns));
    if (!created)
        status = output_error(&err);
    else if (status == EXIT_DONE && arguments_has(arguments, "--wait"))
        status = wait_for_rows(session, arguments, rows);
    if (status == EXIT_DONE)
        status = status_of(rows);
    json_decref(rows);
    return status;
}

static const struct command commands[] = {
    {"migrate", "VM [VM ...]", 0, 100000, "move vms to a destination", options, COUNT_OF(options),
     "vms", run_migrate, false},
};
const struct command_group migrate_commands = {"Migrating", commands, COUNT_OF(commands)};
