/* SPDX-License-Identifier: Apache-2.0
 *
 * Things that are only looked at or switched: vms, nodes, services, drivers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/arguments.h"
#include "client/cli/endpoint.h"
#include "common/base/memory.h"

/* -- shared --------------------------------------------------------------------------------------- */

/* Options whose names are those of the API's filters: "--state X" asks with "state=X". */
static int list_filtered(struct session *session, const struct arguments *arguments,
                         enum guts_kind kind, const struct column *columns, size_t count)
{
    struct guts_filter filters[16];
    size_t filter_count = 0;
    uint64_t most = 0;
    if (!arguments_number(arguments, "--limit", 1, &most))
        return EXIT_USAGE;
    for (size_t i = 0; i < arguments->option_count && filter_count < COUNT_OF(filters); i++) {
        const struct option_row *row = arguments->options[i].row;
        if (row >= common_options && row < common_options + common_option_count)
            continue;
        if (strcmp(row->name, "--limit") != 0)
            filters[filter_count++] = (struct guts_filter){
                row->name + 2, row->value != NULL ? arguments->options[i].value : "true"};
    }
    struct guts_error err = {0};
    json_t *list = guts_list(session->guts, kind, NULL, filters, filter_count, most, &err);
    if (list == NULL)
        return output_error(&err);
    int status = output_list(&session->output, list, columns, count);
    json_decref(list);
    return status;
}

static int show_one(struct session *session, const struct arguments *arguments, enum guts_kind kind)
{
    struct guts_error err = {0};
    json_t *object = guts_show(session->guts, kind, arguments->operands[0], &err);
    if (object == NULL)
        return output_error(&err);
    int status = output_show(&session->output, object, NULL, 0);
    json_decref(object);
    return status;
}

/* -- vms ------------------------------------------------------------------------------------------ */

static const struct column vm_columns[] = {
    {"ID", "id", LOOK_PLAIN},
    {"NAME", "name", LOOK_PLAIN},
    {"POWER", "power", LOOK_PLAIN},
    {"FIRMWARE", "firmware", LOOK_PLAIN},
    {"CPUS", "cpus", LOOK_PLAIN},
    {"MEMORY", "memory_mib", LOOK_MIB},
    {"DISKS", "disk_count", LOOK_PLAIN},
    {"CAPACITY", "capacity_bytes", LOOK_BYTES},
    {"OBSTACLE", "obstacle.code", LOOK_PLAIN},
};
static const struct option_row vm_list_options[] = {
    {"--source", "SOURCE", "only those of this source", "sources"},
    {"--name", "NAME", "only those with this name", NULL},
    {"--power", "POWER", "on, off, suspended or unknown", "on|off|suspended|unknown"},
    {"--gone", NULL, "those that the last discovery no longer saw", NULL},
    {"--limit", "COUNT", "show at most so many", NULL},
};

static int run_vm_list(struct session *session, const struct arguments *arguments)
{
    return list_filtered(session, arguments, GUTS_VMS, vm_columns, COUNT_OF(vm_columns));
}

static int run_vm_show(struct session *session, const struct arguments *arguments)
{
    return show_one(session, arguments, GUTS_VMS);
}

static const struct command vm_rows[] = {
    {"vm list", "", 0, 0, "list the vms that sources have", vm_list_options,
     COUNT_OF(vm_list_options), NULL, run_vm_list, false},
    {"vm show", "VM", 1, 1, "show a vm with its disks and NICs", NULL, 0, "vms", run_vm_show,
     false},
};
const struct command_group vm_commands = {"VMs", vm_rows, COUNT_OF(vm_rows)};

/* -- nodes ---------------------------------------------------------------------------------------- */

static const struct column node_columns[] = {
    {"ID", "id", LOOK_PLAIN},
    {"NAME", "name", LOOK_PLAIN},
    {"HOST", "host", LOOK_PLAIN},
    {"STATE", "state", LOOK_PLAIN},
    {"UP", "up", LOOK_PLAIN},
    {"JOBS", "job_count", LOOK_PLAIN},
    {"RESERVED", "reserved_bytes", LOOK_BYTES},
    {"AVAILABLE", "available_bytes", LOOK_BYTES},
    {"SEEN AT", "seen_at", LOOK_TIME},
};
static const struct option_row node_reason_options[] = {
    {"--reason", "TEXT", "for people: why", NULL},
    {"--no-wait", NULL, "do not wait for the outcome", NULL},
};

static int run_node_list(struct session *session, const struct arguments *arguments)
{
    return list_filtered(session, arguments, GUTS_NODES, node_columns, COUNT_OF(node_columns));
}

static int run_node_show(struct session *session, const struct arguments *arguments)
{
    return show_one(session, arguments, GUTS_NODES);
}

