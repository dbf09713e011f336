/* SPDX-License-Identifier: Apache-2.0
 *
 * A report taken apart: what the database refuses in it is found by leaving parts out, so that the rest
 * counts. Its lists are written over in place; the parts hold what stood in them.
 */
#include <string.h>

#include "common/base/log.h"
#include "proto/fault.h"
#include "scheduler/gauge.h"
#include "scheduler/inbox.h"

struct part {
    const char *what;
    void *list; /* an array of pointers */
    size_t *count;
    void *content;
    Guts__V1__JobReport *job; /* whose result it is; list is NULL then */
    bool is_out;
};

struct inbox_split {
    struct arena *arena;
    Guts__V1__NodeReport *report;
    TICK_LIST(struct part) parts;
};

static void add_list(struct inbox_split *split, const char *what, void *list, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        struct part *part = TICK_ADD(split, &split->parts);
        *part = (struct part){.what = what, .list = list, .count = count};
        memcpy(&part->content, (char *)list + i * sizeof part->content, sizeof part->content);
    }
}

static void add_job(struct inbox_split *split, Guts__V1__JobReport *job)
{
    add_list(split, "an entry of a ledger", job->ledger, &job->n_ledger);
    add_list(split, "a step", job->steps, &job->n_steps);
    add_list(split, "a disk", job->disks, &job->n_disks);
    add_list(split, "a note", job->notes, &job->n_notes);
    if (job->result != NULL)
        *TICK_ADD(split, &split->parts) =
            (struct part){.what = "a result", .content = job->result, .job = job};
}

struct inbox_split *inbox_split_new(struct arena *arena, Guts__V1__NodeReport *report)
{
    struct inbox_split *split = arena_alloc(arena, sizeof *split);
    split->arena = arena;
    split->report = report;
    for (size_t i = 0; i < report->n_jobs; i++)
        add_job(split, report->jobs[i]);
    add_list(split, "a declaration", report->drivers, &report->n_drivers);
    add_list(split, "a directory", report->left, &report->n_left);
    return split;
}

size_t inbox_split_count(const struct inbox_split *split)
{
    return split->parts.count;
}

static void hide(struct part *part)
{
    if (part->list == NULL)
        part->job->result = NULL;
    else
        *part->count = 0;
}

/* A job whose result cannot be stored has failed: else it would be told for ever. */
static Guts__V1__JobResult *poisoned_result(struct arena *arena, const Guts__V1__JobResult *told)
{
    struct error error;
    Guts__V1__JobResult *result = arena_alloc(arena, sizeof *result);
    guts__v1__job_result__init(result);
    error_set(&error, &FAULT_MESSAGE_POISON, "its result cannot be stored");
    struct error *kept = arena_memdup(arena, &error, sizeof error);
    result->token = told->token;
    result->outcome = GUTS__V1__OUTCOME__OUTCOME_FAILED;
    result->fault = codec_fault_to(arena, kept);
    return result;
}

static void put_back(struct part *part)
{
    if (part->list == NULL)
        part->job->result = part->content;
    else
        memcpy((char *)part->list + (*part->count)++ * sizeof part->content, &part->content,
               sizeof part->content);
}

void inbox_split_show(struct inbox_split *split, size_t first, size_t count)
{
    for (size_t i = 0; i < split->parts.count; i++)
        hide(&split->parts.items[i]);
    for (size_t i = first; i < first + count; i++)
        if (!split->parts.items[i].is_out)
            put_back(&split->parts.items[i]);
}

void inbox_split_drop(struct inbox_split *split, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        struct part *part = &split->parts.items[i];
        log_warn("report_part_refused", "node \"%s\": left out, for the database refuses it: %s",
                 split->report->name, part->what);
        metric_add(&gauge_trimmed, 1);
        if (part->list == NULL)
            part->content = poisoned_result(split->arena, part->content);
        else
            part->is_out = true;
    }
}
