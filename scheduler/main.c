/* SPDX-License-Identifier: Apache-2.0
 *
 * guts-scheduler: the wiring diagram. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
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
#define WATCH_MS 200     /* a signal that the loop has not read yet is looked at again */
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

/* The loop may be deep in a query that a frozen database never answers: it does not read signals then. */
static void *watch_signals(void *context)
{
    struct pollfd signals = {.fd = daemon_signal_fd(context), .events = POLLIN};
    sigset_t pending;
    for (;;) {
        sigemptyset(&pending);
        if (poll(&signals, 1, -1) > 0 && sigpending(&pending) == 0 &&
            (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1))
            return end_in_time(NULL);
        usleep(WATCH_MS * 1000);
    }
}

static void in_background(void *(*function)(void *context), void *context)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, function, context) == 0)
        pthread_detach(thread);
}

static void end(void)
{
    struct error err;
    in_background(end_in_time, NULL);
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
    in_background(watch_signals, daemon);
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
