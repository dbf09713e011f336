/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/leadership.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "common/base/log.h"
#include "proto/fault.h"
#include "proto/topology.h"
#include "scheduler/gauge.h"
#include "scheduler/picture_load.h"
#include "scheduler/tick.h"

static const struct bus_queue *scheduler_queue(void)
{
    static struct bus_queue queue;
    queue = topology_scheduler();
    return &queue;
}

static const struct bus_queue *bulk_queue(void)
{
    static struct bus_queue queue;
    queue = topology_scheduler_bulk();
    return &queue;
}

/* -- taking ------------------------------------------------------------------------------------------ */

static bool may_take(const struct scheduler *scheduler, const struct leader_row *row)
{
    uint64_t silent_us =
        row->database_at > row->renewed_at ? row->database_at - row->renewed_at : 0;
    if (clock_mono_ms() < scheduler->aside_until_ms)
        return false;
    return row->holder[0] == '\0' || silent_us / 1000 >= scheduler->settings->leader_timeout_ms;
}

static bool take_row(struct scheduler *scheduler, const struct leader_row *seen,
                     struct leader_row *ret_row, bool *ret_taken, struct error *err)
{
    struct leader_row row;
    *ret_taken = false;
    if (!db_begin(scheduler->db, err))
        return false;
    if (!leader_lock(scheduler->db, &row, err))
        goto failed;
    if (row.term != seen->term || !may_take(scheduler, &row)) {
        db_rollback(scheduler->db);
        return true; /* another was faster */
    }
    if (!leader_take(scheduler->db, scheduler->instance, &row, err))
        goto failed;
    if (!db_commit(scheduler->db, err)) {
        /* No answer: the next look at the row tells; its holder is this instance then. */
        db_rollback(scheduler->db);
        return false;
    }
    *ret_row = row;
    *ret_taken = true;
    return true;
failed:
    db_rollback(scheduler->db);
    return false;
}

static bool begin_term(struct scheduler *scheduler, const struct leader_row *row, struct error *err)
{
    scheduler->went_back_at = 0;
    if (row->batch < scheduler->highest_batch) {
        log_warn("database_went_back", "batch %" PRIu64 " after %" PRIu64, row->batch,
                 scheduler->highest_batch);
        scheduler->went_back_at = row->database_at;
    }
    crashpoint("term_begun");
    scheduler->term = row->term;
    scheduler->batch = scheduler->highest_batch = row->batch;
    scheduler->event_number = row->event_number;
    scheduler->term_begun_ms = scheduler->renewed_ms = clock_mono_ms();
    scheduler->returned_count = 0;
    picture_free(scheduler->picture);
    scheduler->picture = NULL;
    if (!picture_load(scheduler, err)) {
        leadership_release(scheduler);
        return false;
    }
    struct bus_stats stats;
    bus_stats(scheduler->bus, &stats);
    broker_watch_begin(&scheduler->broker, &stats, clock_mono_ms());
    scheduler->leads = scheduler->look_now = true;
    metric_set(&gauge_leader, 1);
    bus_consume(scheduler->bus, scheduler_queue());
    bus_consume(scheduler->bus, bulk_queue());
    log_info("leading", "term %" PRIu64 ", %zu nodes, %zu jobs", scheduler->term,
             scheduler->picture->nodes.count, scheduler->picture->jobs.count);
    return true;
}

/* The former holder's session is ended, and its locks with it. Without the right to do so we wait
 * for the server to end it: locking the row then fails until it has. */
static void end_former(struct scheduler *scheduler, const struct leader_row *row)
{
    struct error err;
    if (row->holder[0] == '\0' || row->connection_id == 0)
        return;
    if (!leader_end_connection(scheduler->db, row->connection_id, &err))
        log_debug("former_leader_stays", "%s", err.text);
}

bool leadership_watch(struct scheduler *scheduler, struct error *err)
{
    struct leader_row row, taken_row;
    bool is_taken;
    if (!leader_read(scheduler->db, &row, err))
        return false;
    bool is_ours = strcmp(row.holder, scheduler->instance) == 0; /* taken, but no answer came */
    if (row.batch > scheduler->highest_batch)
        scheduler->highest_batch = row.batch;
    if (!is_ours && !may_take(scheduler, &row))
        return true;
    if (is_ours && !may_take(scheduler, &row))
        return begin_term(scheduler, &row, err);
    if (!is_ours)
        end_former(scheduler, &row);
    if (!take_row(scheduler, &row, &taken_row, &is_taken, err))
        return false;
    return !is_taken || begin_term(scheduler, &taken_row, err);
}

/* -- transactions ------------------------------------------------------------------------------------- */

