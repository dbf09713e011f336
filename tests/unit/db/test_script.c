/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/db/inside.h"

static void statements_end_at_semicolons(void **state)
{
    const char *script = "CREATE TABLE a (x INT);\nINSERT INTO a VALUES (1);\n";
    CLEANUP(buffer_fini) struct buffer statement = {0};
    assert_true(script_next(&script, &statement));
    assert_string_equal(statement.data, "CREATE TABLE a (x INT)");
    assert_true(script_next(&script, &statement));
    assert_string_equal(statement.data, "\nINSERT INTO a VALUES (1)");
    assert_false(script_next(&script, &statement));
}

static void comments_are_left_out_with_their_semicolons(void **state)
{
    const char *script = "-- one; two\nSELECT 1 -- three;\n;-- the end;\n";
    CLEANUP(buffer_fini) struct buffer statement = {0};
    assert_true(script_next(&script, &statement));
    assert_string_equal(statement.data, "\nSELECT 1 \n");
    assert_false(script_next(&script, &statement));
}

static void quoted_semicolons_and_dashes_stay(void **state)
{
    const char *script = "SELECT 'a;''b -- c', \"d;\\\"\", `e;`; SELECT 2";
    CLEANUP(buffer_fini) struct buffer statement = {0};
    assert_true(script_next(&script, &statement));
    assert_string_equal(statement.data, "SELECT 'a;''b -- c', \"d;\\\"\", `e;`");
    assert_true(script_next(&script, &statement));
    assert_string_equal(statement.data, " SELECT 2");
}

static void blanks_and_lone_semicolons_are_nothing(void **state)
{
    const char *script = " \n;\n ; -- nothing\n";
    CLEANUP(buffer_fini) struct buffer statement = {0};
    assert_false(script_next(&script, &statement));
    script = "";
    assert_false(script_next(&script, &statement));
}

static void an_open_quote_ends_with_the_script(void **state)
{
    const char *script = "SELECT 'never closed; ";
    CLEANUP(buffer_fini) struct buffer statement = {0};
    assert_true(script_next(&script, &statement));
    assert_string_equal(statement.data, "SELECT 'never closed; ");
    assert_false(script_next(&script, &statement));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_end_at_semicolons),
        cmocka_unit_test(comments_are_left_out_with_their_semicolons),
        cmocka_unit_test(quoted_semicolons_and_dashes_stay),
        cmocka_unit_test(blanks_and_lone_semicolons_are_nothing),
        cmocka_unit_test(an_open_quote_ends_with_the_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
