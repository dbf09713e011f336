/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows the end of a job of a migration. Pure functions over plain structs, tested by tables.
 */
#ifndef GUTS_SCHEDULER_DECIDE_H
#define GUTS_SCHEDULER_DECIDE_H

#include "common/base/error.h"
#include "proto/lifecycle.h"
#include "proto/words.h"

enum outcome { OUTCOME_IS_DONE, OUTCOME_IS_FAILED, OUTCOME_IS_CANCELLED };

enum decision {
    DECIDE_VERIFIED,
    DECIDE_DRY_RUN_DONE,     /* over CANCELLING to CANCELLED, with the preflight as evidence */
    DECIDE_RETRY,            /* another job of the same kind, after a back-off */
    DECIDE_FAIL,             /* FAILED, and rests there */
    DECIDE_FAIL_UNDO,        /* FAILED, then ROLLING_BACK with a job */
    DECIDE_FAIL_ROLLED_BACK, /* the same, and there is nothing to undo */
    DECIDE_UNDO,             /* stays CANCELLING: a job puts back what was made */
    DECIDE_CANCELLED,
    DECIDE_ROLLED_BACK,
    DECIDE_CLEANED,
    DECIDE_SETTLE_AGAIN, /* a settle check that could not look at both ends */
    DECIDE_REST,         /* stays where it stands */
};

struct decide_view {
    enum job_kind kind;
    enum outcome outcome;
    enum retry retry; /* of the fault */
    enum migration_state state;
    bool dry_run;
    bool rollback_on_failure;
    bool ledger_open; /* something was made that is not yet settled */
    uint32_t retries, retries_most;
};
enum decision decide(const struct decide_view *view);

/* Another attempt: doubling back-off with full jitter, at least half of its bound. */
uint64_t decide_backoff_ms(uint32_t retries, uint64_t first_ms, uint64_t most_ms);

/* Takeover is due: counted from the last renewal that was committed, or from when others can be heard
 * (the start of the term, the return of the broker), whichever is later. All by our monotonic clock. */
bool decide_is_lost(uint64_t now_ms, uint64_t heard_ms, uint64_t hears_since_ms,
                    uint64_t takeover_ms);

/* The verdict on a write to the ledger, by the job as it stands. */
enum fence { FENCE_STORED, FENCE_FENCED, FENCE_STOP };
struct fence_view {
    bool is_live;     /* the job is with this node, assigned or accepted */
    uint32_t attempt; /* the current one */
    enum job_kind kind;
    enum wanted wanted;
};
enum fence decide_fence(const struct fence_view *job, uint32_t attempt, enum ledger_state writes);

/* Whether a stored entry becomes what a current token writes; a write that came late or twice leaves
 * it as it is. */
bool decide_entry(enum ledger_state stored, uint32_t stored_attempt, enum ledger_state writes,
                  uint32_t attempt);

/* Whether a thing at a far end, which carries a migration's mark, is nobody's: the migration is gone, or
 * it rests and its ledger does not hold the thing. */
struct stray_view {
    bool is_known; /* there is such a migration */
    enum migration_state state;
    bool has_job;
    bool in_ledger; /* by an entry that is open or kept */
};
bool decide_is_stray(const struct stray_view *view);

/* Whether a job's directory, which the node that tells of it does not hold, may be removed: its job went
 * on elsewhere or ended, and no other node that lives has it. */
struct left_view {
    bool is_current; /* it is of the attempt that counts */
    bool is_tellers; /* it stands under the name of the node that tells */
    bool is_up;      /* the node of that name lives */
};
bool decide_is_left(const struct left_view *view);

#endif
