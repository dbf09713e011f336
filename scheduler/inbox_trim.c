/* SPDX-License-Identifier: Apache-2.0
 *
 * What breaks its bounds within a report is taken out of it, counted and logged. The rest counts: one
 * bad step of one job costs no other job its lease.
 */
#include <jansson.h>
#include <string.h>

#include "common/base/log.h"
#include "proto/fault.h"
#include "scheduler/gauge.h"
#include "scheduler/inbox.h"

#define STEPS_MOST 256
#define NOTES_MOST 256
#define LEDGER_MOST 4096
#define WORDS_MOST 64
#define PATH_MOST 1024
#define LEFT_MOST 256

static void drop(const char *node, const char *what, size_t count)
{
    if (count == 0)
        return;
    log_warn("report_trimmed", "node \"%s\": %zu parts dropped: %s", node, count, what);
    metric_add(&gauge_trimmed, (int64_t)count);
}

/* Keeps, of at most `most` elements, those that are sound. */
#define KEEP(list, length, most, is_sound, node, what)                                             \
    do {                                                                                           \
        size_t kept = 0;                                                                           \
        for (size_t i = 0; i < (length) && i < (most); i++)                                        \
            if (is_sound((list)[i]))                                                               \
                (list)[kept++] = (list)[i];                                                        \
        drop(node, what, (length)-kept);                                                           \
        (length) = kept;                                                                           \
    } while (0)

/* -- results ------------------------------------------------------------------------------------------ */

bool inbox_is_json(const char *text)
{
    json_error_t where;
    if (text[0] == '\0')
        return true;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &where);
    json_decref(value);
    return value != NULL;
}

/* A document that nobody could read proves nothing: the job has failed then. */
static void trim_document(char **text, const char *what, Guts__V1__JobResult *result,
                          struct arena *arena, const char *node)
{
    struct error error;
    if (inbox_is_json(*text))
        return;
    drop(node, what, 1);
    *text = "";
    if (result->outcome != GUTS__V1__OUTCOME__OUTCOME_DONE)
        return;
    error_set(&error, &FAULT_MESSAGE_POISON, "the result's %s is no JSON", what);
    result->outcome = GUTS__V1__OUTCOME__OUTCOME_FAILED;
    struct error *kept = arena_memdup(arena, &error, sizeof error);
    result->fault = codec_fault_to(arena, kept);
}

void inbox_trim_result(Guts__V1__JobResult *result, struct arena *arena, const char *node)
{
    if (result->outcome < GUTS__V1__OUTCOME__OUTCOME_DONE ||
        result->outcome > GUTS__V1__OUTCOME__OUTCOME_CANCELLED) {
        drop(node, "an outcome", 1);
        result->outcome = GUTS__V1__OUTCOME__OUTCOME_FAILED;
    }
    trim_document(&result->evidence_json, "evidence", result, arena, node);
    trim_document(&result->server_json, "server", result, arena, node);
    trim_document(&result->answer_json, "answer", result, arena, node);
}

/* -- jobs --------------------------------------------------------------------------------------------- */

static bool is_step(const Guts__V1__StepReport *step)
{
    return inbox_is_word(step->name) && step->number <= UINT16_MAX;
}

static bool is_disk(const Guts__V1__DiskReport *disk)
{
    return disk->number < VM_DISKS_MOST &&
           (disk->digest[0] == '\0' || inbox_is_text(disk->digest, 192));
}

static bool is_note(const Guts__V1__Note *note)
{
    return note->text[0] != '\0';
}

static bool is_entry(const Guts__V1__LedgerEntry *entry)
{
    struct ledger_entry plain;
    struct error err;
    return codec_ledger_entry(entry, &plain, &err) && inbox_is_json(entry->prior_json);
}

static bool is_about(const Guts__V1__Token *wire, const Guts__V1__Token *other)
{
    struct token left, right;
    return codec_token(wire, &left) && codec_token(other, &right) &&
           uuid_equal(&left.job, &right.job) && left.attempt == right.attempt;
}

void inbox_trim_job(Guts__V1__JobReport *job, struct arena *arena, const char *node)
{
    KEEP(job->steps, job->n_steps, STEPS_MOST, is_step, node, "steps");
    KEEP(job->disks, job->n_disks, VM_DISKS_MOST, is_disk, node, "disks");
    KEEP(job->notes, job->n_notes, NOTES_MOST, is_note, node, "notes");
    KEEP(job->ledger, job->n_ledger, LEDGER_MOST, is_entry, node, "entries of a ledger");
    if (job->result == NULL)
        return;
    if (is_about(job->result->token, job->token)) {
        inbox_trim_result(job->result, arena, node);
    } else {
        drop(node, "a result of another job", 1);
        job->result = NULL;
    }
}

/* -- nodes -------------------------------------------------------------------------------------------- */

static bool is_job(const Guts__V1__JobReport *job)
{
    return inbox_is_token(job->token);
}

static bool is_pool(const Guts__V1__PoolReport *pool)
{
    return inbox_is_id(pool->id) && strlen(pool->path) <= PATH_MOST;
}

static bool is_resource(const Guts__V1__Resource *resource)
{
    return inbox_is_word(resource->name);
}

static bool is_driver(const Guts__V1__DriverDeclaration *driver)
{
    return inbox_is_word(driver->name) && codec_end(driver->end) != END_UNKNOWN;
}

static bool is_left(const Guts__V1__LeftDirectory *left)
{
    return inbox_is_text(left->name, 191) && strlen(left->path) <= PATH_MOST;
}

/* A pool that is told twice is one pool. */
static void unite_pools(Guts__V1__NodeReport *report)
{
    size_t kept = 0;
    for (size_t i = 0; i < report->n_pools; i++) {
        size_t k = 0;
        while (k < kept &&
               memcmp(report->pools[k]->id.data, report->pools[i]->id.data, UUID_BYTES) != 0)
            k++;
        if (k == kept)
            report->pools[kept++] = report->pools[i];
    }
    drop(report->name, "pools told twice", report->n_pools - kept);
    report->n_pools = kept;
}

void inbox_trim_report(Guts__V1__NodeReport *report, struct arena *arena)
{
    const char *node = report->name;
    KEEP(report->labels, report->n_labels, WORDS_MOST, inbox_is_word, node, "labels");
    KEEP(report->source_drivers, report->n_source_drivers, WORDS_MOST, inbox_is_word, node,
         "names of drivers");
    KEEP(report->destination_drivers, report->n_destination_drivers, WORDS_MOST, inbox_is_word,
         node, "names of drivers");
    KEEP(report->pools, report->n_pools, PLACE_POOLS_MOST, is_pool, node, "pools");
    unite_pools(report);
    KEEP(report->resources, report->n_resources, WORDS_MOST, is_resource, node, "resources");
    KEEP(report->drivers, report->n_drivers, WORDS_MOST, is_driver, node, "declarations");
    KEEP(report->left, report->n_left, LEFT_MOST, is_left, node, "directories");
    KEEP(report->jobs, report->n_jobs, report->n_jobs, is_job, node, "jobs without a token");
    for (size_t i = 0; i < report->n_jobs; i++)
        inbox_trim_job(report->jobs[i], arena, node);
}
