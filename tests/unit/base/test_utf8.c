/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/utf8.h"

#include "tests/unit/check.h"

static size_t size_of(const char *text)
{
    return utf8_character(text, strlen(text));
}

static void legal_characters_are_measured(void **state)
{
    assert_int_equal(size_of("a"), 1);
    assert_int_equal(size_of("\xC3\xA4"), 2);
    assert_int_equal(size_of("\xE2\x82\xAC"), 3);
    assert_int_equal(size_of("\xF0\x9F\x98\x80"), 4);
    assert_int_equal(size_of("\xF4\x8F\xBF\xBF"), 4);
    assert_int_equal(utf8_character("\0", 1), 1);
}

static void illegal_sequences_are_refused(void **state)
{
    static const char *const cases[] = {"",
                                        "\x80",
                                        "\xC0\x80",
                                        "\xC1\xBF",
                                        "\xE0\x9F\xBF",
                                        "\xED\xA0\x80",
                                        "\xF0\x8F\x80\x80",
                                        "\xF4\x90\x80\x80",
                                        "\xF5\x80\x80\x80",
                                        "\xFF",
                                        "\xC3",
                                        "\xE2\x82",
                                        "\xF0\x9F\x98",
                                        "\xC3(",
                                        "\xE2\x82("};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(size_of(cases[i]), 0);
}

static void a_cut_never_splits_a_character(void **state)
{
    const char *text = "a\xE2\x82\xAC"
                       "b";
    assert_int_equal(utf8_cut(text, 5, 9), 5);
    assert_int_equal(utf8_cut(text, 5, 4), 4);
    assert_int_equal(utf8_cut(text, 5, 3), 1);
    assert_int_equal(utf8_cut(text, 5, 2), 1);
    assert_int_equal(utf8_cut(text, 5, 1), 1);
    assert_int_equal(utf8_cut(text, 5, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legal_characters_are_measured),
        cmocka_unit_test(illegal_sequences_are_refused),
        cmocka_unit_test(a_cut_never_splits_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
