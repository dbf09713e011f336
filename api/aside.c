/* SPDX-License-Identifier: Apache-2.0 */
#include "api/aside.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"

enum aside_state { ASIDE_FREE, ASIDE_ASKED, ASIDE_ANSWERED };

struct aside {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct store *store;
    enum aside_state state;
    bool ending;
    aside_verb *verb;
    void *context;
};

/* Holds the mutex. */
static void set_state(struct aside *aside, enum aside_state state)
{
    aside->state = state;
    pthread_cond_broadcast(&aside->changed);
}

static void serve_one(struct aside *aside)
{
    pthread_mutex_unlock(&aside->mutex);
    aside->verb(aside->context, aside->store);
    pthread_mutex_lock(&aside->mutex);
    set_state(aside, ASIDE_ANSWERED);
}

static void *aside_run(void *context)
{
    struct aside *aside = context;
    struct error err = {0};
    if (!store_ping(aside->store,
                    &err)) /* so that the first who asks need not wait for a connection */
        log_debug("aside_not_connected", "%s", err.text);
    pthread_mutex_lock(&aside->mutex);
    while (!aside->ending)
        if (aside->state == ASIDE_ASKED)
            serve_one(aside);
        else
            pthread_cond_wait(&aside->changed, &aside->mutex);
    pthread_mutex_unlock(&aside->mutex);
    return NULL;
}

struct aside *aside_new(const struct db_settings *settings)
{
    struct aside *aside = xcalloc(1, sizeof(*aside));
    aside->store = store_new(settings);
    pthread_mutex_init(&aside->mutex, NULL);
    pthread_cond_init(&aside->changed, NULL);
    if (pthread_create(&aside->thread, NULL, aside_run, aside) != 0)
        abort(); /* at the start, before anything depends on us */
    return aside;
}

void aside_free(struct aside *aside)
{
    if (aside == NULL)
        return;
    pthread_mutex_lock(&aside->mutex);
    aside->ending = true;
    pthread_cond_broadcast(&aside->changed);
    pthread_mutex_unlock(&aside->mutex);
    pthread_join(aside->thread, NULL);
    store_free(aside->store);
    pthread_cond_destroy(&aside->changed);
    pthread_mutex_destroy(&aside->mutex);
    free(aside);
}

bool aside_begin(struct aside *aside, aside_verb *verb, void *context)
{
    pthread_mutex_lock(&aside->mutex);
    bool is_free = aside->state == ASIDE_FREE;
    if (is_free) {
        aside->verb = verb;
        aside->context = context;
        set_state(aside, ASIDE_ASKED);
    }
    pthread_mutex_unlock(&aside->mutex);
    return is_free;
}

void aside_end(struct aside *aside)
{
    pthread_mutex_lock(&aside->mutex);
    while (aside->state == ASIDE_ASKED)
        pthread_cond_wait(&aside->changed, &aside->mutex);
    set_state(aside, ASIDE_FREE);
    pthread_mutex_unlock(&aside->mutex);
}
