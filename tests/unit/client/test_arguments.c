/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "client/cli/arguments.h"
#include "common/base/memory.h"

static const struct option_row rows[] = {
    {"--driver", "DRIVER", "", NULL},
    {"--all", NULL, "", NULL},
};
static const struct command command = {"thing do", "X [X ...]",    1,    2,    "",
                                       rows,       COUNT_OF(rows), NULL, NULL, true};

static bool parse(struct arguments *ret_arguments, size_t count, char *const *words)
{
    return arguments_parse(&command, words, count, ret_arguments);
}
#define PARSE(arguments, ...)                                                                      \
    parse(arguments, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__})

static void options_stand_anywhere_and_in_both_forms(void **state)
{
    (void)state;
    struct arguments arguments;
    assert_true(PARSE(&arguments, "a", "--driver", "x", "b", "--driver=y", "--all", "-f", "json"));
    assert_int_equal(arguments.operand_count, 2);
    assert_string_equal(arguments.operands[1], "b");
    assert_int_equal(arguments_count(&arguments, "--driver"), 2);
    assert_string_equal(arguments_get(&arguments, "--driver"), "y");
    assert_string_equal(arguments_nth(&arguments, "--driver", 0), "x");
    assert_true(arguments_has(&arguments, "--all"));
    assert_string_equal(arguments_get(&arguments, "--format"), "json");
    assert_null(arguments_get(&arguments, "--column"));
    arguments_fini(&arguments);
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct arguments arguments;
    assert_true(PARSE(&arguments, "--all", "--", "--driver", "-x"));
    assert_int_equal(arguments.operand_count, 2);
    assert_string_equal(arguments.operands[0], "--driver");
    arguments_fini(&arguments);
}

static void wrong_words_are_refused(void **state)
{
    (void)state;
    struct arguments arguments;
    assert_false(PARSE(&arguments, "a", "--nonsense"));
    assert_false(PARSE(&arguments, "a", "--driver"));
    assert_false(PARSE(&arguments, "a", "--all=yes"));
    assert_false(PARSE(&arguments, "a", "b", "c"));
    assert_false(PARSE(&arguments, "--all"));
}

static void short_options_may_carry_their_value(void **state)
{
    (void)state;
    struct arguments arguments;
    assert_true(PARSE(&arguments, "-fjson", "x"));
    assert_string_equal(arguments_get(&arguments, "--format"), "json");
    arguments_fini(&arguments);
    assert_true(PARSE(&arguments, "-f=csv", "x"));
    assert_string_equal(arguments_get(&arguments, "--format"), "csv");
    arguments_fini(&arguments);
}

static void words_that_are_not_utf8_are_refused(void **state)
{
    (void)state;
    struct arguments arguments;
    assert_false(PARSE(&arguments, "a\xff"));
}

static void durations_have_units(void **state)
{
    (void)state;
    uint64_t ms = 0;
    assert_true(arguments_duration("90", &ms));
    assert_int_equal(ms, 90000);
    assert_true(arguments_duration("5m", &ms));
    assert_int_equal(ms, 300000);
    assert_true(arguments_duration("2h", &ms));
    assert_int_equal(ms, 7200000);
    assert_false(arguments_duration("-1", &ms));
    assert_false(arguments_duration("", &ms));
    assert_false(arguments_duration("5 m", &ms));
    assert_false(arguments_duration("99999999999999999999", &ms));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere_and_in_both_forms),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(wrong_words_are_refused),
        cmocka_unit_test(short_options_may_carry_their_value),
        cmocka_unit_test(words_that_are_not_utf8_are_refused),
        cmocka_unit_test(durations_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
