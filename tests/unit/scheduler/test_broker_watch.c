/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "scheduler/broker_watch.h"

#define TIMEOUT_MS 3000

static struct broker_watch watch;
static struct bus_stats stats;

static bool is_gone(uint64_t now_ms)
{
    bool probe;
    return broker_watch_is_gone(&watch, &stats, now_ms, TIMEOUT_MS, &probe);
}

static bool probes(uint64_t now_ms)
{
    bool probe;
    assert_false(broker_watch_is_gone(&watch, &stats, now_ms, TIMEOUT_MS, &probe));
    return probe;
}

static int begin(void **state)
{
    stats = (struct bus_stats){.confirmed = 7, .publishing = true};
    broker_watch_begin(&watch, &stats, 10000);
    return 0;
}

static void a_broker_that_falls_silent_is_gone_after_the_time_out(void **state)
{
    stats.confirmed++;
    assert_false(is_gone(10500));
    assert_false(is_gone(11500)); /* asked now */
    assert_false(is_gone(13499));
    assert_true(is_gone(13500));
}

static void time_that_we_slept_through_says_nothing_of_the_broker(void **state)
{
    stats.confirmed++;
    assert_false(is_gone(10500));
    assert_false(is_gone(60000)); /* frozen meanwhile: asked now */
    stats.confirmed++;
    assert_false(is_gone(99000));
    assert_false(is_gone(99500));
}

static void each_sign_of_life_begins_the_time_anew(void **state)
{
    stats.returned++;
    assert_false(is_gone(12000));
    stats.confirmed++;
    assert_false(is_gone(14000));
    assert_false(is_gone(15000));
    stats.returned++;
    assert_false(is_gone(17000));
    assert_false(is_gone(18000));
    assert_false(is_gone(19999));
    assert_true(is_gone(20000));
}

static void a_broker_that_never_was_there_is_waited_for(void **state)
{
    assert_false(is_gone(13000));
    assert_false(is_gone(99000));
    assert_false(is_gone(199000));
}

static void a_blocked_broker_is_there(void **state)
{
    stats.confirmed++;
    assert_false(is_gone(10500));
    stats.blocked = true;
    assert_false(is_gone(99000));
    stats.blocked = false;
    assert_false(is_gone(100000));
    assert_false(is_gone(101999));
    assert_true(is_gone(102000));
}

static void a_quiet_connection_is_probed_now_and_then(void **state)
{
    stats.confirmed++;
    assert_false(probes(10500));
    assert_false(probes(11499));
    assert_true(probes(11500));
    assert_false(probes(12499));
    assert_true(probes(12500));
    stats.confirmed++; /* the answer */
    assert_false(probes(12600));
    assert_true(probes(13600));
}

static bool hears(uint64_t now_ms)
{
    bool probe;
    broker_watch_is_gone(&watch, &stats, now_ms, TIMEOUT_MS, &probe);
    return broker_watch_hears(&watch, &stats, now_ms, TIMEOUT_MS);
}

static void nobody_is_heard_while_the_broker_is_silent_blocked_or_away(void **state)
{
    stats.consuming = true;
    assert_false(hears(10100)); /* no sign of life in this term */
    stats.confirmed++;
    assert_true(hears(10500));
    assert_true(hears(13499));
    assert_false(hears(13500));
    stats.confirmed++;
    assert_true(hears(14000));
    stats.blocked = true;
    assert_false(hears(14100));
    stats.blocked = stats.consuming = false;
    assert_false(hears(14200));
    stats.consuming = true;
    assert_true(hears(14300));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_broker_that_falls_silent_is_gone_after_the_time_out, begin),
        cmocka_unit_test_setup(time_that_we_slept_through_says_nothing_of_the_broker, begin),
        cmocka_unit_test_setup(each_sign_of_life_begins_the_time_anew, begin),
        cmocka_unit_test_setup(a_broker_that_never_was_there_is_waited_for, begin),
        cmocka_unit_test_setup(a_blocked_broker_is_there, begin),
        cmocka_unit_test_setup(a_quiet_connection_is_probed_now_and_then, begin),
        cmocka_unit_test_setup(nobody_is_heard_while_the_broker_is_silent_blocked_or_away, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
