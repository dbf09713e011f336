/* SPDX-License-Identifier: Apache-2.0 */
#include "api/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/store/schema.h"
#include "common/store/service.h"

#define BEAT_SECONDS 5
#define RETRY_SECONDS 1

struct keeper {
    struct api *api;
    struct store *store;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool ending, reached, registered;
    char host[256], name[300], instance[UUID_TEXT_SIZE];
    uint64_t started_at;
};

static bool keeper_beat(struct keeper *keeper, struct error *err)
{
    struct service service = {.name = keeper->name,
                              .kind = "api",
                              .host = keeper->host,
                              .instance = keeper->instance,
                              .version = GUTS_VERSION,
                              .role = "",
                              .started_at = keeper->started_at};
    if (!atomic_load(&keeper->api->usable) && !store_schema_verify(keeper->store, err))
        return false;
    atomic_store(&keeper->api->usable, true);
    if (!service_beat(keeper->store, &service, err))
        return false;
    keeper->registered = true;
    return true;
}

/* Logs the changes only: a database that is away for an hour is one line. */
static void keeper_tell(struct keeper *keeper, bool reached, const struct error *err)
{
    health_set(keeper->api->health, "database", reached ? NULL : err->text);
    if (reached && !keeper->reached)
        log_info("database_reached", "the database answers and its schema is ours");
    if (!reached && keeper->reached)
        log_fault(LOG_WARN_LEVEL, "database_lost", err);
    keeper->reached = reached;
}

static bool keeper_sleep(struct keeper *keeper, unsigned seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&keeper->mutex);
    int status = 0;
    while (!keeper->ending && status != ETIMEDOUT)
        status = pthread_cond_timedwait(&keeper->ended, &keeper->mutex, &until);
    bool goes_on = !keeper->ending;
    pthread_mutex_unlock(&keeper->mutex);
    return goes_on;
}

static void *keeper_run(void *context)
{
    struct keeper *keeper = context;
    struct error err = {0};
    bool reached;
    keeper->reached = true; /* so that a database that is away at the start is told */
    do {
        reached = keeper_beat(keeper, &err);
        keeper_tell(keeper, reached, &err);
    } while (keeper_sleep(keeper, reached ? BEAT_SECONDS : RETRY_SECONDS));
    return NULL;
}

static void keeper_name(struct keeper *keeper, unsigned port)
{
    struct uuid instance = uuid_new();
    if (gethostname(keeper->host, sizeof(keeper->host) - 1) != 0)
        snprintf(keeper->host, sizeof(keeper->host), "localhost");
    snprintf(keeper->name, sizeof(keeper->name), "guts-api@%.64s:%u", keeper->host, port);
    uuid_format(&instance, keeper->instance);
    keeper->started_at = clock_wall_us();
}

struct keeper *keeper_new(struct api *api, const struct db_settings *settings, unsigned port)
{
    struct keeper *keeper = xcalloc(1, sizeof(*keeper));
    pthread_condattr_t attributes;
    keeper->api = api;
    keeper->store = store_new(settings);
    keeper_name(keeper, port);
    pthread_mutex_init(&keeper->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&keeper->thread, NULL, keeper_run, keeper) != 0)
        abort(); /* at the start, before anything depends on us */
    return keeper;
}

void keeper_free(struct keeper *keeper)
{
    struct error err = {0};
    if (keeper == NULL)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->ending = true;
    pthread_cond_signal(&keeper->ended);
    pthread_mutex_unlock(&keeper->mutex);
    pthread_join(keeper->thread, NULL);
    if (keeper->registered && keeper->reached && !service_leave(keeper->store, keeper->name, &err))
        log_debug("service_row_stays", "%s", err.text); /* others see that it is silent */
    pthread_cond_destroy(&keeper->ended);
    pthread_mutex_destroy(&keeper->mutex);
    store_free(keeper->store);
    free(keeper);
}
