/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/openstack_inner.h"
#include "tests/unit/check.h"

static void a_quick_service_is_asked_four_times_a_second_at_first(void **state)
{
    assert_int_equal(openstack_pause_ms(0, 0), 250);
    assert_int_equal(openstack_pause_ms(3000, 60), 250);
}

static void what_takes_long_is_looked_at_less_often_and_known_a_sixteenth_later(void **state)
{
    assert_int_equal(openstack_pause_ms(16000, 60), 1000);
    assert_int_equal(openstack_pause_ms(32000, 60), 2000);
}

static void who_waits_takes_a_fifth_of_a_busy_services_time_at_most(void **state)
{
    assert_int_equal(openstack_pause_ms(0, 500), 2000);
    assert_int_equal(openstack_pause_ms(16000, 500), 2000);
}

static void five_seconds_are_the_most_however_long_it_took(void **state)
{
    assert_int_equal(openstack_pause_ms(7200000, 60), 5000);
    assert_int_equal(openstack_pause_ms(0, 30000), 5000);
    assert_int_equal(openstack_pause_ms(UINT64_MAX, UINT64_MAX), 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quick_service_is_asked_four_times_a_second_at_first),
        cmocka_unit_test(what_takes_long_is_looked_at_less_often_and_known_a_sixteenth_later),
        cmocka_unit_test(who_waits_takes_a_fifth_of_a_busy_services_time_at_most),
        cmocka_unit_test(five_seconds_are_the_most_however_long_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
