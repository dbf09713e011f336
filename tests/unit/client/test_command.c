/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "client/cli/command.h"
#include "common/base/memory.h"

static const char *found(size_t count, char *const *words, size_t *ret_used)
{
    const struct command *command = command_find(words, count, ret_used);
    return command != NULL ? command->name : "";
}
#define FOUND(used, ...)                                                                           \
    found(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__}, used)

static void a_dash_and_a_blank_are_the_same(void **state)
{
    (void)state;
    size_t used = 0;
    assert_string_equal(FOUND(&used, "source", "create", "x"), "source create");
    assert_int_equal(used, 2);
    assert_string_equal(FOUND(&used, "source-create", "x"), "source create");
    assert_int_equal(used, 1);
    assert_string_equal(FOUND(&used, "migrate", "migration"), "migrate");
    assert_int_equal(used, 1);
}

static void half_a_name_is_none(void **state)
{
    (void)state;
    size_t used = 0;
    assert_string_equal(FOUND(&used, "source"), "");
    assert_string_equal(FOUND(&used, "sourcecreate"), "");
    assert_string_equal(FOUND(&used, "source", "create-x"), "");
    assert_string_equal(FOUND(&used, "sou", "rce", "create"), "");
    assert_string_equal(FOUND(&used, ""), "");
}

static const char *nearest(size_t count, char *const *words)
{
    const struct command *command = command_nearest(words, count);
    return command != NULL ? command->name : "";
}
#define NEAREST(...)                                                                               \
    nearest(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__})

static void a_mistyped_command_has_a_nearest_one(void **state)
{
    (void)state;
    assert_string_equal(NEAREST("migrat", "web-1", "--to", "kvm"), "migrate");
    assert_string_equal(NEAREST("imgrate", "web-1"), "migrate");
    assert_string_equal(NEAREST("surce", "list"), "source list");
    assert_string_equal(NEAREST("sources", "list"), "source list");
    assert_string_equal(NEAREST("source-lst"), "source list");
    assert_string_equal(NEAREST("migration", "shwo", "x"), "migration show");
    assert_string_equal(NEAREST("list", "sources"), "source list");
    assert_string_equal(NEAREST("hlep"), "help");
}

static void what_is_far_from_every_command_has_none(void **state)
{
    char longest[256];
    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_string_equal(NEAREST("frobnicate"), "");
    assert_string_equal(NEAREST("xy"), "");
    assert_string_equal(NEAREST("source"), "");
    assert_string_equal(NEAREST(""), "");
    assert_string_equal(NEAREST("-", "-"), "");
    assert_string_equal(NEAREST(longest), "");
    assert_string_equal(NEAREST("source", longest), "");
}

static void every_command_is_whole(void **state)
{
    (void)state;
    for (size_t g = 0; g < command_group_count; g++) {
        for (size_t i = 0; i < command_groups[g]->count; i++) {
            const struct command *command = &command_groups[g]->commands[i];
            assert_non_null(command->run);
            assert_true(strlen(command->summary) > 0);
            assert_true(command->operand_least <= command->operand_most);
            assert_true((command->operands[0] != '\0') == (command->operand_most > 0));
            for (size_t o = 0; o < command->option_count; o++)
                assert_int_equal(strncmp(command->options[o].name, "--", 2), 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dash_and_a_blank_are_the_same),
        cmocka_unit_test(half_a_name_is_none),
        cmocka_unit_test(a_mistyped_command_has_a_nearest_one),
        cmocka_unit_test(what_is_far_from_every_command_has_none),
        cmocka_unit_test(every_command_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
