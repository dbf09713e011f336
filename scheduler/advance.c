/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/advance.h"

#include <stdio.h>
#include <string.h>

#include "common/base/crashpoint.h"
#include "common/base/log.h"
#include "common/json/writer.h"
#include "proto/fault.h"
#include "scheduler/gauge.h"
#include "scheduler/intern.h"
#include "scheduler/work.h"

static const char *const outcome_words[] = {"done", "failed", "cancelled"};

/* -- moves ----------------------------------------------------------------------------------------- */

static void set_fault(struct migration *migration, const struct fault *fault, const char *text)
{
    free(migration->fault_text);
    migration->fault_text = fault == NULL || text == NULL ? NULL : xstrdup(text);
    migration->fact.fault = fault;
    migration->fact.fault_text = migration->fault_text;
}

static void tell(struct tick *tick, const struct migration *migration, const char *kind,
                 enum migration_state from, const struct fault *fault, const char *text)
{
    CLEANUP(buffer_fini) struct buffer data = {0};
    struct writer writer;
    writer_init(&writer, &data);
    writer_object_begin(&writer, NULL);
    if (from != MIGRATION_UNKNOWN)
        writer_text(&writer, "from", migration_state_name(from));
    writer_text(&writer, "to", migration_state_name(migration->fact.state));
    if (fault != NULL)
        writer_text(&writer, "fault", fault->code);
    if (migration->job != NULL) {
        writer_uuid(&writer, "job", &migration->job->fact.id);
        if (migration->job->node != NULL)
            writer_text(&writer, "node", migration->job->node->name);
    }
    writer_unsigned(&writer, "attempt", migration->fact.attempt);
    writer_object_end(&writer);
    tick_event(tick, migration->fact.project, kind, fault == NULL ? EVENT_INFO : EVENT_WARN,
               OWNER_MIGRATION, &migration->fact.id, text == NULL ? "" : text, data.data);
}

static void mark_times(struct tick *tick, struct migration *migration)
{
    struct migration_fact *fact = &migration->fact;
    if (fact->state == MIGRATION_SCHEDULED && fact->started_at == 0)
        fact->started_at = tick->now_us;
    fact->finished_at = lifecycle_is_resting(fact->state) ? tick->now_us : 0;
}

bool advance_move(struct tick *tick, struct migration *migration, enum migration_state to,
                  const struct fault *fault, const char *text)
{
    enum migration_state from = migration->fact.state;
    if (!lifecycle_allows(from, to)) {
        metric_add(&gauge_stale, 1);
        log_debug("illegal_move", "%s from %s to %s", UUID_TEXT(&migration->fact.id),
                  migration_state_name(from), migration_state_name(to));
        return false;
    }
    tick->picture->states[from]--;
    tick->picture->states[to]++;
    migration->fact.state = to;
    migration->fact.version++;
    if (fault != NULL)
        set_fault(migration, fault, text);
    mark_times(tick, migration);
    tick_touch_migration(tick, migration);
    tell(tick, migration, "migration.state", from, fault, text);
    crashpoint("moved", migration_state_name(to));
    return true;
}

/* -- beginnings ------------------------------------------------------------------------------------ */

static void fail(struct tick *tick, struct migration *migration, const struct fault *fault,
                 const char *text, bool ledger_open)
{
    if (!advance_move(tick, migration, MIGRATION_FAILED, fault, text) ||
        !migration->fact.rollback_on_failure ||
        !advance_move(tick, migration, MIGRATION_ROLLING_BACK, NULL, NULL))
        return;
    migration->fact.retries = 0;
    if (ledger_open)
        work_for_migration(tick, migration, JOB_ROLLBACK, NULL, NULL, 0);
    else
        advance_move(tick, migration, MIGRATION_ROLLED_BACK, NULL, "nothing had been made");
}

void advance_begin(struct tick *tick, struct migration *migration)
{
    const struct migration_fact *fact = &migration->fact;
    tick->picture->states[fact->state]++;
    migration->fact.due_at = 0;
    tick_touch_migration(tick, migration);
    tell(tick, migration, "migration.state", MIGRATION_UNKNOWN, NULL, NULL);
    if (fact->source_driver == NULL || fact->destination_driver == NULL)
        fail(tick, migration, &FAULT_NOT_FOUND, "the source or the destination was deleted", false);
    else if (!fact->vm_known)
        fail(tick, migration, &FAULT_VM_GONE, "the last discovery no longer saw the vm", false);
    else
        work_for_migration(tick, migration, JOB_MIGRATE, NULL, NULL, 0);
}

