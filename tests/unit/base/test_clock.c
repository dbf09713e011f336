/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/clock.h"

#include "tests/unit/check.h"

static void a_faked_clock_moves_only_when_told(void **state)
{
    clock_fake_begin(1000, 5000000);
    assert_int_equal(clock_mono_ms(), 1000);
    assert_int_equal(clock_wall_us(), 5000000);
    clock_sleep_ms(250);
    assert_int_equal(clock_mono_ms(), 1250);
    clock_fake_advance(1);
    assert_int_equal(clock_mono_us(), 1251000);
    assert_int_equal(clock_wall_us(), 5251000);
    clock_fake_end();
    assert_true(clock_wall_us() > 1700000000000000ULL);
}

static void the_real_clock_never_goes_backwards(void **state)
{
    uint64_t before = clock_mono_us();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_us();
        assert_true(now >= before);
        before = now;
    }
}

static void times_are_written_as_rfc_3339(void **state)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    clock_format(1769903999123999ULL, text);
    assert_string_equal(text, "2026-01-31T23:59:59.123Z");
    clock_format(UINT64_MAX, text);
    assert_int_equal(strlen(text), CLOCK_TEXT_SIZE - 1);
}

static void a_back_off_doubles_up_to_its_longest(void **state)
{
    static const uint64_t ceilings[] = {100, 200, 400, 800, 1000, 1000};
    for (unsigned count = 0; count < 6; count++) {
        uint64_t longest = 0;
        for (int i = 0; i < 200; i++) {
            uint64_t wait = clock_backoff_ms(count, 100, 1000);
            assert_in_range(wait, 1, ceilings[count]);
            longest = wait > longest ? wait : longest;
        }
        assert_true(longest > ceilings[count] / 2);
    }
    assert_in_range(clock_backoff_ms(4000000000u, 1, UINT64_MAX), 1, UINT64_MAX);
    assert_int_equal(clock_backoff_ms(3, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_faked_clock_moves_only_when_told),
        cmocka_unit_test(the_real_clock_never_goes_backwards),
        cmocka_unit_test(times_are_written_as_rfc_3339),
        cmocka_unit_test(a_back_off_doubles_up_to_its_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
