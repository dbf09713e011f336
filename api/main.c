/* SPDX-License-Identifier: Apache-2.0
 *
 * guts-api: the wiring. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/aside.h"
#include "api/batch.h"
#include "api/count.h"
#include "api/keeper.h"
#include "api/notice.h"
#include "api/routes.h"
#include "api/stream.h"
#include "common/daemon/daemon.h"
#include "common/http/client.h"
#include "proto/bus.h"

#define CLOSE_GRACE_MS 2500
#define END_MOST_MS 4000 /* whatever hangs then is left to the kernel */
#define EXIT_FAILED 1

static struct api api;
static struct db_settings database;
static struct bus_settings broker;
static struct log_settings logging;

#define OF(field) offsetof(struct api_settings, field)
const struct conf_key api_conf_keys[] = {
    {"auth", CONF_STRING, OF(auth), false, "token", 0, 0,
     "\"token\", \"keystone\", or \"none\": everybody on this machine is admin"},
    {"project", CONF_STRING, OF(project), false, "default", 1, 64,
     "the project of everybody, with auth \"none\""},
    {"seal_keys", CONF_STRING, OF(seal_keys), false, "", 0, 0,
     "file of public keys to seal secrets with (guts-manage keygen)"},
    {"streams", CONF_INTEGER, OF(streams_most), false, "200", 1, 10000,
     "readers of the event stream at once"},
    {"loop_deadline", CONF_DURATION, OF(loop_deadline_ms), false, "30s", 1000, 600000,
     "/healthz fails when the daemon's loop does not turn for so long"},
};
const size_t api_conf_key_count = COUNT_OF(api_conf_keys);
#undef OF

static struct auth_settings auth_settings(void)
{
    return (struct auth_settings){.kind = api.settings.auth,
                                  .project = api.settings.project,
                                  .listen = api.http.listen,
                                  .keystone = &api.keystone};
}

static bool settings_check(struct error *err)
{
    const struct auth_settings settings = auth_settings();
    return auth_check(&settings, err);
}

static void print_routes(void)
{
    for (size_t i = 0; i < route_count; i++)
        printf("%s %s %s\n", routes[i].method, routes[i].pattern,
               routes[i].role == ACCESS_NONE ? "none" : access_role_name(routes[i].role));
}

static void api_stores_begin(void)
{
    api.store_count = (size_t)(api.http.threads > 1 ? api.http.threads : 1);
    api.stores = xcalloc(api.store_count, sizeof(struct store *));
    for (size_t i = 0; i < api.store_count; i++)
        api.stores[i] = store_new(&database);
}

static bool api_begin(struct error *err)
{
    const struct auth_settings settings = auth_settings();
    http_client_library_begin();
    if (!auth_new(&settings, &api.auth, err))
        return false;
    if (api.settings.seal_keys[0] != '\0' &&
        !seal_public_load(api.settings.seal_keys, &api.seal_keys, err))
        return false;
    if (!log_level_parse(logging.level, &api.log_least))
        api.log_least = LOG_INFO_LEVEL;
    db_library_begin();
    count_begin();
    api_stores_begin();
    api.health = health_new(api.settings.loop_deadline_ms);
    health_set(api.health, "database", "not reached yet");
    health_set(api.health, "broker", "not reached yet");
    api.streams = stream_hub_new(&database, (size_t)api.settings.streams_most);
    api.notice = notice_new(&broker, api.streams, api.health);
    api.migrations = batch_new(&migration_batch_ops, &database, 1);
    api.vms = batch_new(&vm_batch_ops, &database, 1);
    api.aside = aside_new(&database);
    return true;
}

static void api_end(void)
{
    aside_free(api.aside);
    batch_free(api.migrations);
    batch_free(api.vms);
    notice_free(api.notice);
    stream_hub_free(api.streams);
    for (size_t i = 0; i < api.store_count; i++)
        store_free(api.stores[i]);
    free(api.stores);
    health_free(api.health);
    seal_public_free(api.seal_keys);
    auth_free(api.auth);
    http_client_library_end();
    db_library_end();
}

/* A database that does not answer may hold our threads longer than the time that an end may take:
 * nothing of ours is lost then, since every change is a transaction of the database's. */
static void *end_in_time(void *context)
{
    usleep(END_MOST_MS * 1000);
    log_warn("end_forced", "something did not end in time");
    _exit(0);
}

static void api_loop(struct daemon *daemon)
{
    struct pollfd signals = {.fd = daemon_signal_fd(daemon), .events = POLLIN};
    while (!daemon_stop_asked(daemon)) {
        health_beat(api.health);
        poll(&signals, 1, 1000);
    }
}

static void api_stop(struct http_server *server, struct keeper *keeper)
{
    pthread_t watch;
    daemon_status("ending");
    if (pthread_create(&watch, NULL, end_in_time, NULL) == 0)
        pthread_detach(watch);
    auth_end(api.auth);
    if (!http_server_close(server, CLOSE_GRACE_MS)) {
        log_warn("end_forced", "a request did not end in time");
        _exit(0);
    }
    keeper_free(keeper);
    api_end();
}

static int api_run(struct daemon *daemon)
{
    struct http_server *server = NULL;
    struct error err = {0};
    if (!api_begin(&err) || !http_server_open(&api.http, api_handle, &api, &server, &err)) {
        log_fault(LOG_ERROR_LEVEL, "start_failed", &err);
        return EXIT_FAILED;
    }
    struct keeper *keeper = keeper_new(&api, &database, http_server_port(server));
    log_info("started", "listening on %s, port %u", api.http.listen, http_server_port(server));
    daemon_ready("serving");
    api_loop(daemon);
    log_info("ending", "asked to stop");
    api_stop(server, keeper);
    return 0;
}

int main(int argc, char **argv)
{
    const struct conf_section sections[] = {
        {"api", api_conf_keys, api_conf_key_count, &api.settings},
        {"keystone", keystone_conf_keys, keystone_conf_key_count, &api.keystone},
        {"http", http_server_conf_keys, http_server_conf_key_count, &api.http},
        {"database", db_conf_keys, db_conf_key_count, &database},
        {"broker", bus_conf_keys, bus_conf_key_count, &broker},
        {"log", log_conf_keys, log_conf_key_count, &logging},
    };
    const struct daemon_plan plan = {
        .name = "guts-api",
        .purpose = "serves the HTTP API of guts",
        .standard_config = "/etc/guts/guts-api.conf",
        .sections = sections,
        .section_count = COUNT_OF(sections),
        .check = settings_check,
    };
    int status = 0;
    if (argc == 2 && strcmp(argv[1], "--routes") == 0) {
        print_routes();
        return 0;
    }
    struct daemon *daemon = daemon_begin(&plan, argc, argv, &status);
    if (daemon == NULL)
        return status;
    status = api_run(daemon);
    daemon_end(daemon);
    return status;
}
