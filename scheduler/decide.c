/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/decide.h"

#include "common/base/clock.h"

static bool may_retry(const struct decide_view *view)
{
    return view->retry != RETRY_NEVER && view->retries < view->retries_most;
}

static enum decision decide_failure(const struct decide_view *view)
{
    if (may_retry(view))
        return DECIDE_RETRY;
    if (!view->rollback_on_failure)
        return DECIDE_FAIL;
    return view->ledger_open ? DECIDE_FAIL_UNDO : DECIDE_FAIL_ROLLED_BACK;
}

static enum decision decide_migrate(const struct decide_view *view)
{
    if (view->state == MIGRATION_CANCELLING)
        return view->ledger_open ? DECIDE_UNDO : DECIDE_CANCELLED;
    if (!lifecycle_is_unfinished(view->state))
        return DECIDE_REST;
    if (view->outcome == OUTCOME_IS_DONE)
        return view->dry_run ? DECIDE_DRY_RUN_DONE : DECIDE_VERIFIED;
    return decide_failure(view);
}

static enum decision decide_rollback(const struct decide_view *view)
{
    bool is_done = view->outcome == OUTCOME_IS_DONE && !view->ledger_open;
    if (lifecycle_is_final(view->state) || view->state == MIGRATION_VERIFIED) /* a settle check */
        return view->outcome != OUTCOME_IS_DONE && may_retry(view) ? DECIDE_SETTLE_AGAIN
                                                                   : DECIDE_REST;
    if (is_done)
        return view->state == MIGRATION_CANCELLING ? DECIDE_CANCELLED : DECIDE_ROLLED_BACK;
    return may_retry(view) ? DECIDE_RETRY : DECIDE_FAIL;
}

static enum decision decide_cleanup(const struct decide_view *view)
{
    if (view->outcome == OUTCOME_IS_DONE)
        return DECIDE_CLEANED;
    return may_retry(view) ? DECIDE_RETRY : DECIDE_REST;
}

enum decision decide(const struct decide_view *view)
{
    switch (view->kind) {
    case JOB_MIGRATE:
        return decide_migrate(view);
    case JOB_ROLLBACK:
        return decide_rollback(view);
    case JOB_CLEANUP:
        return decide_cleanup(view);
    default:
        return DECIDE_REST;
    }
}

bool decide_is_stray(const struct stray_view *view)
{
    if (!view->is_known)
        return true;
    return lifecycle_is_resting(view->state) && !view->has_job && !view->in_ledger;
}

bool decide_is_left(const struct left_view *view)
{
    return !view->is_current && (view->is_tellers || !view->is_up);
}

uint64_t decide_backoff_ms(uint32_t retries, uint64_t first_ms, uint64_t most_ms)
{
    uint64_t bound = first_ms;
    for (uint32_t i = 0; i < retries && bound < most_ms; i++)
        bound *= 2;
    if (bound > most_ms)
        bound = most_ms;
    return bound / 2 + clock_backoff_ms(0, bound / 2, bound / 2);
}

bool decide_is_lost(uint64_t now_ms, uint64_t heard_ms, uint64_t hears_since_ms,
                    uint64_t takeover_ms)
{
    uint64_t since = heard_ms > hears_since_ms ? heard_ms : hears_since_ms;
    return now_ms > since && now_ms - since >= takeover_ms;
}

enum fence decide_fence(const struct fence_view *job, uint32_t attempt, enum ledger_state writes)
{
    if (!job->is_live || attempt != job->attempt)
        return FENCE_FENCED;
    /* A cancel stops new deeds; what was done already is written down. */
    if (job->wanted == WANTED_CANCEL && job->kind == JOB_MIGRATE && writes == LEDGER_INTENDED)
        return FENCE_STOP;
    return FENCE_STORED;
}

/* How far an entry has come; undoing may fail and be tried again. */
static int entry_rank(enum ledger_state state)
{
    switch (state) {
    case LEDGER_INTENDED:
        return 1;
    case LEDGER_MADE:
        return 2;
    case LEDGER_ERROR:
        return 3;
    case LEDGER_UNDONE:
    case LEDGER_KEPT:
    case LEDGER_NOT_FOUND:
        return 4;
    default:
        return 0;
    }
}

bool decide_entry(enum ledger_state stored, uint32_t stored_attempt, enum ledger_state writes,
                  uint32_t attempt)
{
    if (attempt < stored_attempt)
        return false;
    /* An intent over what may exist already: the answer tells the writer of it (adopt it, or make it
     * anew); over what was undone it begins again. */
    if (writes == LEDGER_INTENDED && attempt > stored_attempt)
        return stored == LEDGER_INTENDED || stored == LEDGER_UNDONE || stored == LEDGER_NOT_FOUND;
    if (attempt > stored_attempt)
        return true;
    return entry_rank(writes) >= entry_rank(stored);
}
