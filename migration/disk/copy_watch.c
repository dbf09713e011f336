/* SPDX-License-Identifier: Apache-2.0
 *
 * Watches a copy from a thread of its own, so that whoever waits for a peer, be it for bytes or for a flush,
 * is made to end: when the copy failed, was asked to stop, or when no byte moves any more.
 */
#include <inttypes.h>
#include <time.h>

#include "common/base/clock.h"
#include "migration/disk/copy_engine.h"
#include "proto/fault.h"

#define TICK_MS 50

static bool is_stalled(const struct copy *copy)
{
    uint64_t limit_ms = copy->plan->idle_timeout_ms;
    uint64_t now_ms = clock_mono_ms(), moved_ms = copy->moved_ms;
    return limit_ms > 0 && now_ms > moved_ms && now_ms - moved_ms >= limit_ms;
}

/* A last flush that ends well, however late, is no failure: it is interrupted where that is possible, and
 * says itself what came of it. */
static void check(struct copy *copy, bool is_running)
{
    bool stalled = is_stalled(copy);
    if (stalled && is_running && !copy->ending) {
        struct error err;
        error_set(&err, &FAULT_COPY_STALLED, "no byte moved from %s for %" PRIu64 " ms",
                  disk_describe(copy->plan->from), copy->plan->idle_timeout_ms);
        copy_fail(copy, &err);
    }
    if (!stalled && !copy->ending && !copy->control->stop)
        return;
    disk_interrupt(copy->plan->from);
    if (copy->plan->to != NULL)
        disk_interrupt(copy->plan->to);
}

void *copy_watch(void *argument)
{
    struct copy *copy = argument;
    pthread_mutex_lock(&copy->lock);
    while (!copy->over) {
        struct timespec until;
        copy_until(&until, TICK_MS);
        pthread_cond_timedwait(&copy->watch, &copy->lock, &until);
        bool running = copy->running > 0, over = copy->over;
        pthread_mutex_unlock(&copy->lock);
        if (!over)
            check(copy, running);
        pthread_mutex_lock(&copy->lock);
    }
    pthread_mutex_unlock(&copy->lock);
    return NULL;
}
