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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_report_that_fits_stays_whole),
        TEST(many_large_results_are_told_by_turns),
        TEST(progress_goes_last_and_every_job_stays_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
