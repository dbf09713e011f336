/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/job.h"

#include <string.h>

#include "migration/steps.h"
#include "proto/codec.h"

/* What goes into a message with everything else: a text beyond it is left out. */
#define RESULT_JSON_MOST_BYTES (48u << 10)

static bool run_kind(struct run *run, struct error *err)
{
    switch (run->assign->kind) {
    case JOB_TEST:
        return job_test(run, err);
    case JOB_DISCOVER:
        return job_discover(run, err);
    case JOB_CATALOG:
        return job_catalog(run, err);
    case JOB_MIGRATE:
        return job_migrate(run, err);
    case JOB_ROLLBACK:
        return job_rollback(run, err);
    case JOB_CLEANUP:
        return job_cleanup(run, err);
    case JOB_GC:
        return job_gc(run, err);
    case JOB_UNKNOWN:
        break;
    }
    return error_set(err, &FAULT_VERSION_UNSUPPORTED, "a job of an unknown kind");
}

static Guts__V1__Outcome outcome_of(const struct error *fault)
{
    if (!fault)
        return GUTS__V1__OUTCOME__OUTCOME_DONE;
    if (fault->fault == &FAULT_CANCELLED || fault->fault == &FAULT_STOPPED)
        return GUTS__V1__OUTCOME__OUTCOME_CANCELLED;
    return GUTS__V1__OUTCOME__OUTCOME_FAILED;
}

static char *text_of(struct arena *arena, const json_t *object)
{
    CLEANUP(xfreep) char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    return arena_strdup(arena, text && strlen(text) <= RESULT_JSON_MOST_BYTES ? text : "");
}

static void put_faults(const struct run *run, struct arena *arena, Guts__V1__JobResult *result)
{
    size_t count = fault_list_count(run->faults);
    result->faults = arena_calloc(arena, count + 1, sizeof(*result->faults));
    result->n_faults = count;
    for (size_t i = 0; i < count; i++)
        result->faults[i] = codec_fault_to(arena, fault_list_get(run->faults, i));
}

static void pack_result(const struct run *run, const struct error *fault, struct buffer *ret_result)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__JobResult result;
    guts__v1__job_result__init(&result);
    result.token = codec_token_to(arena, work_token(run->work));
    result.outcome = outcome_of(fault);
    result.fault = fault ? codec_fault_to(arena, fault) : NULL;
    result.evidence_json = text_of(arena, run->evidence);
    result.server_json = text_of(arena, run->server);
    result.answer_json = text_of(arena, run->answer);
    result.reached = (Guts__V1__MigrationState)work_reached(run->work);
    result.pages = run->pages;
    result.partial = work_is_partial(run->work);
    put_faults(run, arena, &result);
    codec_pack(&result.base, ret_result);
}

void job_pack_failure(const struct token *token, const struct error *fault,
                      enum migration_state reached, struct buffer *ret_result)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__JobResult result;
    guts__v1__job_result__init(&result);
    result.token = codec_token_to(arena, token);
    result.outcome = outcome_of(fault);
    result.fault = codec_fault_to(arena, fault);
    result.reached = (Guts__V1__MigrationState)reached;
    codec_pack(&result.base, ret_result);
}

void job_run(const struct job_plan *plan, struct buffer *ret_result)
{
    struct error err = {0};
    struct run run = {
        .work = plan->work,
        .assign = plan->assign,
        .progress = plan->progress,
        .limits = plan->limits,
        .private_key = plan->private_key,
        .arena = work_arena(plan->work),
        .options = plan->options,
        .faults = fault_list_new(),
    };
    pthread_mutex_init(&run.ends, NULL);
    bool good = run_kind(&run, &err);
    pack_result(&run, good ? NULL : &err, ret_result);
    ends_close(&run);
    pthread_mutex_destroy(&run.ends);
    fault_list_free(run.faults);
    json_decref(run.state);
    json_decref(run.evidence);
    json_decref(run.server);
    json_decref(run.answer);
}
