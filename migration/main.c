/* SPDX-License-Identifier: Apache-2.0
 *
 * guts-migration: how its parts are joined. With the internal verb it is a worker (worker.h).
 */
#include <string.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "common/daemon/health.h"
#include "migration/confine.h"
#include "migration/node.h"
#include "migration/worker.h"

#define LOOP_DEADLINE_MS 15000
#define TURN_MS 1000

static struct node_settings node_settings;
static struct worker_settings worker_settings;
static struct bus_settings bus_settings;
static struct log_settings log_settings;

static bool check(struct error *err)
{
    return node_settings_complete(&node_settings, &worker_settings, err);
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
    if (!node_open(&plan, &node, err))
        return false;
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
