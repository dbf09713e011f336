/* SPDX-License-Identifier: Apache-2.0
 *
 * What nodes say of jobs: accepted, refused, how far, how it ended.
 */
#include <string.h>

#include "common/json/writer.h"
#include "proto/fault.h"
#include "scheduler/advance.h"
#include "scheduler/gauge.h"
#include "scheduler/inbox.h"

/* -- accepted, refused ------------------------------------------------------------------------------- */

/* The job of a message, if it is that node's and current. */
static struct job *current_job(struct tick *tick, ProtobufCBinaryData node_id,
                               const Guts__V1__Token *wire)
{
    struct uuid node;
    struct token token;
    if (!codec_uuid(node_id, &node) || !codec_token(wire, &token))
        return NULL;
    struct job *job = map_find(&tick->picture->jobs, &token.job);
    if (job != NULL && job->fact.live && job->node != NULL && job->fact.attempt == token.attempt &&
        uuid_equal(&job->node->id, &node))
        return job;
    metric_add(&gauge_stale, 1);
    return NULL;
}

void inbox_accept_job(struct tick *tick, struct job *job)
{
    if (job->fact.state != JOB_ASSIGNED)
        return;
    job->fact.state = JOB_ACCEPTED;
    job->fact.accepted_at = tick->now_us;
    job->missed = 0;
    list_remove(&job->sent_link);
    *TICK_ADD(tick, &tick->accepts) = job;
    metric_add(&gauge_accepts, 1);
}

void inbox_apply_accept(struct tick *tick, const Guts__V1__JobAccept *accept)
{
    for (size_t i = 0; i < accept->n_tokens; i++) {
        struct job *job = current_job(tick, accept->node_id, accept->tokens[i]);
        if (job != NULL)
            inbox_accept_job(tick, job);
    }
}

static bool apply_refusal(struct tick *tick, ProtobufCBinaryData node_id,
                          const Guts__V1__Refusal *refusal, struct error *err)
{
    struct error said;
    struct job *job = current_job(tick, node_id, refusal->token);
    if (job == NULL || job->fact.state != JOB_ASSIGNED)
        return true;
    if (!tick_read_ledgers(tick, &job->fact.owner_id, 1, err))
        return false;
    codec_fault(refusal->fault, &said);
    const struct fault *fault = said.fault == NULL ? &FAULT_NODE_REFUSED : said.fault;
    const char *text = arena_strdup(tick->arena, said.fault == NULL ? "" : said.text);
    advance_requeue(tick, job, fault, text, tick->scheduler->settings->retry_first_ms);
    return true;
}

bool inbox_apply_refuse(struct tick *tick, const Guts__V1__JobRefuse *refuse, struct error *err)
{
    for (size_t i = 0; i < refuse->n_refusals; i++)
        if (!apply_refusal(tick, refuse->node_id, refuse->refusals[i], err))
            return false;
    return true;
}

/* -- the end ------------------------------------------------------------------------------------------ */

static const char *faults_json(struct tick *tick, const Guts__V1__JobResult *result)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    struct writer writer;
    if (result->n_faults == 0)
        return NULL;
    writer_init(&writer, &text);
    writer_array_begin(&writer, NULL);
    for (size_t i = 0; i < result->n_faults; i++) {
        struct error fault;
        codec_fault(result->faults[i], &fault);
        if (fault.fault == NULL)
            continue;
        writer_object_begin(&writer, NULL);
        writer_text(&writer, "code", fault.fault->code);
        writer_text(&writer, "text", fault.text);
        writer_object_end(&writer);
    }
    writer_array_end(&writer);
    return arena_strdup(tick->arena, text.data);
}

static const char *or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

