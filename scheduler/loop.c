/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/loop.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/store/service.h"
#include "proto/fault.h"
#include "scheduler/assign.h"
#include "scheduler/due.h"
#include "scheduler/gauge.h"
#include "scheduler/inbox.h"
#include "scheduler/leadership.h"
#include "scheduler/node_life.h"
#include "scheduler/picture_load.h"
#include "scheduler/placing.h"
#include "scheduler/prune.h"
#include "scheduler/wish_take.h"

#define REPEATS_MOST 10
#define BEAT_MS 5000
#define COUNT_STATES_MS 30000
#define DUE_STEP_FIRST 64

#define APART_MOST                                                                                 \
    64 /* rows of one kind that are looked at one by one, before messages have their turn */

/* What one transaction is about. */
struct batch {
    const struct inbox_item *items;
    size_t count;
    unsigned looks; /* for what is due: DUE_… */
    size_t due_most;
    bool is_trial;    /* can it be stored? Nothing of it stays, the picture is to be loaded again */
    bool prunes;      /* what is old, and does nothing else */
    unsigned shelves; /* puts the first due row of this kind aside, and does nothing else */
    const struct error *reason; /* for it */
};

/* -- one transaction ------------------------------------------------------------------------------------ */

static bool look(struct tick *tick, unsigned parts, size_t most, struct error *err)
{
    struct scheduler *scheduler = tick->scheduler;
    size_t jobs = 0, migrations = 0, wishes = 0;
    scheduler->look_now = false;
    if (((parts & DUE_JOBS) && !due_take_jobs(tick, most, &jobs, err)) ||
        ((parts & DUE_MIGRATIONS) && !due_take_migrations(tick, most, &migrations, err)) ||
        ((parts & DUE_WISHES) && !wish_take_due(tick, most, &wishes, err)) ||
        ((parts & DUE_NODES) && (!node_life_sweep(tick, err) || !assign_sweep(tick, err))))
        return false;
    scheduler->looked_ms = tick->now_ms;
    bool has_more = jobs == most || migrations == most || wishes == most;
    scheduler->due_step = DUE_STEP_FIRST;
    if (has_more && most >= DUE_STEP_FIRST)
        scheduler->due_step = most + most / 2;
    if (has_more)
        scheduler->look_now = true;
    return true;
}

static bool shelve(struct tick *tick, unsigned part, const struct error *reason, struct error *err)
{
    return part == DUE_WISHES ? wish_shelve_due(tick, reason, err)
                              : due_shelve(tick, part, reason, err);
}

static bool fill(struct tick *tick, const struct batch *batch, struct error *err)
{
    if (batch->shelves != 0)
        return shelve(tick, batch->shelves, batch->reason, err) && tick_store(tick, err);
    if (batch->prunes)
        return prune_some(tick, err);
    if (!inbox_apply(tick, batch->items, batch->count, err))
        return false;
    if (batch->looks != 0 && !look(tick, batch->looks, batch->due_most, err))
        return false;
    tick->scheduler->place_again = placing_run(tick);
    return assign_build(tick, err) && tick_store(tick, err);
}

static bool reload(struct scheduler *scheduler, struct error *err)
{
    db_rollback(scheduler->db);
    scheduler->look_now = true;
    return picture_load(scheduler, err);
}

/* The database lost what it had acknowledged: everybody declares everything again. */
static bool go_back(struct scheduler *scheduler, uint64_t database_at, struct error *err)
{
    log_warn("database_went_back", "batch %llu: asking all nodes to declare everything again",
             (unsigned long long)scheduler->batch);
    db_rollback(scheduler->db);
    picture_free(scheduler->picture);
    scheduler->picture = NULL;
    scheduler->term_begun_ms = clock_mono_ms();
    scheduler->went_back_at = database_at;
    return picture_load(scheduler, err);
}