bool leadership_begin(struct scheduler *scheduler, struct leader_row *ret_row, bool *ret_went_back,
                      struct error *err)
{
    struct leader_row row;
    if (!db_begin(scheduler->db, err))
        return false;
    if (!leader_lock(scheduler->db, &row, err)) {
        db_rollback(scheduler->db);
        return false;
    }
    if (row.term != scheduler->term || strcmp(row.holder, scheduler->instance) != 0) {
        db_rollback(scheduler->db);
        return error_set(err, &FAULT_FENCED, "term %" PRIu64 " is over, \"%s\" leads term %" PRIu64,
                         scheduler->term, row.holder, row.term);
    }
    /* A commit that seemed not to have happened did, after all: the picture lacks it. */
    if (row.batch > scheduler->batch) {
        db_rollback(scheduler->db);
        return error_set(err, &FAULT_FENCED, "batch %" PRIu64 " was committed unseen", row.batch);
    }
    *ret_went_back = row.batch < scheduler->batch;
    scheduler->batch = row.batch;
    if (*ret_went_back)
        scheduler->event_number = row.event_number;
    *ret_row = row;
    return true;
}

/* After a commit without an answer. */
static bool find_out(struct scheduler *scheduler, uint64_t expected, struct error *err)
{
    struct leader_row row;
    uint64_t begun_ms = clock_mono_ms();
    for (unsigned count = 0; clock_mono_ms() - begun_ms < scheduler->settings->leader_timeout_ms;
         count++) {
        if (leader_read(scheduler->db, &row, err)) {
            if (row.term == scheduler->term && row.batch >= expected)
                return true;
            if (row.term == scheduler->term)
                return error_set(err, &FAULT_DB_UNAVAILABLE, "the commit did not happen");
            return error_set(err, &FAULT_FENCED, "another leads since");
        }
        clock_sleep_ms(clock_backoff_ms(count, 20, 500));
    }
    return error_set(err, &FAULT_UNCERTAIN, "no answer to a commit, and none since");
}

bool leadership_commit(struct scheduler *scheduler, uint64_t event_number, struct error *err)
{
    uint64_t batch = scheduler->batch + 1;
    if (!leader_advance(scheduler->db, scheduler->term, batch, event_number, err)) {
        db_rollback(scheduler->db);
        return false;
    }
    if (!db_commit(scheduler->db, err)) {
        db_rollback(scheduler->db);
        if (err->fault != &FAULT_UNCERTAIN || !find_out(scheduler, batch, err))
            return false;
    }
    scheduler->batch = scheduler->highest_batch = batch;
    scheduler->event_number = event_number;
    scheduler->renewed_ms = clock_mono_ms();
    return true;
}

/* -- the end of a term ----------------------------------------------------------------------------------- */

void leadership_lose(struct scheduler *scheduler, const char *why)
{
    if (!scheduler->leads)
        return;
    log_warn("leadership_lost", "term %" PRIu64 ": %s", scheduler->term, why);
    scheduler->leads = false;
    metric_set(&gauge_leader, 0);
    bus_unconsume(scheduler->bus, scheduler_queue());
    bus_unconsume(scheduler->bus, bulk_queue());
    picture_free(scheduler->picture);
    scheduler->picture = NULL;
}

void leadership_release(struct scheduler *scheduler)
{
    struct error err;
    if (scheduler->leads)
        log_info("leadership_released", "term %" PRIu64, scheduler->term);
    if (!leader_release(scheduler->db, scheduler->term, scheduler->instance, &err))
        log_debug("leadership_unreleased", "%s", err.text);
    scheduler->leads = false;
    metric_set(&gauge_leader, 0);
}

uint64_t leadership_hears_since_ms(const struct scheduler *scheduler)
{
    return scheduler->deaf_ms > scheduler->term_begun_ms ? scheduler->deaf_ms
                                                         : scheduler->term_begun_ms;
}

bool leadership_keeps_broker(struct scheduler *scheduler)
{
    struct bus_stats stats;
    bool probe;
    uint64_t now_ms = clock_mono_ms(), timeout_ms = scheduler->settings->leader_timeout_ms;
    bus_stats(scheduler->bus, &stats);
    bool is_gone = broker_watch_is_gone(&scheduler->broker, &stats, now_ms, timeout_ms, &probe);
    if (!broker_watch_hears(&scheduler->broker, &stats, now_ms, timeout_ms))
        scheduler->deaf_ms = now_ms;
    if (!is_gone) {
        if (probe)
            tick_tell_changes(scheduler, scheduler->event_number);
        return true;
    }
    scheduler->aside_until_ms = now_ms + 2 * timeout_ms;
    leadership_lose(scheduler, "the broker does not answer: another may lead");
    leadership_release(scheduler);
    return false;
}
