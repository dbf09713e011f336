/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/store/query.h"

static void absent_filters_leave_no_trace(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct uuid nil = {{0}}, id = uuid_new();
    query_add(&query, "SELECT 1");
    query_match_text(&query, " AND a = ?", NULL);
    query_match_uuid(&query, " AND b = ?", &nil);
    query_match_text(&query, " AND c = ?", "");
    query_match_uuid(&query, " AND d = ?", &id);
    assert_string_equal(query.text.data, "SELECT 1 AND c = ? AND d = ?");
    assert_int_equal(query.count, 2);
    assert_int_equal(query.values[1].length, UUID_BYTES);
}

static void the_first_page_begins_at_the_end_of_its_order(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    struct page page = {.most = 10}, newest = {.most = 10, .descending = true, .cursor = ""};
    CLEANUP(query_fini) struct query up = {.arena = arena}, down = {.arena = arena};
    assert_true(query_page_by_id(&up, "v.id", &page, &err));
    assert_string_equal(up.text.data, " ORDER BY v.id LIMIT ?");
    assert_int_equal(up.values[0].number, 11);
    assert_true(query_page_by_id(&down, "v.id", &newest, &err));
    assert_string_equal(down.text.data, " ORDER BY v.id DESC LIMIT ?");
    query_fini(&down);
}

static void a_page_goes_on_behind_its_cursor(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    struct page_cursor cursor = {uuid_new(), "web"};
    struct page page = {.most = 2, .cursor = page_cursor_format(arena, &cursor)};
    CLEANUP(query_fini) struct query query = {.arena = arena};
    assert_true(query_page_by_key(&query, "name", "id", &page, &err));
    assert_string_equal(query.text.data, " AND (name > ? OR (name = ? AND id > ?)) ORDER BY name, "
                                         "id LIMIT ?");
    assert_int_equal(query.count, 4);
    assert_memory_equal(query.values[1].data, "web", 3);
    assert_memory_equal(query.values[2].data, cursor.id.bytes, UUID_BYTES);
}

static void a_unique_key_stands_alone(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    struct page_cursor cursor = {uuid_new(), "node-1"};
    struct page page = {
        .most = 2, .descending = true, .cursor = page_cursor_format(arena, &cursor)};
    CLEANUP(query_fini) struct query query = {.arena = arena};
    assert_true(query_page_by_key(&query, "n.name", NULL, &page, &err));
    assert_string_equal(query.text.data, " AND (n.name < ?) ORDER BY n.name DESC LIMIT ?");
}

static void a_broken_cursor_reaches_no_statement(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    struct page page = {.cursor = "' OR 1 = 1"};
    CLEANUP(query_fini) struct query query = {.arena = arena};
    assert_false(query_page_by_id(&query, "id", &page, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_filters_leave_no_trace),
        cmocka_unit_test(the_first_page_begins_at_the_end_of_its_order),
        cmocka_unit_test(a_page_goes_on_behind_its_cursor),
        cmocka_unit_test(a_unique_key_stands_alone),
        cmocka_unit_test(a_broken_cursor_reaches_no_statement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
