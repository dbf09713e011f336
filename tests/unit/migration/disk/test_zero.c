/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/zero.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_single_set_byte_is_found_wherever_it_is(void **state)
{
    static uint8_t data[1024];
    for (size_t length = 0; length < 400; length++) {
        assert_true(zero_is(data + 1, length));
        for (size_t at = 0; at < length; at++) {
            data[1 + at] = 0x80;
            assert_false(zero_is(data + 1, length));
            data[1 + at] = 0;
        }
        data[1 + length] = 1; /* behind the range */
        assert_true(zero_is(data + 1, length));
        data[1 + length] = 0;
    }
}

static void runs_follow_blocks_and_short_zeroes_are_data(void **state)
{
    static uint8_t data[10 * 4096];
    bool is_zero = false;
    assert_int_equal(zero_run(data, sizeof(data), 4096, 8192, &is_zero), sizeof(data));
    assert_true(is_zero);
    data[2 * 4096 + 5] = 1; /* blocks 2 and 4 are data, 3 between them is zero */
    data[4 * 4096] = 1;
    assert_int_equal(zero_run(data, sizeof(data), 4096, 8192, &is_zero), 2 * 4096);
    assert_true(is_zero);
    assert_int_equal(zero_run(data + 2 * 4096, sizeof(data) - 2 * 4096, 4096, 8192, &is_zero),
                     3 * 4096);
    assert_false(is_zero);
    /* One zero block in front is too short to be a run of its own. */
    assert_int_equal(zero_run(data + 4096, sizeof(data) - 4096, 4096, 8192, &is_zero), 4 * 4096);
    assert_false(is_zero);
}

static void an_odd_tail_belongs_to_its_run(void **state)
{
    static uint8_t data[4096 + 100];
    bool is_zero = false;
    data[4096 + 99] = 7;
    assert_int_equal(zero_run(data, sizeof(data), 4096, 4096, &is_zero), 4096);
    assert_true(is_zero);
    assert_int_equal(zero_run(data + 4096, 100, 4096, 4096, &is_zero), 100);
    assert_false(is_zero);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_set_byte_is_found_wherever_it_is),
        cmocka_unit_test(runs_follow_blocks_and_short_zeroes_are_data),
        cmocka_unit_test(an_odd_tail_belongs_to_its_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
