/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/node_trim.h"

#include <stdbool.h>

#include "common/base/log.h"
#include "proto/bus.h"
#include "proto/codec.h"

static bool fits(const Guts__V1__NodeReport *report)
{
    return codec_packed_bytes(&report->base) <= BUS_MESSAGE_MOST_BYTES;
}

static void drop_result(Guts__V1__JobReport *job)
{
    job->result = NULL;
}

static void drop_progress(Guts__V1__JobReport *job)
{
    job->n_steps = job->n_disks = job->n_notes = 0;
}

static bool drop_until_it_fits(Guts__V1__NodeReport *report, void (*drop)(Guts__V1__JobReport *))
{
    for (size_t i = 0; i < report->n_jobs && !fits(report); i++)
        drop(report->jobs[(report->number + i) % report->n_jobs]);
    return fits(report);
}

void report_trim(Guts__V1__NodeReport *report)
{
    if (fits(report))
        return;
    log_warn("report_too_large", "parts of it are told another time");
    report->n_left = report->look.len = 0; /* it is asked again */
    if (!drop_until_it_fits(report, drop_result) && !drop_until_it_fits(report, drop_progress))
        log_error("report_too_large", "%zu jobs are too many for one report", report->n_jobs);
}

/* -- ledger copies ------------------------------------------------------------------------------------ */

#define ENTRY_FRAME_BYTES                                                                          \
    16 /* the tag and length of an entry, and what its job's length grows by */

/* All that a report must hold, and nothing that another may tell. */
static Guts__V1__NodeReport *start_part(const Guts__V1__NodeReport *report, struct arena *arena)
{
    Guts__V1__NodeReport *part = arena_memdup(arena, report, sizeof(*report));
    part->full = false;
    part->n_drivers = part->n_left = part->look.len = 0;
    part->jobs = arena_calloc(arena, report->n_jobs + 1, sizeof(*part->jobs));
    for (size_t i = 0; i < report->n_jobs; i++) {
        part->jobs[i] = arena_memdup(arena, report->jobs[i], sizeof(**part->jobs));
        part->jobs[i]->n_ledger = 0;
        part->jobs[i]->result = NULL;
        drop_progress(part->jobs[i]);
    }
    return part;
}

/* So many jobs that their names alone fill a message are nothing that parts could help. */
static bool leaves_room(const Guts__V1__NodeReport *report, struct arena *arena)
{
    return codec_packed_bytes(&start_part(report, arena)->base) < BUS_MESSAGE_MOST_BYTES / 2;
}

struct split {
    Guts__V1__NodeReport **parts;
    size_t count, bytes; /* bytes: of the last part */
};

static void add_part(struct split *split, const Guts__V1__NodeReport *report, struct arena *arena)
{
    Guts__V1__NodeReport **parts =
        arena_calloc(arena, split->count + 2, sizeof(*parts)); /* and the report itself */
    for (size_t i = 0; i < split->count; i++)
        parts[i] = split->parts[i];
    parts[split->count] = start_part(report, arena);
    split->bytes = codec_packed_bytes(&parts[split->count++]->base);
    split->parts = parts;
}

static void put_entry(struct split *split, const Guts__V1__NodeReport *report, size_t job,
                      size_t entry, struct arena *arena)
{
    Guts__V1__JobReport *from = report->jobs[job];
    size_t bytes = codec_packed_bytes(&from->ledger[entry]->base) + ENTRY_FRAME_BYTES;
    if (split->count == 0 || split->bytes + bytes > BUS_MESSAGE_MOST_BYTES)
        add_part(split, report, arena);
    Guts__V1__JobReport *to = split->parts[split->count - 1]->jobs[job];
    if (to->n_ledger++ == 0)
        to->ledger = &from->ledger[entry]; /* those of one job in one part follow each other */
    split->bytes += bytes;
}

Guts__V1__NodeReport **report_split(Guts__V1__NodeReport *report, struct arena *arena,
                                    size_t *ret_count)
{
    struct split split = {.parts = arena_calloc(arena, 1, sizeof(Guts__V1__NodeReport *))};
    bool is_split = report->full && !fits(report) && leaves_room(report, arena);
    for (size_t i = 0; is_split && i < report->n_jobs; i++) {
        for (size_t k = 0; k < report->jobs[i]->n_ledger; k++)
            put_entry(&split, report, i, k, arena);
        report->jobs[i]->n_ledger = 0;
    }
    for (size_t i = 0; i < split.count; i++) {
        split.parts[i]->number = report->number + i;
        split.parts[i]->part = (uint32_t)i + 1;
    }
    if (split.count > 0) {
        log_info("report_in_parts", "%zu hold ledger copies", split.count);
        report->number += split.count;
        report->part = (uint32_t)split.count + 1;
    }
    report_trim(report);
    split.parts[split.count] = report;
    *ret_count = split.count + 1;
    return split.parts;
}
