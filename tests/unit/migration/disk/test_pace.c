/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "migration/disk/copy_engine.h"

static void pay_and_wait(struct copy_throttle *throttle, uint64_t bytes, uint64_t rate)
{
    for (uint64_t wait_us; (wait_us = copy_throttle_pay_us(throttle, bytes, rate)) > 0;)
        clock_fake_advance((wait_us + 999) / 1000);
}

static void the_rate_is_kept_over_time(void **state)
{
    clock_fake_begin(1000, 0);
    struct copy_throttle throttle;
    copy_throttle_init(&throttle);
    uint64_t before_ms = clock_mono_ms();
    for (int i = 0; i < 40; i++) /* 40 MB at 10 MB/s */
        pay_and_wait(&throttle, 1000000, 10000000);
    uint64_t took_ms = clock_mono_ms() - before_ms;
    assert_in_range(took_ms, 3800, 4200);
    copy_throttle_fini(&throttle);
    clock_fake_end();
}

static void a_changed_rate_is_felt_within_one_wait(void **state)
{
    clock_fake_begin(1000, 0);
    struct copy_throttle throttle;
    copy_throttle_init(&throttle);
    assert_int_equal(copy_throttle_pay_us(&throttle, 100000000, 1000), 0); /* 100,000 s of debt */
    assert_int_equal(copy_throttle_pay_us(&throttle, 1, 1000), 50000);
    assert_int_equal(copy_throttle_pay_us(&throttle, 1, 0), 0); /* the limit was lifted */
    copy_throttle_fini(&throttle);
    clock_fake_end();
}

static void a_budget_lends_no_more_than_it_has(void **state)
{
    struct copy_budget *budget = copy_budget_new(10 * 4096);
    void *six = copy_budget_take(budget, 6 * 4096);
    assert_non_null(six);
    assert_null(copy_budget_take(budget, 6 * 4096));
    copy_budget_give(budget, six, 6 * 4096);
    void *again = copy_budget_take(budget, 6 * 4096);
    assert_ptr_equal(again, six); /* the same one */
    copy_budget_give(budget, again, 6 * 4096);
    void *large = copy_budget_take(budget, 100 * 4096); /* larger than all of it: alone */
    assert_non_null(large);
    assert_null(copy_budget_take(budget, 4096));
    copy_budget_give(budget, large, 100 * 4096);
    copy_budget_free(budget);
}

static void what_disks_hold_is_lent_to_nobody(void **state)
{
    struct copy_budget *budget = copy_budget_new(10 * 4096);
    void *idle = copy_budget_take(budget, 9 * 4096);
    copy_budget_give(budget, idle, 9 * 4096);
    copy_budget_hold(budget, 7 * 4096);
    void *one = copy_budget_take(budget, 2 * 4096);
    assert_non_null(one);
    assert_null(copy_budget_take(budget, 2 * 4096));
    copy_budget_hold(budget, 9 * 4096); /* more than there is: one buffer is lent all the same */
    copy_budget_give(budget, one, 2 * 4096);
    void *last = copy_budget_take(budget, 2 * 4096);
    assert_non_null(last);
    copy_budget_release(budget, 16 * 4096);
    void *large = copy_budget_take(budget, 8 * 4096);
    assert_non_null(large);
    copy_budget_give(budget, last, 2 * 4096);
    copy_budget_give(budget, large, 8 * 4096);
    copy_budget_free(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_is_kept_over_time),
        cmocka_unit_test(a_changed_rate_is_felt_within_one_wait),
        cmocka_unit_test(a_budget_lends_no_more_than_it_has),
        cmocka_unit_test(what_disks_hold_is_lent_to_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