/* Commits a batch and lets its messages go; on failure the picture is loaded again by the caller. */
static bool transact(struct scheduler *scheduler, const struct batch *batch, struct error *err)
{
    struct leader_row row;
    bool went_back, is_done = false;
    uint64_t begun_us = clock_mono_us();
    if (!leadership_begin(scheduler, &row, &went_back, err))
        return false;
    if (went_back) {
        if (!go_back(scheduler, row.database_at, err) ||
            !leadership_begin(scheduler, &row, &went_back, err))
            return false;
    }
    struct tick *tick = tick_new(scheduler, row.database_at, clock_mono_ms());
    bool is_sound = fill(tick, batch, err);
    if (!is_sound || batch->is_trial)
        db_rollback(scheduler->db);
    else
        is_done = leadership_commit(scheduler, tick->event_number, err);
    if (is_done) {
        metric_add(&gauge_batches, 1);
        metric_observe_us(&gauge_batch_time, clock_mono_us() - begun_us);
        tick_publish(tick);
        tick_settle(tick);
    }
    tick_free(tick);
    return is_done || (is_sound && batch->is_trial);
}

/* -- batches that fail ------------------------------------------------------------------------------------- */

/* The batch is of no worth without the database or the term; its messages come again. */
static bool is_end_of_term(const struct error *err)
{
    return err->fault == &FAULT_FENCED || err->fault == &FAULT_UNCERTAIN ||
           err->fault == &FAULT_DB_UNAVAILABLE || err->fault == &FAULT_DB_READ_ONLY;
}

/* Runs a batch, again after each deadlock. False: it failed for a reason of its own (the picture was
 * loaded again), or the term is over (scheduler->leads tells). */
static bool run(struct scheduler *scheduler, const struct batch *batch, struct error *err)
{
    for (unsigned count = 0;; count++) {
        if (transact(scheduler, batch, err))
            return true;
        struct error reason = *err;
        if (is_end_of_term(err) || !reload(scheduler, err)) {
            leadership_lose(scheduler, err->text);
            return false;
        }
        *err = reason;
        metric_add(&gauge_replays, 1);
        if (err->fault != &FAULT_DB_DEADLOCK || count >= REPEATS_MOST)
            return false;
        clock_sleep_ms(clock_backoff_ms(count, 2, 50));
    }
}

/* One due row a transaction; the culprit is put aside, so that what is due after it has its turn. */
static void look_apart(struct scheduler *scheduler, unsigned part)
{
    struct error err;
    const struct batch one = {.looks = part, .due_most = 1};
    for (unsigned count = 0; count < APART_MOST; count++) {
        if (run(scheduler, &one, &err)) {
            if (!scheduler->look_now)
                return;
            continue;
        }
        if (!scheduler->leads)
            return;
        struct error reason = err;
        const struct batch aside = {.shelves = part, .reason = &reason};
        log_fault(LOG_ERROR_LEVEL, "due_work_fails", &reason);
        if (part == DUE_NODES || !run(scheduler, &aside, &err))
            return;
    }
}

static void look_at_each(struct scheduler *scheduler)
{
    static const unsigned parts[] = {DUE_JOBS, DUE_MIGRATIONS, DUE_WISHES, DUE_NODES};
    struct error err;
    const struct batch nothing = {0}; /* placing alone: when that fails, no due row is to blame */
    if (run(scheduler, &nothing, &err)) {
        for (size_t i = 0; i < COUNT_OF(parts) && scheduler->leads; i++)
            look_apart(scheduler, parts[i]);
    } else if (scheduler->leads) {
        log_fault(LOG_ERROR_LEVEL, "placing_fails", &err);
    }
    scheduler->look_now = false;
    scheduler->looked_ms = clock_mono_ms();
}

struct salvage {
    struct scheduler *scheduler;
    struct inbox_split *split;
    const struct inbox_item *item;
    uint64_t begun_ms;
};

/* Whether the database takes the message as it is now. Loads the picture again: the caller asks
 * scheduler->leads. */
static bool would_pass(const struct salvage *salvage)
{
    struct error err;
    const struct batch trial = {.items = salvage->item, .count = 1, .is_trial = true};
    if (!run(salvage->scheduler, &trial, &err))
        return false;
    if (reload(salvage->scheduler, &err))
        return true;
    leadership_lose(salvage->scheduler, err.text);
    return false;
}

/* Halves a range until the culprits alone are left out; what there is no time for goes with them. */
static void find_culprits(const struct salvage *salvage, size_t first, size_t count)
{
    struct scheduler *scheduler = salvage->scheduler;
    bool is_late = clock_mono_ms() - salvage->begun_ms > scheduler->settings->leader_timeout_ms / 2;
    if (count == 0 || !scheduler->leads)
        return;
    inbox_split_show(salvage->split, first, count);
    if ((!is_late && would_pass(salvage)) || !scheduler->leads)
        return;
    if (is_late || count == 1) {
        inbox_split_drop(salvage->split, first, count);
        return;
    }
    find_culprits(salvage, first, count / 2);
    find_culprits(salvage, first + count / 2, count - count / 2);
}