static int switch_node(struct session *session, const struct arguments *arguments, const char *verb)
{
    const char *reason = arguments_get(arguments, "--reason");
    json_t *body = json_object();
    if (reason != NULL)
        json_object_set_new(body, "reason", json_string(reason));
    struct guts_error err = {0};
    json_t *answer = guts_act(session->guts, GUTS_NODES, arguments->operands[0], verb, body, &err);
    json_decref(body);
    if (answer == NULL)
        return output_error(&err);
    int status = wish_outcome(session, answer, !arguments_has(arguments, "--no-wait"));
    json_decref(answer);
    return status;
}

static int run_node_enable(struct session *session, const struct arguments *arguments)
{
    return switch_node(session, arguments, "enable");
}

static int run_node_drain(struct session *session, const struct arguments *arguments)
{
    return switch_node(session, arguments, "drain");
}

static int run_node_disable(struct session *session, const struct arguments *arguments)
{
    return switch_node(session, arguments, "disable");
}

static int run_node_delete(struct session *session, const struct arguments *arguments)
{
    struct guts_error err = {0};
    json_t *answer = guts_delete(session->guts, GUTS_NODES, arguments->operands[0], &err);
    if (answer == NULL)
        return output_error(&err);
    int status = wish_outcome(session, answer, !arguments_has(arguments, "--no-wait"));
    json_decref(answer);
    return status;
}

static const struct command node_rows[] = {
    {"node list", "", 0, 0, "list migration nodes and their free conversion space", NULL, 0, NULL,
     run_node_list, false},
    {"node show", "NODE", 1, 1, "show a node with its pools and drivers", NULL, 0, "nodes",
     run_node_show, false},
    {"node enable", "NODE", 1, 1, "let a node take jobs again", node_reason_options + 1, 1, "nodes",
     run_node_enable, false},
    {"node drain", "NODE", 1, 1, "let a node finish its jobs and take no more", node_reason_options,
     2, "nodes", run_node_drain, false},
    {"node disable", "NODE", 1, 1, "give a node no jobs", node_reason_options, 2, "nodes",
     run_node_disable, false},
    {"node delete", "NODE", 1, 1, "forget a node that has gone for good", node_reason_options + 1,
     1, "nodes", run_node_delete, false},
};
const struct command_group node_commands = {"Nodes", node_rows, COUNT_OF(node_rows)};

/* -- services and drivers ------------------------------------------------------------------------- */

static const struct column service_columns[] = {
    {"NAME", "name", LOOK_PLAIN},      {"KIND", "kind", LOOK_PLAIN},
    {"HOST", "host", LOOK_PLAIN},      {"UP", "up", LOOK_PLAIN},
    {"ROLE", "role", LOOK_PLAIN},      {"VERSION", "version", LOOK_PLAIN},
    {"SEEN AT", "seen_at", LOOK_TIME},
};
static const struct column driver_columns[] = {
    {"END", "end", LOOK_PLAIN},
    {"NAME", "name", LOOK_PLAIN},
    {"TITLE", "title", LOOK_PLAIN},
};

static int run_service_list(struct session *session, const struct arguments *arguments)
{
    return list_filtered(session, arguments, GUTS_SERVICES, service_columns,
                         COUNT_OF(service_columns));
}

static int run_driver_list(struct session *session, const struct arguments *arguments)
{
    return list_filtered(session, arguments, GUTS_DRIVERS, driver_columns,
                         COUNT_OF(driver_columns));
}

static int run_driver_show(struct session *session, const struct arguments *arguments)
{
    CLEANUP(xfreep) char *end = guts_escape(arguments->operands[0]);
    CLEANUP(xfreep) char *name = guts_escape(arguments->operands[1]);
    CLEANUP(xfreep) char *path = xasprintf("/drivers/%s/%s", end, name);
    struct guts_error err = {0};
    json_t *driver = guts_call(session->guts, "GET", path, NULL, &err);
    if (driver == NULL)
        return output_error(&err);
    int status = output_show(&session->output, driver, NULL, 0);
    json_decref(driver);
    return status;
}

static const struct command service_rows[] = {
    {"service list", "", 0, 0, "list the daemons and whether they are up", NULL, 0, NULL,
     run_service_list, false},
};
const struct command_group service_commands = {"Services", service_rows, COUNT_OF(service_rows)};
static const struct command driver_rows[] = {
    {"driver list", "", 0, 0, "list the drivers that nodes have", NULL, 0, NULL, run_driver_list,
     false},
    {"driver show", "source|destination DRIVER", 2, 2, "show a driver's settings and options", NULL,
     0, NULL, run_driver_show, false},
};
const struct command_group driver_commands = {"Drivers", driver_rows, COUNT_OF(driver_rows)};
