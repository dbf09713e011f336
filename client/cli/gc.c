/* SPDX-License-Identifier: Apache-2.0
 *
 * guts gc: what dead attempts left at sources, destinations and in conversion spaces, shown and on
 * request removed. */
#include <stdio.h>
#include <string.h>

#include "client/cli/endpoint.h"
#include "common/base/memory.h"

static const struct column columns[] = {
    {"AT", "at", LOOK_PLAIN},         {"KIND", "kind", LOOK_PLAIN},
    {"KEY", "key", LOOK_PLAIN},       {"MIGRATION", "migration", LOOK_PLAIN},
    {"DETAIL", "detail", LOOK_PLAIN},
};
static const struct option_row options[] = {
    {"--source", "SOURCE", "look at this source alone", "sources"},
    {"--destination", "DESTINATION", "look at this destination alone", "destinations"},
    {"--node", "NODE", "look into the conversion spaces of this node alone", "nodes"},
    {"--remove", NULL, "remove what was found, then look again", NULL},
};

/* One wish, to its outcome. */
static bool ask(struct session *session, enum guts_kind kind, const char *name, bool removes,
                struct guts_error *err)
{
    json_t *body = json_pack("{s:b}", "remove", removes);
    json_t *answer = guts_act(session->guts, kind, name, "gc", body, err);
    json_decref(body);
    json_t *end = answer != NULL ? wish_await(session, answer, err) : NULL;
    json_decref(answer);
    json_decref(end);
    return end != NULL;
}

static json_t *list(struct session *session, enum guts_kind kind, const char *name,
                    struct guts_error *err)
{
    CLEANUP(xfreep) char *escaped = guts_escape(name);
    CLEANUP(xfreep) char *path = xasprintf("/%s/%s/strays", guts_kind_path(kind), escaped);
    return guts_list(session->guts, kind, path, NULL, 0, 0, err);
}

/* Asks again while there is less each time: one job removes so many at most. */
static json_t *remove_all(struct session *session, enum guts_kind kind, const char *name,
                          json_t *found, struct guts_error *err)
{
    size_t before = json_array_size(found) + 1;
    while (found != NULL && json_array_size(found) > 0 && json_array_size(found) < before) {
        before = json_array_size(found);
        json_decref(found);
        found = ask(session, kind, name, true, err) ? list(session, kind, name, err) : NULL;
    }
    return found;
}

static const char *noun_of(enum guts_kind kind)
{
    return kind == GUTS_SOURCES ? "source" : kind == GUTS_NODES ? "node" : "destination";
}

/* `title` is how the end is called in what people read. */
static bool look(struct session *session, enum guts_kind kind, const char *name, const char *title,
                 bool removes, json_t *all, struct guts_error *err)
{
    size_t index;
    json_t *item;
    CLEANUP(xfreep)
    char *place = xasprintf("%s %s", noun_of(kind), title);
    json_t *found = ask(session, kind, name, false, err) ? list(session, kind, name, err) : NULL;
    size_t count = json_array_size(found);
    if (removes && found != NULL)
        found = remove_all(session, kind, name, found, err);
    if (found == NULL)
        return false;
    if (removes && count > json_array_size(found))
        fprintf(stderr, "guts: %zu removed at %s\n", count - json_array_size(found), place);
    json_array_foreach(found, index, item) {
        json_object_set_new(item, "at", json_string(place));
        json_array_append(all, item);
    }
    json_decref(found);
    return true;
}

/* One that cannot be looked at does not keep the others. */
static int look_at_all(struct session *session, enum guts_kind kind, bool removes, json_t *all)
{
    size_t index;
    json_t *item;
    int status = EXIT_DONE;
    struct guts_error err = {0};
    json_t *endpoints = guts_list(session->guts, kind, NULL, NULL, 0, 0, &err);
    if (endpoints == NULL)
        return output_error(&err);
    json_array_foreach(endpoints, index, item) {
        struct guts_error failed = {0};
        const char *id = json_string_value(json_object_get(item, "id"));
        const char *name = json_string_value(json_object_get(item, "name"));
        if (id == NULL || name == NULL || json_is_false(json_object_get(item, "up")) ||
            look(session, kind, id, name, removes, all, &failed))
            continue;
        /* Nodes are no project's: they are left to those who may. */
        if (kind == GUTS_NODES && strcmp(failed.code, "forbidden") == 0)
            guts_error_clear(&failed);
        else
            status = output_error(&failed);
    }
    json_decref(endpoints);
    return status;
}

/* The first failure counts. */
static int look_everywhere(struct session *session, bool removes, json_t *all)
{
    static const enum guts_kind kinds[] = {GUTS_SOURCES, GUTS_DESTINATIONS, GUTS_NODES};
    int status = EXIT_DONE;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        int now = look_at_all(session, kinds[i], removes, all);
        status = status == EXIT_DONE ? now : status;
    }
    return status;
}

static int run_gc(struct session *session, const struct arguments *arguments)
{
    const char *source = arguments_get(arguments, "--source");
    const char *destination = arguments_get(arguments, "--destination");
    const char *node = arguments_get(arguments, "--node");
    bool removes = arguments_has(arguments, "--remove"),
         all_ends = !source && !destination && !node;
    int status = EXIT_DONE;
    struct guts_error err = {0};
    json_t *all = json_array();
    if (source != NULL && !look(session, GUTS_SOURCES, source, source, removes, all, &err))
        status = output_error(&err);
    if (destination != NULL && status == EXIT_DONE &&
        !look(session, GUTS_DESTINATIONS, destination, destination, removes, all, &err))
        status = output_error(&err);
    if (node != NULL && status == EXIT_DONE &&
        !look(session, GUTS_NODES, node, node, removes, all, &err))
        status = output_error(&err);
    if (all_ends)
        status = look_everywhere(session, removes, all);
    int shown = output_list(&session->output, all, columns, COUNT_OF(columns));
    json_decref(all);
    return status != EXIT_DONE ? status : shown;
}

static const struct command commands[] = {
    {"gc", "", 0, 0, "find what dead attempts left at both ends and in conversion spaces", options,
     COUNT_OF(options), NULL, run_gc, false},
};
const struct command_group gc_commands = {"Sweeping up", commands, COUNT_OF(commands)};