/* A report that the database refuses counts without the parts that it refuses: they must cost neither
 * the node its leases nor the ledgers what other parts tell of them. */
static bool salvage_report(struct scheduler *scheduler, const struct inbox_item *item,
                           struct arena *arena, struct error *err)
{
    if (item->message.type != MESSAGE_NODE_REPORT)
        return false;
    struct salvage salvage = {.scheduler = scheduler, .item = item, .begun_ms = clock_mono_ms()};
    salvage.split = inbox_split_new(arena, (Guts__V1__NodeReport *)item->body);
    size_t count = inbox_split_count(salvage.split);
    const struct batch one = {.items = item, .count = 1};
    inbox_split_show(salvage.split, 0, 0);
    if (!would_pass(&salvage))
        return false;
    find_culprits(&salvage, 0, count);
    inbox_split_show(salvage.split, 0, count);
    return scheduler->leads && run(scheduler, &one, err);
}

/* What cannot be stored, or not wholly, goes to the dead-letter queue. */
static void bury(struct scheduler *scheduler, const struct inbox_item *item,
                 const struct error *reason, struct arena *arena)
{
    struct error err;
    log_fault(LOG_ERROR_LEVEL, "message_poisons_batch", reason);
    bool is_salvaged = salvage_report(scheduler, item, arena, &err);
    if (!scheduler->leads)
        return;
    if (!is_salvaged && item->message.type == MESSAGE_NODE_REPORT)
        inbox_forgo_report(scheduler, (const Guts__V1__NodeReport *)item->body);
    bus_reject(scheduler->bus, &item->message, reason);
    metric_add(&gauge_dead, 1);
}

/* One message a transaction: only the culprit goes to the dead-letter queue. */
static void replay(struct scheduler *scheduler, const struct batch *batch, struct arena *arena)
{
    struct error err;
    for (size_t i = 0; i < batch->count && scheduler->leads; i++) {
        const struct batch one = {.items = &batch->items[i], .count = 1};
        if (run(scheduler, &one, &err)) {
            bus_ack(scheduler->bus, batch->items[i].message.tag);
        } else if (scheduler->leads) {
            bury(scheduler, &batch->items[i], &err, arena);
        }
    }
    if (batch->looks != 0 && scheduler->leads)
        look_at_each(scheduler);
}

/* -- the leader's turn ---------------------------------------------------------------------------------------- */

static uint64_t wait_ms(const struct scheduler *scheduler)
{
    uint64_t idle_interval_ms = scheduler->settings->idle_interval_ms,
             renew_ms = scheduler->settings->leader_timeout_ms / 3;
    uint64_t now_ms = clock_mono_ms(),
             most = idle_interval_ms < renew_ms ? idle_interval_ms : renew_ms;
    uint64_t since_ms = now_ms - scheduler->looked_ms;
    if (scheduler->look_now || scheduler->place_again || since_ms >= most)
        return 0;
    return most - since_ms;
}

/* A call for thousands must not keep its first jobs waiting: the first looks are short. */
static size_t due_most(const struct scheduler *scheduler)
{
    size_t most = (size_t)scheduler->settings->batch_due;
    size_t step = scheduler->due_step > 0 ? scheduler->due_step : DUE_STEP_FIRST;
    return step < most ? step : most;
}

/* While more is due than one look takes, messages and looks take turns: an answer waits for one look
 * at most. */
static bool is_time_to_look(struct scheduler *scheduler, const struct inbox *inbox)
{
    bool has_backlog = scheduler->due_step > DUE_STEP_FIRST;
    if (!inbox->hinted && wait_ms(scheduler) > 0)
        return false;
    scheduler->skipped_look =
        has_backlog && !scheduler->skipped_look && inbox->items.count > (inbox->hinted ? 1 : 0);
    if (scheduler->skipped_look)
        scheduler->look_now = true; /* a hint is not forgotten */
    return !scheduler->skipped_look;
}

