/* SPDX-License-Identifier: Apache-2.0
 *
 * Wishes from the scheduler's side: those that are due, and what became of them.
 */
#ifndef GUTS_COMMON_STORE_WISH_OUTCOME_H
#define GUTS_COMMON_STORE_WISH_OUTCOME_H

#include "common/db/db.h"
#include "proto/words.h"

struct wish_due {
    struct uuid id;
    const char *verb;
    enum owner_kind owner_kind;
    struct uuid owner_id;
    const char *project;
    const char *arguments_json; /* or NULL */
    const char *who;
    uint64_t created_at;
};
bool wish_outcome_load_due(struct db *db, struct arena *arena, uint64_t now_us, size_t most,
                           struct wish_due **ret_wishes, size_t *ret_count,
                           struct error *err) MUST_CHECK;

struct wish_outcome {
    struct uuid id;
    const char *state; /* "taken", "done", "refused", "failed"; "open": looked at again at due_at */
    const struct fault *fault;
    const char *fault_text;
    const char *answer_json; /* or NULL */
    uint64_t finished_at;    /* 0: not yet */
    uint64_t due_at;
};
bool wish_outcome_save(struct db *db, const struct wish_outcome *outcome,
                       struct error *err) MUST_CHECK;

/* Looks at the `most` wishes behind `*cursor`, from nil on, and removes those that were settled before
 * that time. The cursor is nil again when all that could be old enough was looked at. */
bool wish_outcome_prune(struct db *db, uint64_t before_us, size_t most, struct uuid *cursor,
                        uint64_t *ret_count, struct error *err) MUST_CHECK;

#endif