void advance_assigned(struct tick *tick, struct job *job)
{
    struct migration *migration = job->migration;
    migration->fact.attempt = job->fact.attempt;
    migration->fact.node_id = job->fact.node_id;
    tick_touch_migration(tick, migration);
    if (job->fact.kind == JOB_MIGRATE && migration->fact.state != MIGRATION_SCHEDULED)
        advance_move(tick, migration, MIGRATION_SCHEDULED, NULL, NULL);
    else
        tell(tick, migration, "job.assigned", MIGRATION_UNKNOWN, NULL,
             job_kind_name(job->fact.kind));
}

void advance_reached(struct tick *tick, struct job *job, enum migration_state reached,
                     enum migration_state way)
{
    enum migration_state path[MIGRATION_STATE_COUNT];
    struct migration *migration = job->migration;
    if (migration == NULL || job->fact.kind != JOB_MIGRATE ||
        !lifecycle_is_unfinished(migration->fact.state))
        return;
    if (way != MIGRATION_UNKNOWN && way != migration->fact.way) {
        migration->fact.way = way;
        tick_touch_migration(tick, migration);
    }
    /* A result alone makes VERIFIED, and a dry run goes no further than DISCOVERED. */
    if (reached == MIGRATION_VERIFIED)
        reached = MIGRATION_DEPLOYED;
    if (migration->fact.dry_run && reached != MIGRATION_UNKNOWN && reached > MIGRATION_DISCOVERED)
        reached = MIGRATION_DISCOVERED;
    size_t count = lifecycle_path(migration->fact.state, reached, migration->fact.way, path);
    for (size_t i = 0; i < count; i++)
        if (!advance_move(tick, migration, path[i], NULL, NULL))
            return;
}

/* -- ends ------------------------------------------------------------------------------------------ */

