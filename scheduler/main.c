/* SPDX-License-Identifier: Apache-2.0
 *
 * guts-scheduler: the wiring diagram. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/daemon/daemon.h"
#include "scheduler/assign.h"
#include "scheduler/gauge.h"
#include "scheduler/intern.h"
#include "scheduler/leadership.h"
#include "scheduler/loop.h"

#define LOOP_DEADLINE_MS 30000
#define END_MOST_MS 4000 /* whatever hangs then is left to the kernel */
#define EXIT_FAILED 1
/* A session of a scheduler is never silent for longer than idle_interval_ms; a frozen one ends soon. */
#define WAIT_TIMEOUT_MOST_MS 10000

static struct scheduler_settings settings;
static struct db_settings database;
static struct bus_settings broker;
static struct log_settings logging;
static struct scheduler scheduler = {.settings = &settings};

static bool check_settings(struct error *err)
{
    return scheduler_settings_check(&settings, err);
}

static void name_myself(void)
{
    static char host[128], name[256], instance[UUID_TEXT_SIZE];
    const struct uuid id = uuid_new();
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "guts-scheduler@%s:%ld", host, (long)getpid());
    uuid_format(&id, instance);
    scheduler.name = name;
    scheduler.instance = instance;
    scheduler.service = (struct service){.name = name,
                                         .kind = "scheduler",
                                         .host = host,
                                         .instance = instance,
                                         .version = GUTS_VERSION,
                                         .role = "standby"};
}

static void begin(void)
{
    name_myself();
    gauge_register();
    db_library_begin();
    if (database.wait_timeout_ms > WAIT_TIMEOUT_MOST_MS)
        database.wait_timeout_ms = WAIT_TIMEOUT_MOST_MS;
    scheduler.store = store_new(&database);
    scheduler.db = store_db(scheduler.store);
    scheduler.health = health_new(LOOP_DEADLINE_MS);
    health_set(scheduler.health, "database", "not reached yet");
    health_set(scheduler.health, "broker", "not reached yet");
    scheduler.bus = bus_open(&broker, scheduler.name);
    bus_on_fate(scheduler.bus, assign_fate, &scheduler);
}

/* Nothing is lost when something hangs: what was not committed did not happen. */
static void *end_in_time(void *context)
{
    usleep(END_MOST_MS * 1000);
    log_warn("end_forced", "something did not end in time");
    _exit(0);
}

static void end(void)
{
    struct error err;
    pthread_t watch;
    if (pthread_create(&watch, NULL, end_in_time, NULL) == 0)
        pthread_detach(watch);
    if (scheduler.leads)
        leadership_release(&scheduler);
    if (!service_leave(scheduler.store, scheduler.name, &err))
        log_debug("leave_failed", "%s", err.text);
    bus_close(scheduler.bus);
    picture_free(scheduler.picture);
    store_free(scheduler.store);
    intern_words_fini(&scheduler.staging_sources);
    intern_words_fini(&scheduler.staging_destinations);
    free(scheduler.drivers);
    intern_end();
    db_library_end();
}

int main(int argc, char **argv)
{
    struct error err;
    struct http_server *server = NULL;
    int status;
    const struct conf_section sections[] = {
        {"log", log_conf_keys, log_conf_key_count, &logging},
        {"scheduler", scheduler_conf_keys, scheduler_conf_key_count, &settings},
        {"database", db_conf_keys, db_conf_key_count, &database},
        {"broker", bus_conf_keys, bus_conf_key_count, &broker},
    };
    const struct daemon_plan plan = {
        .name = "guts-scheduler",
        .purpose = "places jobs on nodes and leads migrations through their life",
        .standard_config = "/etc/guts/guts-scheduler.conf",
        .sections = sections,
        .section_count = COUNT_OF(sections),
        .check = check_settings,
    };
    struct daemon *daemon = daemon_begin(&plan, argc, argv, &status);
    if (daemon == NULL)
        return status;
    begin();
    if (!health_serve(scheduler.health, settings.metrics_listen, &server, &err)) {
        log_fault(LOG_ERROR_LEVEL, "start_failed", &err);
        return EXIT_FAILED;
    }
    daemon_ready("running");
    while (!daemon_stop_asked(daemon))
        loop_turn(&scheduler, daemon_signal_fd(daemon));
    end();
    http_server_close(server, 100);
    health_free(scheduler.health);
    daemon_end(daemon);
    return 0;
}