/* All pages of a discovery must have come before its end counts: they travel in another queue. */
static bool pages_have_come(struct tick *tick, struct job *job, const Guts__V1__JobResult *result,
                            bool *ret_come, struct error *err)
{
    uint64_t stored = 0;
    *ret_come = true;
    bool has_pages =
        job->fact.kind == JOB_DISCOVER || job->fact.kind == JOB_CATALOG || job->fact.kind == JOB_GC;
    if (!has_pages || result->outcome != GUTS__V1__OUTCOME__OUTCOME_DONE)
        return true;
    if (!job_page_count(tick->scheduler->db, &job->fact.id, job->fact.attempt, &stored, err))
        return false;
    *ret_come = stored >= result->pages;
    return true;
}

bool inbox_apply_result(struct tick *tick, struct job *job, const Guts__V1__JobResult *result,
                        bool *ret_stored, struct error *err)
{
    struct error said;
    bool has_come;
    if (!job->fact.live) {
        *ret_stored = true;
        return true;
    }
    if (!tick_read_ledgers(tick, &job->fact.owner_id, 1, err) ||
        !pages_have_come(tick, job, result, &has_come, err))
        return false;
    *ret_stored = false;
    codec_fault(result->fault, &said);
    struct job_end end = {
        .outcome = (enum outcome)(result->outcome - GUTS__V1__OUTCOME__OUTCOME_DONE),
        .fault = said.fault,
        .fault_text = said.fault == NULL ? NULL : said.text,
        .faults_json = faults_json(tick, result),
        .evidence_json = or_null(arena_strdup(tick->arena, result->evidence_json)),
        .server_json = or_null(arena_strdup(tick->arena, result->server_json)),
        .answer_json = or_null(arena_strdup(tick->arena, result->answer_json)),
        .pages = result->pages,
        .is_partial = result->partial,
    };
    if (!has_come) {
        /* The result is told again with each report until it is stored. */
        if (job->pages_waited_ms == 0)
            job->pages_waited_ms = tick->now_ms;
        if (tick->now_ms - job->pages_waited_ms < tick->scheduler->settings->takeover_ms)
            return true;
        end.outcome = OUTCOME_IS_FAILED;
        end.fault = &FAULT_TIMEOUT;
        end.fault_text = "pages of the inventory were lost on their way";
    }
    if (end.outcome == OUTCOME_IS_FAILED && end.fault == NULL) {
        end.fault = &FAULT_INTERNAL;
        end.fault_text = "the node told no fault";
    }
    end.fault_text = arena_strdup(tick->arena, end.fault_text);
    advance_reached(tick, job, codec_migration_state(result->reached), MIGRATION_UNKNOWN);
    advance_finished(tick, job, &end);
    *ret_stored = true;
    return true;
}

/* -- progress ------------------------------------------------------------------------------------------ */

static uint64_t mix(uint64_t hash, uint64_t number)
{
    return (hash ^ number) * 0x100000001B3u + (hash >> 31);
}

/* Of a job that has ended nothing runs any more. */
static const char *step_word(const struct job *job, const Guts__V1__StepReport *step)
{
    static const char *const words[] = {"running", "running", "done",
                                        "failed",  "undone",  "skipped"};
    const char *word = words[(unsigned)step->state < COUNT_OF(words) ? step->state : 0];
    return !job->fact.live && strcmp(word, "running") == 0 ? "interrupted" : word;
}

static void apply_steps(struct tick *tick, struct job *job, const Guts__V1__JobReport *report)
{
    uint64_t hash = 1;
    for (size_t i = 0; i < report->n_steps; i++) {
        const Guts__V1__StepReport *step = report->steps[i];
        hash = mix(mix(mix(hash, step->number), step->state), step->started_at);
        hash = mix(hash, step->finished_at);
    }
    if (report->n_steps == 0 || hash == job->steps_hash)
        return;
    job->steps_hash = hash;
    job->runs_step = false;
    for (size_t i = 0; i < report->n_steps; i++) {
        const Guts__V1__StepReport *step = report->steps[i];
        struct error fault;
        codec_fault(step->fault, &fault);
        job->runs_step = job->runs_step || step->state == GUTS__V1__STEP_STATE__STEP_STATE_RUNNING;
        *TICK_ADD(tick, &tick->steps) = (struct step_fact){
            .job_id = job->fact.id,
            .attempt = job->fact.attempt,
            .number = (uint16_t)step->number,
            .owner_id = job->fact.owner_id,
            .name = arena_strdup(tick->arena, step->name),
            .state = step_word(job, step),
            .started_at = step->started_at,
            .finished_at = step->finished_at,
            .fault_code = fault.fault == NULL ? NULL : fault.fault->code,
            .fault_text = fault.fault == NULL ? NULL : arena_strdup(tick->arena, fault.text),
        };
    }
}

