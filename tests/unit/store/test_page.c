/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/store/page.h"

static void a_cursor_comes_back_as_it_went(void **state)
{
    static const char *const keys[] = {"", "web", "größe 🐟", "a/b?c&d"};
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct page_cursor cursor = {uuid_new(), keys[i]}, back;
        const char *text = page_cursor_format(arena, &cursor);
        assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789-_"),
                         strlen(text));
        assert_true(page_cursor_parse(arena, text, &back, &err));
        assert_true(uuid_equal(&back.id, &cursor.id));
        assert_string_equal(back.key, keys[i]);
    }
}

static void other_texts_are_no_cursors(void **state)
{
    static const char *const wrong[] = {"x",
                                        "no cursor",
                                        "AAAA",
                                        "AAAAAAAAAAAAAAAAAAAAAA==",
                                        "AAAAAAAAAAAAAAAAAAAAAAA\"",
                                        "'; DROP TABLE vms; --"};
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct page_cursor cursor;
    struct error err = {0};
    char longer[3000];
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        assert_false(page_cursor_parse(arena, wrong[i], &cursor, &err));
        assert_ptr_equal(err.fault, &FAULT_INVALID);
    }
    memset(longer, 'A', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(page_cursor_parse(arena, longer, &cursor, &err));
}

static void a_key_with_a_nul_is_refused(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct page_cursor cursor;
    struct error err = {0};
    /* 16 bytes of id, then "a", NUL, "b" */
    assert_false(page_cursor_parse(arena, "AAAAAAAAAAAAAAAAAAAAAGEAYg", &cursor, &err));
}

static void a_key_that_is_no_text_is_refused(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct page_cursor cursor;
    struct error err = {0};
    /* 16 bytes of id, then FF FE: the database would refuse it as a failure of ours */
    assert_false(page_cursor_parse(arena, "AAAAAAAAAAAAAAAAAAAAAP_-", &cursor, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
}

static void a_page_asks_for_one_row_more(void **state)
{
    struct page page = {0};
    struct error err = {0};
    size_t most;
    assert_true(page_limit(&page, &most, &err));
    assert_int_equal(most, PAGE_STANDARD + 1);
    page.most = PAGE_MOST;
    assert_true(page_limit(&page, &most, &err));
    assert_int_equal(most, PAGE_MOST + 1);
    page.most = PAGE_MOST + 1;
    assert_false(page_limit(&page, &most, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_comes_back_as_it_went),
        cmocka_unit_test(other_texts_are_no_cursors),
        cmocka_unit_test(a_key_with_a_nul_is_refused),
        cmocka_unit_test(a_key_that_is_no_text_is_refused),
        cmocka_unit_test(a_page_asks_for_one_row_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
