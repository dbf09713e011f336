/* SPDX-License-Identifier: Apache-2.0
 *
 * One job from its start to its result: which steps its kind has, and what is told at the end.
 *
 * Threads: the job's own.
 */
#ifndef GUTS_MIGRATION_JOB_H
#define GUTS_MIGRATION_JOB_H

#include "migration/node_settings.h"
#include "migration/work_inside.h"

struct job_plan {
    struct work *work;
    const struct assign *assign;
    struct progress *progress;
    const struct worker_settings *limits;
    const char *private_key; /* a file; "": none */
    const json_t *options;
};
/* Appends the packed JobResult, whatever the outcome is. */
void job_run(const struct job_plan *plan, struct buffer *ret_result);
/* The same for a job that could not even begin, or whose worker is gone. */
void job_pack_failure(const struct token *token, const struct error *fault,
                      enum migration_state reached, struct buffer *ret_result);

#endif