static void apply_disks(struct tick *tick, struct migration *migration,
                        const Guts__V1__JobReport *report)
{
    uint64_t hash = 1, total = 0, done = 0, read = 0, written = 0;
    for (size_t i = 0; i < report->n_disks; i++) {
        const Guts__V1__DiskReport *disk = report->disks[i];
        total += disk->total_bytes;
        done += disk->done_bytes;
        read += disk->read_bytes;
        written += disk->written_bytes;
        hash = mix(mix(mix(hash, disk->number), disk->capacity_bytes), disk->total_bytes);
        hash = mix(mix(mix(hash, disk->done_bytes), disk->read_bytes), disk->written_bytes);
        hash = mix(hash, strlen(disk->digest));
    }
    if (report->n_disks == 0 || hash == migration->disks_hash)
        return;
    migration->disks_hash = hash;
    migration->fact.total_bytes = total;
    migration->fact.done_bytes = done;
    migration->fact.read_bytes = read;
    migration->fact.written_bytes = written;
    tick_touch_migration(tick, migration);
    for (size_t i = 0; i < report->n_disks; i++) {
        const Guts__V1__DiskReport *disk = report->disks[i];
        *TICK_ADD(tick, &tick->disks) = (struct migration_disk_fact){
            .migration_id = migration->fact.id,
            .number = (uint16_t)disk->number,
            .capacity_bytes = disk->capacity_bytes,
            .total_bytes = disk->total_bytes,
            .done_bytes = disk->done_bytes,
            .read_bytes = disk->read_bytes,
            .written_bytes = disk->written_bytes,
            .digest = arena_strdup(tick->arena, disk->digest),
        };
    }
}

static void apply_notes(struct tick *tick, struct job *job, const Guts__V1__JobReport *report)
{
    for (size_t i = 0; i < report->n_notes; i++) {
        const Guts__V1__Note *note = report->notes[i];
        if (note->number <= job->fact.note_number)
            continue;
        job->fact.note_number = note->number; /* stored: the next leader tells it no more */
        tick_touch_job(tick, job);
        tick_event(tick, job->fact.project, "job.note", EVENT_INFO, job->fact.owner_kind,
                   &job->fact.owner_id, note->text, NULL);
    }
}

void inbox_apply_last_words(struct tick *tick, struct job *job, const Guts__V1__JobReport *report)
{
    apply_steps(tick, job, report);
    apply_notes(tick, job, report);
}

void inbox_apply_progress(struct tick *tick, struct job *job, const Guts__V1__JobReport *report)
{
    struct token token;
    if (codec_token(report->token, &token) && token.run > job->fact.run) {
        job->fact.run = token.run;
        tick_touch_job(tick, job);
    }
    picture_set_allocated(tick->picture, job, report->directory_gone ? 0 : report->allocated_bytes);
    apply_steps(tick, job, report);
    apply_notes(tick, job, report);
    if (job->migration == NULL)
        return;
    if (job->fact.kind == JOB_MIGRATE)
        apply_disks(tick, job->migration, report);
    if (report->resumes > job->migration->fact.resumes) {
        job->migration->fact.resumes = report->resumes;
        tick_touch_migration(tick, job->migration);
    }
    advance_reached(tick, job, codec_migration_state(report->reached),
                    codec_migration_state(report->way));
}
