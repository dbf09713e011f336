/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/advance.h"

/* What a job has found out about its source or destination. */
static void tell_endpoint(struct tick *tick, struct job *job, const struct job_end *end)
{
    bool is_source = job->fact.owner_kind == OWNER_SOURCE;
    bool is_done = end->outcome == OUTCOME_IS_DONE;
    bool is_whole = is_done && job->fact.kind != JOB_TEST;
    *TICK_ADD(tick, &tick->endpoints) = (struct endpoint_change){
        .end = is_source ? END_SOURCE : END_DESTINATION,
        .id = job->fact.owner_id,
        .state = is_done ? "ready" : "error",
        .fault = is_done ? NULL : end->fault,
        .fault_text = is_done ? NULL : end->fault_text,
        .attempt = job->fact.attempt,
        .refreshed_at = is_whole ? tick->now_us : 0,
        .count_vms = is_whole && is_source,
    };
    if (is_whole && !end->is_partial) /* else what it lacks may only be out of sight */
        *TICK_ADD(tick, &tick->sweeps) = (struct sweep_fact){
            is_source ? SWEEP_INVENTORY : SWEEP_CATALOGUE,
            {job->fact.owner_id, job->fact.project, job->fact.assigned_at, tick->now_us}};
}

void advance_endpoint_ended(struct tick *tick, struct job *job, const struct job_end *end)
{
    bool is_source = job->fact.owner_kind == OWNER_SOURCE;
    bool is_done = end->outcome == OUTCOME_IS_DONE;
    if (job->fact.kind != JOB_GC)
        tell_endpoint(tick, job, end);
    else if (is_done && !end->is_partial)
        *TICK_ADD(tick, &tick->sweeps) = (struct sweep_fact){
            SWEEP_STRAYS,
            {job->fact.owner_id, job->fact.project, job->fact.assigned_at, tick->now_us}};
    if (job->fact.kind != JOB_TEST)
        *TICK_ADD(tick, &tick->pages_gone) = job->fact.id;
    tick_event(tick, job->fact.project, is_source ? "source.state" : "destination.state",
               is_done ? EVENT_INFO : EVENT_WARN, job->fact.owner_kind, &job->fact.owner_id,
               is_done ? job_kind_name(job->fact.kind) : end->fault_text, NULL);
    if (!uuid_is_nil(&job->fact.wish_id))
        *TICK_ADD(tick, &tick->wishes) = (struct wish_outcome){
            .id = job->fact.wish_id,
            .state = is_done ? "done" : "failed",
            .fault = is_done ? NULL : end->fault,
            .fault_text = is_done ? NULL : end->fault_text,
            .answer_json = end->answer_json,
            .finished_at = tick->now_us,
        };
}
