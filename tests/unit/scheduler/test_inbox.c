/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "proto/fault.h"
#include "scheduler/inbox.h"

static const struct uuid node_id = {{1}}, job_id = {{2}}, other_id = {{3}}, pool_id = {{4}};

static Guts__V1__Token *token_of(struct arena *arena, const struct uuid *job, uint32_t attempt)
{
    const struct token token = {*job, attempt, 1};
    return codec_token_to(arena, arena_memdup(arena, &token, sizeof token));
}

static Guts__V1__StepReport step_of(char *name, uint32_t number)
{
    Guts__V1__StepReport step = GUTS__V1__STEP_REPORT__INIT;
    step.name = name;
    step.number = number;
    return step;
}

static Guts__V1__NodeReport report_of(void)
{
    Guts__V1__NodeReport report = GUTS__V1__NODE_REPORT__INIT;
    report.node_id = codec_uuid_to(&node_id);
    report.name = "node-1";
    report.instance = "one";
    return report;
}

static void a_bad_step_of_one_job_leaves_the_report_standing(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    Guts__V1__NodeReport report = report_of();
    Guts__V1__JobReport bad = GUTS__V1__JOB_REPORT__INIT, good = GUTS__V1__JOB_REPORT__INIT;
    Guts__V1__JobReport without = GUTS__V1__JOB_REPORT__INIT;
    Guts__V1__JobReport *jobs[] = {&bad, &without, &good};
    Guts__V1__StepReport steps[] = {step_of("copy", 0), step_of("no word", 1), step_of("end", 2),
                                    step_of("far", 70000)};
    Guts__V1__StepReport *list[] = {&steps[0], &steps[1], &steps[2], &steps[3]};
    bad.token = token_of(arena, &job_id, 1);
    bad.steps = list;
    bad.n_steps = COUNT_OF(list);
    good.token = token_of(arena, &other_id, 1);
    report.jobs = jobs;
    report.n_jobs = COUNT_OF(jobs);
    assert_true(inbox_check(MESSAGE_NODE_REPORT, &report.base, arena, &err));
    assert_int_equal(report.n_jobs, 2);
    assert_ptr_equal(report.jobs[1], &good);
    assert_int_equal(bad.n_steps, 2);
    assert_string_equal(bad.steps[1]->name, "end");
}

static void what_the_api_hands_on_must_be_json(void **state)
{
    static const struct {
        char *text;
        bool is_sound;
    } cases[] = {{"", true}, {"{\"ran\": true}", true}, {"{", false}, {"{}, \"x\": 1", false}};
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct uuid id = uuid_new();
    const struct token token = {id, 1, 1};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error err;
        Guts__V1__LedgerEntry entry = GUTS__V1__LEDGER_ENTRY__INIT;
        Guts__V1__LedgerWrite write = GUTS__V1__LEDGER_WRITE__INIT;
        Guts__V1__CatalogItem item = GUTS__V1__CATALOG_ITEM__INIT, *items[] = {&item};
        Guts__V1__CatalogPage page = GUTS__V1__CATALOG_PAGE__INIT;
        entry.end = GUTS__V1__END__END_OF_SOURCE;
        entry.kind = entry.key = "power";
        entry.state = GUTS__V1__LEDGER_STATE__LEDGER_STATE_INTENDED;
        entry.prior_json = item.detail_json = cases[i].text;
        write.node_id = page.node_id = codec_uuid_to(&id);
        write.node_instance = "one";
        write.token = page.token = codec_token_to(arena, &token);
        write.entry = &entry;
        item.kind = item.id = "flavor";
        page.number = 1;
        page.n_items = 1;
        page.items = items;
        assert_int_equal(inbox_check(MESSAGE_LEDGER_WRITE, &write.base, arena, &err),
                         cases[i].is_sound);
        assert_int_equal(inbox_check(MESSAGE_CATALOG_PAGE, &page.base, arena, &err),
                         cases[i].is_sound);
    }
}

static void a_node_without_a_name_is_refused(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    Guts__V1__NodeReport report = report_of();
    report.name = "no name";
    assert_false(inbox_check(MESSAGE_NODE_REPORT, &report.base, arena, &err));
    assert_ptr_equal(err.fault, &FAULT_MESSAGE_POISON);
}

static void bad_words_and_doubled_pools_go_alone(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    char *labels[] = {"site-a", "site b", "site-c"};
    Guts__V1__PoolReport first = GUTS__V1__POOL_REPORT__INIT, second = first, nameless = first;
    Guts__V1__PoolReport *pools[] = {&first, &nameless, &second};
    Guts__V1__NodeReport report = report_of();
    first.id = second.id = codec_uuid_to(&pool_id);
    report.labels = labels;
    report.n_labels = COUNT_OF(labels);
    report.pools = pools;
    report.n_pools = COUNT_OF(pools);
    assert_true(inbox_check(MESSAGE_NODE_REPORT, &report.base, arena, &err));
    assert_int_equal(report.n_labels, 2);
    assert_string_equal(report.labels[1], "site-c");
    assert_int_equal(report.n_pools, 1);
}

static void evidence_that_nobody_can_read_fails_the_job(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0}, said;
    Guts__V1__JobFinished finished = GUTS__V1__JOB_FINISHED__INIT;
    Guts__V1__JobResult result = GUTS__V1__JOB_RESULT__INIT;
    Guts__V1__JobReport report = GUTS__V1__JOB_REPORT__INIT;
    finished.node_id = codec_uuid_to(&node_id);
    finished.result = &result;
    finished.report = &report;
    result.token = token_of(arena, &job_id, 1);
    result.outcome = GUTS__V1__OUTCOME__OUTCOME_DONE;
    result.evidence_json = "{\"content\":";
    report.token = token_of(arena, &job_id, 2); /* of another attempt: it is not about this end */
    assert_true(inbox_check(MESSAGE_JOB_FINISHED, &finished.base, arena, &err));
    assert_int_equal(result.outcome, GUTS__V1__OUTCOME__OUTCOME_FAILED);
    assert_string_equal(result.evidence_json, "");
    codec_fault(result.fault, &said);
    assert_ptr_equal(said.fault, &FAULT_MESSAGE_POISON);
    assert_null(finished.report);
}

static void a_result_of_another_job_is_no_result(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    Guts__V1__NodeReport report = report_of();
    Guts__V1__JobReport job = GUTS__V1__JOB_REPORT__INIT, *jobs[] = {&job};
    Guts__V1__JobResult result = GUTS__V1__JOB_RESULT__INIT;
    job.token = token_of(arena, &job_id, 1);
    job.result = &result;
    result.token = token_of(arena, &other_id, 1);
    result.outcome = GUTS__V1__OUTCOME__OUTCOME_DONE;
    report.jobs = jobs;
    report.n_jobs = 1;
    assert_true(inbox_check(MESSAGE_NODE_REPORT, &report.base, arena, &err));
    assert_null(job.result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_step_of_one_job_leaves_the_report_standing),
        cmocka_unit_test(what_the_api_hands_on_must_be_json),
        cmocka_unit_test(a_node_without_a_name_is_refused),
        cmocka_unit_test(bad_words_and_doubled_pools_go_alone),
        cmocka_unit_test(evidence_that_nobody_can_read_fails_the_job),
        cmocka_unit_test(a_result_of_another_job_is_no_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