static void verified(struct tick *tick, struct migration *migration)
{
    enum migration_state path[MIGRATION_STATE_COUNT];
    size_t count =
        lifecycle_path(migration->fact.state, MIGRATION_VERIFIED, migration->fact.way, path);
    migration->fact.retries = 0;
    set_fault(migration, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        if (!advance_move(tick, migration, path[i], NULL, NULL))
            return;
}

static void dry_run_done(struct tick *tick, struct job *job, struct migration *migration)
{
    enum migration_state path[MIGRATION_STATE_COUNT];
    size_t count =
        lifecycle_path(migration->fact.state, MIGRATION_DISCOVERED, migration->fact.way, path);
    for (size_t i = 0; i < count; i++)
        advance_move(tick, migration, path[i], NULL, NULL);
    set_fault(migration, NULL, NULL);
    if (advance_move(tick, migration, MIGRATION_CANCELLING, NULL, "the dry run is over"))
        advance_move(tick, migration, MIGRATION_CANCELLED, NULL, NULL);
}

static void retry(struct tick *tick, struct migration *migration, enum job_kind kind,
                  const struct job_end *end)
{
    const struct scheduler_settings *settings = tick->scheduler->settings;
    uint64_t wait_ms = decide_backoff_ms(migration->fact.retries, settings->retry_first_ms,
                                         settings->retry_most_ms);
    migration->fact.retries++;
    set_fault(migration, end->fault, end->fault_text);
    tell(tick, migration, "migration.retry", MIGRATION_UNKNOWN, end->fault, end->fault_text);
    if (kind == JOB_MIGRATE && migration->fact.state != MIGRATION_SCHEDULED)
        advance_move(tick, migration, MIGRATION_SCHEDULED, NULL, NULL);
    work_for_migration(tick, migration, kind, NULL, NULL, wait_ms);
}

static void carry_out(struct tick *tick, struct job *job, struct migration *migration,
                      const struct job_end *end, enum decision decision)
{
    switch (decision) {
    case DECIDE_VERIFIED:
        verified(tick, migration);
        break;
    case DECIDE_DRY_RUN_DONE:
        dry_run_done(tick, job, migration);
        break;
    case DECIDE_RETRY:
        retry(tick, migration, job->fact.kind, end);
        break;
    case DECIDE_FAIL:
        advance_move(tick, migration, MIGRATION_FAILED, end->fault, end->fault_text);
        break;
    case DECIDE_FAIL_UNDO:
    case DECIDE_FAIL_ROLLED_BACK:
        fail(tick, migration, end->fault, end->fault_text, decision == DECIDE_FAIL_UNDO);
        break;
    case DECIDE_UNDO:
        migration->fact.retries = 0;
        work_for_migration(tick, migration, JOB_ROLLBACK, NULL, NULL, 0);
        break;
    case DECIDE_CANCELLED:
        advance_move(tick, migration, MIGRATION_CANCELLED, NULL, NULL);
        break;
    case DECIDE_ROLLED_BACK:
        advance_move(tick, migration, MIGRATION_ROLLED_BACK, NULL, NULL);
        break;
    case DECIDE_CLEANED:
        advance_move(tick, migration, MIGRATION_CLEANED, NULL, NULL);
        break;
    case DECIDE_SETTLE_AGAIN:
        migration->fact.retries++;
        migration->fact.due_at =
            tick->now_us + 1000 * decide_backoff_ms(migration->fact.retries,
                                                    tick->scheduler->settings->retry_first_ms,
                                                    tick->scheduler->settings->retry_most_ms);
        tell(tick, migration, "migration.settle_retry", MIGRATION_UNKNOWN, end->fault,
             end->fault_text);
        break;
    case DECIDE_REST:
        if (end->fault != NULL && job->fact.kind == JOB_ROLLBACK &&
            lifecycle_is_resting(migration->fact.state))
            tell(tick, migration, "migration.settle_failed", MIGRATION_UNKNOWN, end->fault,
                 end->fault_text);
        if (end->fault != NULL && migration->fact.state == MIGRATION_CLEANING) {
            set_fault(migration, end->fault, end->fault_text);
            tell(tick, migration, "migration.cleanup_failed", MIGRATION_UNKNOWN, end->fault,
                 end->fault_text);
        }
        break;
    }
}

/* What a settle check finds is looked for after every undoing that had something to undo, and after
 * every result that is not of the first attempt. */
static bool wants_settle_check(const struct job *job, const struct migration *migration)
{
    enum migration_state state = migration->fact.state;
    if (job->fact.kind == JOB_ROLLBACK)
        return (state == MIGRATION_ROLLED_BACK || state == MIGRATION_CANCELLED) &&
               job->fact.request_json == NULL;
    if (job->fact.kind == JOB_MIGRATE)
        return state == MIGRATION_VERIFIED && job->fact.attempt > 1;
    return state == MIGRATION_CLEANED && job->fact.attempt > 2; /* cleaning up was one */
}

static void plan_settle_check(struct tick *tick, struct job *job, struct migration *migration)
{
    if (!wants_settle_check(job, migration))
        return;
    migration->fact.retries = 0;
    migration->fact.due_at = tick->now_us + tick->scheduler->settings->takeover_ms * 1000;
}

static void end_migration_job(struct tick *tick, struct job *job, const struct job_end *end)
{
    const struct scheduler_settings *settings = tick->scheduler->settings;
    struct migration *migration = job->migration;
    struct job_end told = *end;
    if (told.outcome != OUTCOME_IS_DONE && told.fault == NULL) {
        told.fault = &FAULT_CANCELLED;
        told.fault_text = "the job ended without a fault";
    }
    bool is_undo = job->fact.kind != JOB_MIGRATE;
    const struct decide_view view = {
        .kind = job->fact.kind,
        .outcome = end->outcome,
        /* Ended without being asked to: the node stopped. That may pass. */
        .retry = end->outcome == OUTCOME_IS_FAILED ? told.fault->retry : RETRY_AGAIN,
        .state = migration->fact.state,
        .dry_run = migration->fact.dry_run,
        .rollback_on_failure = migration->fact.rollback_on_failure,
        .ledger_open = owner_ledger_is_open(tick_ledger(tick, &migration->fact.id)),
        .retries = migration->fact.retries,
        .retries_most = (uint32_t)(is_undo ? settings->undo_retries_most : settings->retries_most),
    };
    if (view.outcome == OUTCOME_IS_DONE && view.kind == JOB_ROLLBACK && view.ledger_open &&
        told.fault == NULL && view.state != MIGRATION_VERIFIED) {
        told.fault = &FAULT_LEDGER_OPEN;
        told.fault_text = "the rollback left entries of the ledger open";
    }
    migration->job = NULL;
    job->migration = NULL;
    tick_touch_migration(tick, migration);
    if (end->faults_json != NULL || end->evidence_json != NULL || end->server_json != NULL ||
        (migration->fact.dry_run && end->answer_json != NULL))
        *TICK_ADD(tick, &tick->results) = (struct result_fact){
            migration->fact.id, end->faults_json,
            migration->fact.dry_run && end->answer_json != NULL ? end->answer_json
                                                                : end->evidence_json,
            end->server_json};
    carry_out(tick, job, migration, &told, decide(&view));
    plan_settle_check(tick, job, migration);
}

void advance_finished(struct tick *tick, struct job *job, const struct job_end *end)
{
    picture_unwait(job);
    picture_end_job(tick->picture, job);
    job->fact.state = job->node == NULL ? JOB_CLOSED : JOB_FINISHED;
    job->fact.outcome = outcome_words[end->outcome];
    job->fact.fault = end->fault;
    free((char *)job->fact.fault_text);
    job->fact.fault_text = end->fault_text == NULL ? NULL : xstrdup(end->fault_text);
    job->fact.finished_at = tick->now_us;
    job->fact.due_at = 0;
    tick_touch_job(tick, job);
    if (end->outcome != OUTCOME_IS_DONE || job->runs_step)
        tick_close_steps(tick, job, end->outcome == OUTCOME_IS_DONE);
    if (job->migration != NULL)
        end_migration_job(tick, job, end);
    else if (job->fact.owner_kind == OWNER_SOURCE || job->fact.owner_kind == OWNER_DESTINATION)
        advance_endpoint_ended(tick, job, end);
}

void advance_requeue(struct tick *tick, struct job *job, const struct fault *fault,
                     const char *text, uint64_t wait_ms)
{
    struct migration *migration = job->migration;
    struct job_end end = {.outcome = OUTCOME_IS_CANCELLED, .fault = fault, .fault_text = text};
    if (job->node != NULL)
        job->avoid = job->node->id;
    picture_unplace_job(tick->picture, job);
    tick_touch_job(tick, job);
    metric_add(&gauge_takeovers, 1);
    if (job->fact.wanted == WANTED_CANCEL) {
        advance_finished(tick, job, &end);
        return;
    }
    if (job->attempts >= (uint32_t)tick->scheduler->settings->attempts_most) {
        end = (struct job_end){OUTCOME_IS_FAILED, &FAULT_ATTEMPTS_SPENT, text};
        advance_finished(tick, job, &end);
        return;
    }
    tick_close_steps(tick, job, false);
    job->fact.state = JOB_WAITING;
    job->fact.node_id = job->fact.pool_id = (struct uuid){0};
    job->fact.node_instance[0] = '\0';
    job->fact.assigned_at = job->fact.accepted_at = 0;
    /* Due at once, or after its back-off: it is found by its due_at and enters its group then. */
    job->fact.due_at = tick->now_us + wait_ms * 1000;
    tick->scheduler->look_now = true;
    job->steps_hash = 0;
    job->fact.note_number = 0;
    job->missed = 0;
    if (migration != NULL) {
        tell(tick, migration, "job.lost", MIGRATION_UNKNOWN, fault, text);
        if (job->fact.kind == JOB_MIGRATE && migration->fact.state != MIGRATION_SCHEDULED)
            advance_move(tick, migration, MIGRATION_SCHEDULED, NULL, text);
    }
}

/* -- verbs ----------------------------------------------------------------------------------------- */

static bool cancel(struct tick *tick, struct migration *migration)
{
    struct job *job = migration->job;
    const struct job_end end = {.outcome = OUTCOME_IS_CANCELLED};
    migration->fact.due_at = 0;
    advance_move(tick, migration, MIGRATION_CANCELLING, NULL, NULL);
    if (job != NULL && job->fact.state == JOB_ACCEPTED) {
        job->fact.wanted = WANTED_CANCEL;
        tick_touch_job(tick, job);
        return true;
    }
    if (job != NULL) {
        /* No worker of it ever began: it was not yet accepted, so no lease was given. */
        job->fact.wanted = WANTED_CANCEL;
        picture_unplace_job(tick->picture, job);
        advance_finished(tick, job, &end);
        return true;
    }
    if (owner_ledger_is_open(tick_ledger(tick, &migration->fact.id)))
        work_for_migration(tick, migration, JOB_ROLLBACK, NULL, NULL, 0);
    else
        advance_move(tick, migration, MIGRATION_CANCELLED, NULL, NULL);
    return true;
}

static bool begin_undo(struct tick *tick, struct migration *migration, const struct uuid *wish_id)
{
    migration->fact.retries = 0;
    migration->fact.due_at = 0;
    if (!advance_move(tick, migration, MIGRATION_ROLLING_BACK, NULL, NULL))
        return false;
    if (owner_ledger_is_open(tick_ledger(tick, &migration->fact.id)))
        work_for_migration(tick, migration, JOB_ROLLBACK, wish_id, NULL, 0);
    else
        advance_move(tick, migration, MIGRATION_ROLLED_BACK, NULL, "nothing had been made");
    return true;
}

static bool clean(struct tick *tick, struct migration *migration, const struct uuid *wish_id,
                  struct error *err)
{
    if (migration->fact.state == MIGRATION_CLEANING && migration->job != NULL)
        return error_set(err, &FAULT_STATE_FORBIDS, "its cleanup is under way");
    migration->fact.retries = 0;
    migration->fact.due_at = 0;
    set_fault(migration, NULL, NULL);
    if (migration->fact.state == MIGRATION_VERIFIED &&
        !advance_move(tick, migration, MIGRATION_CLEANING, NULL, NULL))
        return error_set(err, &FAULT_STATE_FORBIDS, "it cannot be cleaned up");
    work_for_migration(tick, migration, JOB_CLEANUP, wish_id, NULL, 0);
    return true;
}

static bool try_again(struct tick *tick, struct migration *migration, const struct uuid *wish_id,
                      struct error *err)
{
    if (owner_ledger_has_error(tick_ledger(tick, &migration->fact.id)))
        return error_set(err, &FAULT_LEDGER_OPEN,
                         "entries of the ledger could not be undone: roll back first");
    migration->fact.retries = 0;
    set_fault(migration, NULL, NULL);
    if (!advance_move(tick, migration, MIGRATION_PENDING, NULL, NULL))
        return error_set(err, &FAULT_STATE_FORBIDS, "it cannot be tried again");
    work_for_migration(tick, migration, JOB_MIGRATE, wish_id, NULL, 0);
    return true;
}

static bool delete (struct tick *tick, struct migration *migration, struct error *err)
{
    if (migration->job != NULL)
        return error_set(err, &FAULT_STATE_FORBIDS, "a job still looks at both ends");
    if (owner_ledger_is_open(tick_ledger(tick, &migration->fact.id)))
        return error_set(err, &FAULT_LEDGER_OPEN, "entries of the ledger are not settled");
    *TICK_ADD(tick, &tick->migrations_gone) = migration->fact.id;
    tick->picture->states[migration->fact.state]--;
    tell(tick, migration, "migration.deleted", migration->fact.state, NULL, NULL);
    return true;
}

bool advance_verb(struct tick *tick, struct migration *migration, enum migration_verb verb,
                  const struct uuid *wish_id, struct error *err)
{
    enum migration_state state = migration->fact.state;
    if (!lifecycle_accepts(state, verb))
        return error_set(err, &FAULT_STATE_FORBIDS, "%s is refused while it is %s",
                         migration_verb_name(verb), migration_state_name(state));
    switch (verb) {
    case VERB_CANCEL:
        return cancel(tick, migration);
    case VERB_RETRY:
        return try_again(tick, migration, wish_id, err);
    case VERB_ROLLBACK:
        return begin_undo(tick, migration, wish_id) ||
               error_set(err, &FAULT_STATE_FORBIDS, "it cannot be rolled back");
    case VERB_CLEANUP:
        return clean(tick, migration, wish_id, err);
    case VERB_DELETE:
        return delete (tick, migration, err);
    }
    return error_set(err, &FAULT_INTERNAL, "verb %d", (int)verb);
}

void advance_settle_check(struct tick *tick, struct migration *migration)
{
    migration->fact.due_at = 0;
    tick_touch_migration(tick, migration);
    if (migration->job == NULL &&
        (lifecycle_is_final(migration->fact.state) || migration->fact.state == MIGRATION_VERIFIED))
        work_for_migration(tick, migration, JOB_ROLLBACK, NULL, "{\"settle\":true}", 0);
}
