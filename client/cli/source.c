/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/endpoint.h"
#include "common/base/memory.h"

static int run_create(struct session *session, const struct arguments *arguments)
{
    return endpoint_create(session, arguments, GUTS_SOURCES);
}

static int run_list(struct session *session, const struct arguments *arguments)
{
    return endpoint_list(session, arguments, GUTS_SOURCES);
}

static int run_show(struct session *session, const struct arguments *arguments)
{
    return endpoint_show(session, arguments, GUTS_SOURCES);
}

static int run_set(struct session *session, const struct arguments *arguments)
{
    return endpoint_set(session, arguments, GUTS_SOURCES);
}

static int run_delete(struct session *session, const struct arguments *arguments)
{
    return endpoint_delete(session, arguments, GUTS_SOURCES);
}

static int run_test(struct session *session, const struct arguments *arguments)
{
    return endpoint_act(session, arguments, GUTS_SOURCES, "test");
}

static int run_refresh(struct session *session, const struct arguments *arguments)
{
    return endpoint_act(session, arguments, GUTS_SOURCES, "refresh");
}

static const struct command commands[] = {
    {"source create", "NAME", 1, 1, "add a place that vms come from", endpoint_create_options,
     COUNT_OF(endpoint_create_options), NULL, run_create, false},
    {"source list", "", 0, 0, "list sources", endpoint_list_options,
     COUNT_OF(endpoint_list_options), NULL, run_list, false},
    {"source show", "SOURCE", 1, 1, "show one source", NULL, 0, "sources", run_show, false},
    {"source set", "SOURCE", 1, 1, "change a source", endpoint_set_options,
     COUNT_OF(endpoint_set_options), "sources", run_set, false},
    {"source delete", "SOURCE [SOURCE ...]", 1, 1000, "forget sources that nothing refers to", NULL,
     0, "sources", run_delete, false},
    {"source test", "SOURCE", 1, 1, "test the connection", endpoint_act_options,
     COUNT_OF(endpoint_act_options), "sources", run_test, false},
    {"source refresh", "SOURCE", 1, 1, "list its vms anew", endpoint_act_options,
     COUNT_OF(endpoint_act_options), "sources", run_refresh, false},
};
const struct command_group source_commands = {"Sources", commands, COUNT_OF(commands)};
