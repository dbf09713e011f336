/* SPDX-License-Identifier: Apache-2.0
 *
 * Steps of jobs and pages of inventories, as nodes told of them.
 */
#ifndef GUTS_COMMON_STORE_STEP_H
#define GUTS_COMMON_STORE_STEP_H

#include "common/db/db.h"

struct step_fact {
    struct uuid job_id;
    uint32_t attempt;
    uint16_t number;
    struct uuid owner_id;
    const char *name;
    const char *state; /* "running", "done", "failed", "undone", "skipped", "interrupted" */
    uint64_t started_at, finished_at; /* 0: not yet */
    const char *fault_code;           /* or NULL */
    const char *fault_text;
};
bool step_save(struct db *db, const struct step_fact *steps, size_t count,
               struct error *err) MUST_CHECK;

/* An attempt that ended while something was told as running: its node was lost, its worker was ended;
 * or it is done, and what it said last never came. */
struct step_attempt {
    struct uuid job_id, owner_id;
    uint32_t attempt;
    bool is_done;
};
/* Closes what is told as running of it, and of attempts before it. */
bool step_close(struct db *db, const struct step_attempt *attempts, size_t count, uint64_t at,
                struct error *err) MUST_CHECK;

struct job_page_fact {
    struct uuid job_id;
    uint32_t attempt;
    uint32_t number; /* from 1 */
    bool last;
};
bool job_page_save(struct db *db, const struct job_page_fact *pages, size_t count,
                   struct error *err) MUST_CHECK;
/* How many pages of this attempt are stored. */
bool job_page_count(struct db *db, const struct uuid *job_id, uint32_t attempt, uint64_t *ret_count,
                    struct error *err) MUST_CHECK;
bool job_page_delete(struct db *db, const struct uuid *job_id, struct error *err) MUST_CHECK;

#endif
