/* SPDX-License-Identifier: Apache-2.0
 *
 * Events: what happened, and what happens. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/arguments.h"
#include "client/cli/output.h"
#include "common/base/memory.h"

static const struct column columns[] = {
    {"NUMBER", "number", LOOK_PLAIN},     {"AT", "at", LOOK_TIME},
    {"SEVERITY", "severity", LOOK_PLAIN}, {"KIND", "kind", LOOK_PLAIN},
    {"OWNER", "owner_id", LOOK_PLAIN},    {"TO", "data.to", LOOK_PLAIN},
    {"TEXT", "text", LOOK_PLAIN},
};
static const struct option_row options[] = {
    {"--after", "NUMBER", "only events behind this number", NULL},
    {"--owner", "ID", "only those of this migration, source, destination or node", NULL},
    {"--limit", "COUNT", "show at most so many (list)", NULL},
};

struct following {
    struct session *session;
    bool away;
};

static size_t read_filters(const struct arguments *arguments, struct guts_filter *filters)
{
    size_t count = 0;
    if (arguments_has(arguments, "--owner"))
        filters[count++] = (struct guts_filter){"owner", arguments_get(arguments, "--owner")};
    if (arguments_has(arguments, "--after"))
        filters[count++] = (struct guts_filter){"after", arguments_get(arguments, "--after")};
    return count;
}

static int run_list(struct session *session, const struct arguments *arguments)
{
    struct guts_filter filters[2];
    size_t count = read_filters(arguments, filters);
    uint64_t most = 0;
    if (!arguments_number(arguments, "--limit", 1, &most))
        return EXIT_USAGE;
    struct guts_error err = {0};
    json_t *list = guts_list(session->guts, GUTS_EVENTS, NULL, filters, count, most, &err);
    if (list == NULL)
        return output_error(&err);
    /* The API gives the newest first, so that a limit keeps those; people read the other way. */
    struct output output = session->output;
    output.sort_column = output.sort_column != NULL ? output.sort_column : "number";
    int status = output_list(&output, list, columns, COUNT_OF(columns));
    json_decref(list);
    return status;
}

/* Tells once that the API went away, and once that it is there again. */
static void tell_outage(struct following *following)
{
    bool there = guts_is_following(following->session->guts);
    if (there != following->away)
        return;
    following->away = !there;
    fprintf(stderr, there ? "guts: the API answers again\n"
                          : "guts: the API does not answer; waiting, no event is lost\n");
}

static bool print_event(void *context, const json_t *event)
{
    struct following *following = context;
    const struct session *session = following->session;
    tell_outage(following);
    if (event == NULL)
        return !interrupted;
    if (session->output.format != OUTPUT_TABLE || session->output.column_count > 0) {
        struct output output = session->output;
        if (output.format == OUTPUT_TABLE)
            output.format = OUTPUT_VALUE;
        output_row(&output, event, columns, COUNT_OF(columns));
    } else {
        char *fields[COUNT_OF(columns)];
        for (size_t i = 0; i < COUNT_OF(columns); i++)
            fields[i] = output_field_text(event, &columns[i], true);
        printf("%s  %s  %-5s  %-16s  %s  %-11s  %s\n", fields[0], fields[1], fields[2], fields[3],
               fields[4], fields[5], fields[6]);
        for (size_t i = 0; i < COUNT_OF(columns); i++)
            free(fields[i]);
    }
    fflush(stdout);
    return !interrupted && !ferror(stdout);
}

static int run_follow(struct session *session, const struct arguments *arguments)
{
    struct guts_filter filters[2];
    size_t count = arguments_has(arguments, "--owner") ? read_filters(arguments, filters) : 0;
    count = count > 1 ? 1 : count;
    uint64_t after = UINT64_MAX;
    if (!arguments_number(arguments, "--after", 0, &after))
        return EXIT_USAGE;
    struct guts_error err = {0};
    struct following following = {session, false};
    if (!guts_follow(session->guts, after, filters, count, &interrupted, print_event, &following,
                     &err))
        return output_error(&err);
    return EXIT_DONE;
}

static const struct command commands[] = {
    {"event list", "", 0, 0, "list what happened", options, COUNT_OF(options), NULL, run_list,
     false},
    {"event follow", "", 0, 0, "show events as they happen", options, 2, NULL, run_follow, false},
};
const struct command_group event_commands = {"Events", commands, COUNT_OF(commands)};
