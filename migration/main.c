/* SPDX-License-Identifier: Apache-2.0
 *
 * guts-migration: how its parts are joined. With the internal verb it is a worker (worker.h).
 */
#include <poll.h>
#include <string.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/health.h"
#include "migration/confine.h"
#include "migration/node.h"
#include "migration/worker.h"

#define LOOP_DEADLINE_MS 15000
#define TURN_MS 1000
#define SPACE_WAIT_MS 2000 /* before a full conversion space is looked at again */

static struct node_settings node_settings;
static struct worker_settings worker_settings;
static struct bus_settings bus_settings;
static struct log_settings log_settings;

static bool check(struct error *err)
{
    return node_settings_complete(&node_settings, &worker_settings, err);
}

/* Its conversion space may be full of what others write there: it waits for room, and says so. The node
 * is NULL where the end was asked for meanwhile. */
static bool open_node(struct daemon *daemon, const struct node_plan *plan, struct node **ret_node,
                      struct error *err)
{
    struct pollfd signals = {.fd = plan->signal_fd, .events = POLLIN};
    bool is_told = false;
    while (!node_open(plan, ret_node, err)) {
        if (err->fault != &FAULT_NO_SPACE)
            return false;
        if (!is_told)
            log_fault(LOG_WARN_LEVEL, "space_awaited", err);
        is_told = true;
        daemon_ready("waits for room in its conversion space");
        health_set(plan->health, "conversion space", err->text);
        health_beat(plan->health);
        poll(&signals, 1, SPACE_WAIT_MS);
        if (daemon_stop_asked(daemon))
            return true;
    }
    health_set(plan->health, "conversion space", NULL);
    return true;
}

static bool serve(struct daemon *daemon, struct health *health, struct bus *bus, struct error *err)
{
    struct node *node = NULL;
    struct node_plan plan = {
        .node = &node_settings,
        .worker = &worker_settings,
        .bus = bus,
        .health = health,
        .signal_fd = daemon_signal_fd(daemon),
    };
    if (!open_node(daemon, &plan, &node, err))
        return false;
    if (node == NULL)
        return true;
    log_info("started", "node \"%s\", instance %s", node_settings.name, node_instance(node));
    daemon_ready("working");
    while (!daemon_stop_asked(daemon))
        node_turn(node, TURN_MS);
    log_info("stopping", "workers are ended, their jobs go on after the next start");
    node_close(node);
    return true;
}

/* What keeps a hostile image in its worker, as far as this kernel can. */
static void tell_confinement(void)
{
    char kinds[CONFINE_KINDS_SIZE];
    if (confine_kinds(kinds))
        log_info("confinement", "workers: %s", kinds);
    else
        log_warn("confinement_lacks", "workers stand behind fewer walls on this kernel: %s", kinds);
}

static int run(struct daemon *daemon)
{
    struct error err = {0};
    tell_confinement();
    struct http_server *server = NULL;
    struct health *health = health_new(LOOP_DEADLINE_MS);
    struct bus *bus = bus_open(&bus_settings, "guts-migration");
    bool good = health_serve(health, node_settings.metrics_listen, &server, &err) &&
                serve(daemon, health, bus, &err);
    if (!good)
        log_fault(LOG_ERROR_LEVEL, "cannot_work", &err);
    if (server)
        http_server_close(server, TURN_MS);
    bus_close(bus);
    health_free(health);
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_VERB) == 0)
        return worker_main();
    const struct conf_section sections[] = {
        {"node", node_conf_keys, node_conf_key_count, &node_settings},
        {"worker", worker_conf_keys, worker_conf_key_count, &worker_settings},
        {"broker", bus_conf_keys, bus_conf_key_count, &bus_settings},
        {"log", log_conf_keys, log_conf_key_count, &log_settings},
    };
    const struct daemon_plan plan = {
        .name = "guts-migration",
        .purpose = "runs jobs on a node: reads machines here, writes them there",
        .standard_config = "/etc/guts/guts-migration.conf",
        .sections = sections,
        .section_count = COUNT_OF(sections),
        .check = check,
    };
    int status;
    struct daemon *daemon = daemon_begin(&plan, argc, argv, &status);
    if (!daemon)
        return status;
    node_register_metrics();
    status = run(daemon);
    daemon_end(daemon);
    return status;
}