/* Nothing depends on it: what fails is tried again later. */
static void prune(struct scheduler *scheduler)
{
    struct error err;
    const struct batch batch = {.prunes = true};
    if (run(scheduler, &batch, &err))
        return;
    prune_failed(scheduler, clock_mono_ms());
    if (scheduler->leads)
        log_fault(LOG_WARN_LEVEL, "pruning_fails", &err);
}

static void lead(struct scheduler *scheduler, int signal_fd)
{
    struct error err;
    struct inbox inbox = {.arena = arena_new()};
    inbox_gather(scheduler, &inbox, wait_ms(scheduler), signal_fd);
    const struct batch batch = {
        .items = inbox.items.items,
        .count = inbox.items.count,
        .looks = is_time_to_look(scheduler, &inbox) ? DUE_ALL : 0,
        .due_most = due_most(scheduler),
    };
    bool stays = leadership_keeps_broker(scheduler);
    if (stays && (batch.count > 0 || batch.looks != 0)) {
        if (run(scheduler, &batch, &err))
            inbox_ack(scheduler, &inbox);
        else if (scheduler->leads)
            replay(scheduler, &batch, inbox.arena);
    }
    if (scheduler->leads && !scheduler->look_now && prune_is_due(scheduler, clock_mono_ms()))
        prune(scheduler);
    arena_free(inbox.arena);
}

/* -- the standby's turn, and what both do ---------------------------------------------------------------------- */

/* The log has each absence once, /readyz has it while it lasts. NULL: it can be used. */
static void tell_database(struct scheduler *scheduler, const struct error *err)
{
    health_set(scheduler->health, "database", err != NULL ? err->text : NULL);
    if (err != NULL)
        log_fault(scheduler->told_away ? LOG_DEBUG_LEVEL : LOG_WARN_LEVEL, "database_away", err);
    else if (scheduler->told_away)
        log_info("database_reached", "the database can be used again");
    scheduler->told_away = err != NULL;
}

static void stand_by(struct scheduler *scheduler, int signal_fd)
{
    struct error err = {0};
    struct bus_message message;
    uint64_t pause_ms = scheduler->settings->leader_timeout_ms / 6;
    bool is_watched = leadership_watch(scheduler, &err);
    tell_database(scheduler, is_watched ? NULL : &err);
    if (!is_watched)
        pause_ms = clock_backoff_ms(0, 1000, 1000) + 200;
    if (!scheduler->leads && bus_next(scheduler->bus, pause_ms, signal_fd, &message))
        bus_requeue(scheduler->bus, message.tag);
}

static void beat(struct scheduler *scheduler)
{
    static uint64_t counted_ms;
    struct error err;
    uint64_t now_ms = clock_mono_ms();
    if (scheduler->beaten_ms != 0 && now_ms - scheduler->beaten_ms < BEAT_MS)
        return;
    if (scheduler->beaten_ms == 0)
        scheduler->service.started_at = clock_wall_us();
    scheduler->beaten_ms = now_ms;
    scheduler->service.role = scheduler->leads ? "leader" : "standby";
    if (!service_beat(scheduler->store, &scheduler->service, &err))
        log_debug("beat_failed", "%s", err.text);
    if (!scheduler->leads)
        return;
    if (now_ms - counted_ms >= COUNT_STATES_MS && picture_count_states(scheduler, &err))
        counted_ms = now_ms;
    gauge_picture(scheduler->picture);
}

static void tell_health(struct scheduler *scheduler)
{
    struct bus_stats stats;
    bus_stats(scheduler->bus, &stats);
    bool is_up = stats.publishing && (stats.consuming || !scheduler->leads);
    const char *why = stats.blocked ? "the broker blocks publishers" : stats.last_error;
    health_set(scheduler->health, "broker", is_up ? NULL : why[0] == '\0' ? "not connected" : why);
    health_beat(scheduler->health);
}

void loop_turn(struct scheduler *scheduler, int signal_fd)
{
    bool led = scheduler->leads;
    if (scheduler->leads)
        lead(scheduler, signal_fd);
    else
        stand_by(scheduler, signal_fd);
    if (led != scheduler->leads)
        scheduler->beaten_ms = scheduler->beaten_ms == 0 ? 0 : 1; /* the row tells at once */
    if (led && !scheduler->leads)
        health_set(scheduler->health, "database", "the term ended");
    tell_health(scheduler);
    beat(scheduler);
}
