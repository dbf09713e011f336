/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/base/memory.h"
#include "scheduler/decide.h"
#include "scheduler/settings.h"

#define DONE OUTCOME_IS_DONE
#define FAILED OUTCOME_IS_FAILED
#define STOPPED OUTCOME_IS_CANCELLED

static void the_end_of_a_job_decides_what_follows(void **state)
{
    /* kind, outcome, retry, state, dry run, rollback, ledger open, retries, most → decision */
    static const struct {
        struct decide_view view;
        enum decision decision;
    } table[] = {
        {{JOB_MIGRATE, DONE, RETRY_NEVER, MIGRATION_UPLOADING, false, true, true, 0, 2},
         DECIDE_VERIFIED},
        {{JOB_MIGRATE, DONE, RETRY_NEVER, MIGRATION_DISCOVERED, true, true, false, 0, 2},
         DECIDE_DRY_RUN_DONE},
        {{JOB_MIGRATE, FAILED, RETRY_AGAIN, MIGRATION_UPLOADING, false, true, true, 1, 2},
         DECIDE_RETRY},
        {{JOB_MIGRATE, FAILED, RETRY_FIND_OUT, MIGRATION_UPLOADING, false, true, true, 0, 2},
         DECIDE_RETRY},
        {{JOB_MIGRATE, FAILED, RETRY_AGAIN, MIGRATION_UPLOADING, false, true, true, 2, 2},
         DECIDE_FAIL_UNDO},
        {{JOB_MIGRATE, FAILED, RETRY_NEVER, MIGRATION_UPLOADING, false, true, true, 0, 2},
         DECIDE_FAIL_UNDO},
        {{JOB_MIGRATE, FAILED, RETRY_NEVER, MIGRATION_UPLOADING, false, true, false, 0, 2},
         DECIDE_FAIL_ROLLED_BACK},
        {{JOB_MIGRATE, FAILED, RETRY_NEVER, MIGRATION_UPLOADING, false, false, true, 0, 2},
         DECIDE_FAIL},
        {{JOB_MIGRATE, STOPPED, RETRY_AGAIN, MIGRATION_CANCELLING, false, true, true, 0, 2},
         DECIDE_UNDO},
        {{JOB_MIGRATE, DONE, RETRY_NEVER, MIGRATION_CANCELLING, false, true, true, 0, 2},
         DECIDE_UNDO},
        {{JOB_MIGRATE, STOPPED, RETRY_AGAIN, MIGRATION_CANCELLING, false, true, false, 0, 2},
         DECIDE_CANCELLED},
        {{JOB_MIGRATE, DONE, RETRY_NEVER, MIGRATION_ROLLED_BACK, false, true, false, 0, 2},
         DECIDE_REST},
        {{JOB_ROLLBACK, DONE, RETRY_NEVER, MIGRATION_ROLLING_BACK, false, true, false, 0, 2},
         DECIDE_ROLLED_BACK},
        {{JOB_ROLLBACK, DONE, RETRY_NEVER, MIGRATION_CANCELLING, false, true, false, 0, 2},
         DECIDE_CANCELLED},
        {{JOB_ROLLBACK, DONE, RETRY_AGAIN, MIGRATION_ROLLING_BACK, false, true, true, 0, 2},
         DECIDE_RETRY},
        {{JOB_ROLLBACK, FAILED, RETRY_AGAIN, MIGRATION_ROLLING_BACK, false, true, true, 2, 2},
         DECIDE_FAIL},
        {{JOB_ROLLBACK, FAILED, RETRY_AGAIN, MIGRATION_ROLLED_BACK, false, true, false, 0, 2},
         DECIDE_SETTLE_AGAIN},
        {{JOB_ROLLBACK, FAILED, RETRY_AGAIN, MIGRATION_ROLLED_BACK, false, true, false, 2, 2},
         DECIDE_REST},
        {{JOB_ROLLBACK, DONE, RETRY_NEVER, MIGRATION_CANCELLED, false, true, false, 0, 2},
         DECIDE_REST},
        /* The settle check of a result that stands leaves it standing. */
        {{JOB_ROLLBACK, DONE, RETRY_NEVER, MIGRATION_VERIFIED, false, true, true, 0, 2},
         DECIDE_REST},
        {{JOB_ROLLBACK, FAILED, RETRY_AGAIN, MIGRATION_VERIFIED, false, true, true, 0, 2},
         DECIDE_SETTLE_AGAIN},
        {{JOB_CLEANUP, DONE, RETRY_NEVER, MIGRATION_CLEANING, false, true, false, 0, 2},
         DECIDE_CLEANED},
        {{JOB_CLEANUP, FAILED, RETRY_AGAIN, MIGRATION_CLEANING, false, true, true, 0, 2},
         DECIDE_RETRY},
        {{JOB_CLEANUP, FAILED, RETRY_NEVER, MIGRATION_CLEANING, false, true, true, 0, 2},
         DECIDE_REST},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (decide(&table[i].view) != table[i].decision)
            fail_msg("row %zu: %d, not %d", i, decide(&table[i].view), table[i].decision);
}

static void a_thing_is_a_stray_when_nobody_holds_it(void **state)
{
    static const struct {
        struct stray_view view;
        bool is_stray;
    } table[] = {
        {{false, MIGRATION_UNKNOWN, false, false}, true},
        {{true, MIGRATION_ROLLED_BACK, false, false}, true},
        {{true, MIGRATION_VERIFIED, false, false}, true},
        {{true, MIGRATION_VERIFIED, false, true}, false},
        {{true, MIGRATION_CLEANED, false, true}, false},
        {{true, MIGRATION_ROLLED_BACK, true, false}, false}, /* its settle check is under way */
        {{true, MIGRATION_UPLOADING, true, false}, false},
        {{true, MIGRATION_UPLOADING, false, false}, false},
        {{true, MIGRATION_PENDING, false, false}, false},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (decide_is_stray(&table[i].view) != table[i].is_stray)
            fail_msg("row %zu", i);
}

static void a_directory_is_left_when_its_job_and_its_node_went_on_without_it(void **state)
{
    assert_true(decide_is_left(&(struct left_view){false, false, false}));
    assert_true(decide_is_left(&(struct left_view){false, true, true})); /* removed in vain */
    assert_false(decide_is_left(&(struct left_view){false, false, true}));
    assert_false(decide_is_left(&(struct left_view){true, false, false})); /* not taken over yet */
    assert_false(decide_is_left(&(struct left_view){true, true, true}));
}

static void a_takeover_counts_from_the_later_of_renewal_and_term(void **state)
{
    assert_false(decide_is_lost(1000, 1000, 0, 100));
    assert_false(decide_is_lost(1099, 1000, 0, 100));
    assert_true(decide_is_lost(1100, 1000, 0, 100));
    assert_false(decide_is_lost(1100, 1000, 1050, 100)); /* a new leader waits anew */
    assert_true(decide_is_lost(1150, 1000, 1050, 100));
    assert_false(decide_is_lost(900, 1000, 0, 100));
}

static void only_the_current_attempt_passes_the_fence(void **state)
{
    const struct fence_view live = {true, 3, JOB_MIGRATE, WANTED_GO};
    const struct fence_view gone = {false, 3, JOB_MIGRATE, WANTED_GO};
    assert_int_equal(decide_fence(&live, 3, LEDGER_INTENDED), FENCE_STORED);
    assert_int_equal(decide_fence(&live, 2, LEDGER_INTENDED), FENCE_FENCED);
    assert_int_equal(decide_fence(&live, 4, LEDGER_INTENDED), FENCE_FENCED);
    assert_int_equal(decide_fence(&gone, 3, LEDGER_MADE), FENCE_FENCED);
}

static void a_cancel_stops_intents_but_not_what_was_done(void **state)
{
    const struct fence_view cancelled = {true, 1, JOB_MIGRATE, WANTED_CANCEL};
    const struct fence_view undo = {true, 1, JOB_ROLLBACK, WANTED_CANCEL};
    assert_int_equal(decide_fence(&cancelled, 1, LEDGER_INTENDED), FENCE_STOP);
    assert_int_equal(decide_fence(&cancelled, 1, LEDGER_MADE), FENCE_STORED);
    assert_int_equal(decide_fence(&undo, 1, LEDGER_UNDONE), FENCE_STORED);
}

static void an_entry_moves_forward_within_an_attempt(void **state)
{
    assert_true(decide_entry(LEDGER_INTENDED, 1, LEDGER_MADE, 1));
    assert_false(decide_entry(LEDGER_MADE, 1, LEDGER_INTENDED, 1)); /* doubled, or late */
    assert_true(decide_entry(LEDGER_ERROR, 2, LEDGER_UNDONE, 2));
    assert_false(decide_entry(LEDGER_UNDONE, 2, LEDGER_MADE, 2));
}

static void an_older_attempt_changes_nothing_and_a_newer_one_adopts(void **state)
{
    assert_false(decide_entry(LEDGER_INTENDED, 2, LEDGER_MADE, 1));
    assert_false(decide_entry(LEDGER_MADE, 1, LEDGER_INTENDED, 2)); /* told: it was made */
    assert_true(decide_entry(LEDGER_UNDONE, 1, LEDGER_INTENDED, 2));
    assert_true(decide_entry(LEDGER_MADE, 1, LEDGER_UNDONE, 2));
    assert_false(decide_entry(LEDGER_ERROR, 1, LEDGER_INTENDED, 2));
}

static void the_back_off_doubles_within_its_bounds(void **state)
{
    for (uint32_t retries = 0; retries < 70; retries++) {
        uint64_t wait_ms = decide_backoff_ms(retries, 100, 1000);
        uint64_t bound = retries == 0   ? 100
                         : retries == 1 ? 200
                         : retries == 2 ? 400
                         : retries == 3 ? 800
                                        : 1000;
        assert_in_range(wait_ms, bound / 2, bound);
    }
    assert_int_equal(decide_backoff_ms(3, 0, 0), 0);
}

static void unsafe_times_are_refused(void **state)
{
    struct error err;
    struct scheduler_settings settings = {.lease_ms = 30,
                                          .stop_grace_ms = 10,
                                          .longest_request_ms = 60,
                                          .margin_ms = 5,
                                          .takeover_ms = 105,
                                          .report_interval_ms = 5};
    assert_true(scheduler_settings_check(&settings, &err));
    settings.takeover_ms = 104;
    assert_false(scheduler_settings_check(&settings, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFIG);
    settings.takeover_ms = 105;
    settings.report_interval_ms = 16;
    assert_false(scheduler_settings_check(&settings, &err));
}

static void the_times_are_safe_as_they_come(void **state)
{
    struct error err = {0};
    struct conf *conf;
    struct scheduler_settings settings;
    const struct conf_section section = {"scheduler", scheduler_conf_keys, scheduler_conf_key_count,
                                         &settings};
    assert_true(conf_load(NULL, &section, 1, &conf, &err));
    assert_true(scheduler_settings_check(&settings, &err));
    assert_int_equal(settings.takeover_ms, 190000);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_job_decides_what_follows),
        cmocka_unit_test(a_thing_is_a_stray_when_nobody_holds_it),
        cmocka_unit_test(a_directory_is_left_when_its_job_and_its_node_went_on_without_it),
        cmocka_unit_test(a_takeover_counts_from_the_later_of_renewal_and_term),
        cmocka_unit_test(only_the_current_attempt_passes_the_fence),
        cmocka_unit_test(a_cancel_stops_intents_but_not_what_was_done),
        cmocka_unit_test(an_entry_moves_forward_within_an_attempt),
        cmocka_unit_test(an_older_attempt_changes_nothing_and_a_newer_one_adopts),
        cmocka_unit_test(the_back_off_doubles_within_its_bounds),
        cmocka_unit_test(unsafe_times_are_refused),
        cmocka_unit_test(the_times_are_safe_as_they_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
