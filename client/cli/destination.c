/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/endpoint.h"
#include "common/base/memory.h"

static int run_create(struct session *session, const struct arguments *arguments)
{
    return endpoint_create(session, arguments, GUTS_DESTINATIONS);
}

static int run_list(struct session *session, const struct arguments *arguments)
{
    return endpoint_list(session, arguments, GUTS_DESTINATIONS);
}

static int run_show(struct session *session, const struct arguments *arguments)
{
    return endpoint_show(session, arguments, GUTS_DESTINATIONS);
}

static int run_set(struct session *session, const struct arguments *arguments)
{
    return endpoint_set(session, arguments, GUTS_DESTINATIONS);
}

static int run_delete(struct session *session, const struct arguments *arguments)
{
    return endpoint_delete(session, arguments, GUTS_DESTINATIONS);
}

static int run_test(struct session *session, const struct arguments *arguments)
{
    return endpoint_act(session, arguments, GUTS_DESTINATIONS, "test");
}

static int run_refresh(struct session *session, const struct arguments *arguments)
{
    return endpoint_act(session, arguments, GUTS_DESTINATIONS, "refresh");
}

static const struct column catalogue_columns[] = {
    {"KIND", "kind", LOOK_PLAIN},
    {"ID", "id", LOOK_PLAIN},
    {"NAME", "name", LOOK_PLAIN},
    {"DETAIL", "detail", LOOK_PLAIN},
};

static int run_catalogue(struct session *session, const struct arguments *arguments)
{
    CLEANUP(xfreep) char *escaped = guts_escape(arguments->operands[0]);
    CLEANUP(xfreep) char *path = xasprintf("/destinations/%s/catalogue", escaped);
    struct guts_filter filter = {"kind", arguments_get(arguments, "--kind")};
    struct guts_error err = {0};
    json_t *list = guts_list(session->guts, GUTS_DESTINATIONS, path, &filter,
                             filter.value != NULL ? 1 : 0, 0, &err);
    if (list == NULL)
        return output_error(&err);
    int status =
        output_list(&session->output, list, catalogue_columns, COUNT_OF(catalogue_columns));
    json_decref(list);
    return status;
}

static const struct option_row catalogue_options[] = {
    {"--kind", "KIND", "only things of this kind: network, flavor ...", NULL},
};

static const struct command commands[] = {
    {"destination create", "NAME", 1, 1, "add a place that vms go to", endpoint_create_options,
     COUNT_OF(endpoint_create_options), NULL, run_create, false},
    {"destination list", "", 0, 0, "list destinations", endpoint_list_options,
     COUNT_OF(endpoint_list_options), NULL, run_list, false},
    {"destination show", "DESTINATION", 1, 1, "show one destination", NULL, 0, "destinations",
     run_show, false},
    {"destination set", "DESTINATION", 1, 1, "change a destination", endpoint_set_options,
     COUNT_OF(endpoint_set_options), "destinations", run_set, false},
    {"destination delete", "DESTINATION [DESTINATION ...]", 1, 1000,
     "forget destinations that nothing refers to", NULL, 0, "destinations", run_delete, false},
    {"destination test", "DESTINATION", 1, 1, "test the connection", endpoint_act_options,
     COUNT_OF(endpoint_act_options), "destinations", run_test, false},
    {"destination refresh", "DESTINATION", 1, 1, "read its catalogue anew", endpoint_act_options,
     COUNT_OF(endpoint_act_options), "destinations", run_refresh, false},
    {"destination catalogue", "DESTINATION", 1, 1, "what a destination offers", catalogue_options,
     COUNT_OF(catalogue_options), "destinations", run_catalogue, false},
};
const struct command_group destination_commands = {"Destinations", commands, COUNT_OF(commands)};
