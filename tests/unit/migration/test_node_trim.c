/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/node_trim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "proto/bus.h"
#include "proto/codec.h"

#define JOBS 40
#define EVIDENCE_BYTES (48u << 10)

static struct arena *arena;

static int set_up(void **state)
{
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    arena_free(arena);
    return 0;
}

static char *text_of(size_t length)
{
    char *text = arena_alloc(arena, length + 1);
    memset(text, 'e', length);
    return text;
}

static Guts__V1__JobReport *job_of(size_t evidence_bytes, size_t note_bytes)
{
    Guts__V1__JobReport *job = arena_alloc(arena, sizeof(*job));
    guts__v1__job_report__init(job);
    job->result = arena_alloc(arena, sizeof(*job->result));
    guts__v1__job_result__init(job->result);
    job->result->evidence_json = text_of(evidence_bytes);
    job->notes = arena_calloc(arena, 1, sizeof(*job->notes));
    job->notes[0] = arena_alloc(arena, sizeof(**job->notes));
    guts__v1__note__init(job->notes[0]);
    job->notes[0]->text = text_of(note_bytes);
    job->n_notes = 1;
    return job;
}

static void report_fill(Guts__V1__NodeReport *report, size_t evidence_bytes, size_t note_bytes)
{
    guts__v1__node_report__init(report);
    report->n_jobs = JOBS;
    report->jobs = arena_calloc(arena, JOBS, sizeof(*report->jobs));
    for (size_t i = 0; i < JOBS; i++)
        report->jobs[i] = job_of(evidence_bytes, note_bytes);
}

static void a_report_that_fits_stays_whole(void **state)
{
    Guts__V1__NodeReport report;
    report_fill(&report, 1000, 100);
    report_trim(&report);
    for (size_t i = 0; i < JOBS; i++)
        assert_true(report.jobs[i]->result && report.jobs[i]->n_notes == 1);
}

static void many_large_results_are_told_by_turns(void **state)
{
    bool told[JOBS] = {false};
    for (uint64_t number = 1; number <= JOBS; number++) {
        Guts__V1__NodeReport report;
        size_t kept = 0;
        report_fill(&report, EVIDENCE_BYTES, 100);
        report.number = number;
        report_trim(&report);
        assert_true(codec_packed_bytes(&report.base) <= BUS_MESSAGE_MOST_BYTES);
        assert_int_equal(report.n_jobs, JOBS);
        for (size_t i = 0; i < JOBS; i++) {
            kept += report.jobs[i]->result != NULL;
            told[i] = told[i] || report.jobs[i]->result;
            assert_int_equal(report.jobs[i]->n_notes, 1);
        }
        assert_in_range(kept, 20, JOBS - 1); /* as many as fit */
    }
    for (size_t i = 0; i < JOBS; i++)
        assert_true(told[i]);
}

static void progress_goes_last_and_every_job_stays_named(void **state)
{
    Guts__V1__NodeReport report;
    report_fill(&report, 10, EVIDENCE_BYTES);
    report_trim(&report);
    assert_true(codec_packed_bytes(&report.base) <= BUS_MESSAGE_MOST_BYTES);
    assert_int_equal(report.n_jobs, JOBS);
}

/* -- parts ------------------------------------------------------------------------------------------- */

#define ENTRIES 30 /* of each job */
#define PRIOR_BYTES 4000

static void report_fill_ledgers(Guts__V1__NodeReport *report, size_t entries)
{
    report_fill(report, 1000, 100);
    report->full = true;
    report->number = 7;
    report->n_drivers = 1;
    report->drivers = arena_calloc(arena, 1, sizeof(*report->drivers));
    report->drivers[0] = arena_alloc(arena, sizeof(**report->drivers));
    guts__v1__driver_declaration__init(report->drivers[0]);
    for (size_t i = 0; i < JOBS; i++) {
        Guts__V1__JobReport *job = report->jobs[i];
        job->ledger = arena_calloc(arena, entries + 1, sizeof(*job->ledger));
        for (; job->n_ledger < entries; job->n_ledger++) {
            job->ledger[job->n_ledger] = arena_alloc(arena, sizeof(**job->ledger));
            guts__v1__ledger_entry__init(job->ledger[job->n_ledger]);
            job->ledger[job->n_ledger]->order = (uint32_t)(i * entries + job->n_ledger + 1);
            job->ledger[job->n_ledger]->prior_json = text_of(PRIOR_BYTES);
        }
    }
}

/* Counts each entry that a part tells. */
static void count_entries(const Guts__V1__NodeReport *part, unsigned *told, size_t entries)
{
    for (size_t i = 0; i < part->n_jobs; i++)
        for (size_t k = 0; k < part->jobs[i]->n_ledger; k++) {
            uint32_t order = part->jobs[i]->ledger[k]->order;
            assert_int_equal((order - 1) / entries, i);
            told[order - 1]++;
        }
}

static void a_full_report_that_is_too_large_tells_every_ledger_copy_in_parts(void **state)
{
    Guts__V1__NodeReport report;
    unsigned told[JOBS * ENTRIES] = {0};
    size_t count;
    report_fill_ledgers(&report, ENTRIES);
    Guts__V1__NodeReport **parts = report_split(&report, arena, &count);
    assert_in_range(count, 5, 8); /* 4.8 MB */
    for (size_t i = 0; i < count; i++) {
        assert_true(codec_packed_bytes(&parts[i]->base) <= BUS_MESSAGE_MOST_BYTES);
        assert_int_equal(parts[i]->number, 7 + i);
        assert_int_equal(parts[i]->part, i + 1);
        assert_int_equal(parts[i]->full, i + 1 == count);
        assert_int_equal(parts[i]->n_jobs, JOBS);
        count_entries(parts[i], told, ENTRIES);
    }
    for (size_t i = 0; i < COUNT_OF(told); i++)
        assert_int_equal(told[i], 1);
    assert_ptr_equal(parts[count - 1], &report);
    assert_int_equal(report.n_drivers, 1);
    for (size_t i = 0; i < JOBS; i++)
        assert_true(report.jobs[i]->result && report.jobs[i]->n_notes == 1);
}

static void a_full_report_that_fits_has_no_parts(void **state)
{
    Guts__V1__NodeReport report;
    size_t count;
    report_fill_ledgers(&report, 2);
    assert_ptr_equal(report_split(&report, arena, &count)[0], &report);
    assert_int_equal(count, 1);
    assert_int_equal(report.part, 0);
    assert_int_equal(report.number, 7);
    assert_int_equal(report.jobs[0]->n_ledger, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_that_fits_stays_whole),
        TEST(many_large_results_are_told_by_turns),
        TEST(progress_goes_last_and_every_job_stays_named),
        TEST(a_full_report_that_is_too_large_tells_every_ledger_copy_in_parts),
        TEST(a_full_report_that_fits_has_no_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
