/* SPDX-License-Identifier: Apache-2.0 */
#include "common/conf/unit.h"

#include "tests/unit/check.h"

static void sizes_carry_binary_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"0", 0},
                 {"512", 512},
                 {"512B", 512},
                 {"64KiB", 65536},
                 {"64 MiB", 67108864},
                 {"2GiB", 2147483648ULL},
                 {"1TiB", 1099511627776ULL},
                 {"16383PiB", 16383ULL << 50},
                 {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 1;
        assert_true(unit_parse_size(cases[i].text, &bytes));
        assert_int_equal(bytes, cases[i].bytes);
    }
}

static void durations_need_a_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"0", 0},       {"200ms", 200},  {"10s", 10000},
                 {"5m", 300000}, {"2h", 7200000}, {"1d", 86400000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = 1;
        assert_true(unit_parse_duration(cases[i].text, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
    uint64_t ms = 7;
    assert_false(unit_parse_duration("10", &ms));
    assert_int_equal(ms, 7);
}

static void rubbish_and_overflow_are_refused(void **state)
{
    static const char *const cases[] = {"",
                                        "s",
                                        "-1s",
                                        "+1s",
                                        " 1s",
                                        "1x",
                                        "1.5s",
                                        "1ss",
                                        "0x10KiB",
                                        "16384PiB",
                                        "18446744073709551616",
                                        "1mb"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t number;
        assert_false(unit_parse_size(cases[i], &number));
        assert_false(unit_parse_duration(cases[i], &number));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_carry_binary_units),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(rubbish_and_overflow_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
