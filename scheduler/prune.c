/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/prune.h"

#include "common/base/log.h"

#define PIECE 500
#define PAUSE_MS 60000 /* between passes */

bool prune_is_due(const struct scheduler *scheduler, uint64_t now_ms)
{
    return scheduler->backlog == 0 && now_ms >= scheduler->prune.due_ms;
}

void prune_failed(struct scheduler *scheduler, uint64_t now_ms)
{
    scheduler->prune.due_ms = now_ms + PAUSE_MS;
}

/* The time before which things are old; 0: none ever is. */
static uint64_t bound_us(const struct tick *tick, uint64_t keep_ms)
{
    return keep_ms == 0 || tick->now_us / 1000 <= keep_ms ? 0 : tick->now_us - keep_ms * 1000;
}

bool prune_some(struct tick *tick, struct error *err)
{
    struct scheduler *scheduler = tick->scheduler;
    const struct scheduler_settings *settings = scheduler->settings;
    struct prune_cursors *prune = &scheduler->prune;
    struct db *db = scheduler->db;
    uint64_t events = 0, jobs = 0, wishes = 0;
    uint64_t old_events = bound_us(tick, settings->keep_events_ms),
             old_jobs = bound_us(tick, settings->keep_jobs_ms),
             old_wishes = bound_us(tick, settings->keep_wishes_ms);
    if ((old_events > 0 && !event_prune(db, old_events, PIECE, &events, err)) ||
        (old_jobs > 0 && !job_prune(db, old_jobs, PIECE, &prune->jobs, &jobs, err)) ||
        (old_wishes > 0 &&
         !wish_outcome_prune(db, old_wishes, PIECE, &prune->wishes, &wishes, err)))
        return false;
    if (events + jobs + wishes > 0)
        log_debug("pruned", "%llu events, %llu jobs, %llu wishes", (unsigned long long)events,
                  (unsigned long long)jobs, (unsigned long long)wishes);
    bool has_more = events == PIECE || !uuid_is_nil(&prune->jobs) || !uuid_is_nil(&prune->wishes);
    prune->due_ms = tick->now_ms + (has_more ? settings->idle_interval_ms : PAUSE_MS);
    return true;
}
