/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "common/db/inside.h"

static void rows_are_repeated_between_head_and_tail(void **state)
{
    struct statement_key key = {STATEMENT_ROWS, "INSERT INTO t VALUES ", "(?, 1)", " ON x", 3};
    CLEANUP(buffer_fini) struct buffer text = {0};
    statement_key_text(&key, &text);
    assert_string_equal(text.data, "INSERT INTO t VALUES (?, 1),(?, 1),(?, 1) ON x");
    assert_int_equal(statement_key_lists(&key), 0);
}

static void each_list_mark_becomes_as_many_places(void **state)
{
    struct statement_key key = {.form = STATEMENT_LIST,
                                .head = "SELECT a FROM b WHERE c IN (%LIST%) OR d IN (%LIST%)",
                                .repeat = 4};
    CLEANUP(buffer_fini) struct buffer text = {0};
    statement_key_text(&key, &text);
    assert_string_equal(text.data, "SELECT a FROM b WHERE c IN (?,?,?,?) OR d IN (?,?,?,?)");
    assert_int_equal(statement_key_lists(&key), 2);
}

static void a_plain_text_stays_as_it_is(void **state)
{
    struct statement_key key = {.form = STATEMENT_PLAIN, .head = "SELECT '%LIST%'"};
    CLEANUP(buffer_fini) struct buffer text = {0};
    statement_key_text(&key, &text);
    assert_string_equal(text.data, "SELECT '%LIST%'");
}

static void statements_are_found_by_all_parts_of_their_key(void **state)
{
    struct statement_cache cache = {0};
    struct statement_key one = {STATEMENT_ROWS, "h", "r", "t", 8};
    struct statement_key other = {STATEMENT_ROWS, "h", "r", "t", 64};
    struct statement_key plain = {.form = STATEMENT_PLAIN, .head = "h"};
    statement_cache_add(&cache, statement_new(&one));
    statement_cache_add(&cache, statement_new(&plain));
    assert_non_null(statement_cache_find(&cache, &one));
    assert_null(statement_cache_find(&cache, &other));
    assert_int_equal(statement_cache_find(&cache, &plain)->key.form, STATEMENT_PLAIN);
    statement_cache_clear(&cache);
    assert_null(statement_cache_find(&cache, &one));
}

static void the_least_recently_used_goes_first(void **state)
{
    struct statement_cache cache = {0};
    char text[STATEMENTS_MOST + 1][16];
    struct statement_key key = {.form = STATEMENT_PLAIN};
    for (size_t i = 0; i < STATEMENTS_MOST; i++) {
        snprintf(text[i], sizeof(text[i]), "s%zu", i);
        key.head = text[i];
        statement_cache_add(&cache, statement_new(&key));
    }
    key.head = text[0];
    assert_non_null(statement_cache_find(&cache, &key)); /* now the newest */
    key.head = "one more";
    statement_cache_add(&cache, statement_new(&key));
    assert_int_equal(cache.count, STATEMENTS_MOST);
    key.head = text[1];
    assert_null(statement_cache_find(&cache, &key));
    key.head = text[0];
    assert_non_null(statement_cache_find(&cache, &key));
    statement_cache_clear(&cache);
    assert_int_equal(cache.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_repeated_between_head_and_tail),
        cmocka_unit_test(each_list_mark_becomes_as_many_places),
        cmocka_unit_test(a_plain_text_stays_as_it_is),
        cmocka_unit_test(statements_are_found_by_all_parts_of_their_key),
        cmocka_unit_test(the_least_recently_used_goes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
