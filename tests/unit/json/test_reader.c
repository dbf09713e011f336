/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/reader.h"

#include <stdio.h>

#include "tests/unit/check.h"

static struct arena *arena;
static json_t *body;
static struct reader reader;

static void read_body(const char *text)
{
    struct error err;
    body = reader_parse(text, strlen(text), 100000, &err);
    assert_non_null(body);
    reader_init(&reader, arena, body);
}

static int begin(void **state)
{
    arena = arena_new();
    body = NULL;
    return 0;
}

static int end(void **state)
{
    json_decref(body);
    arena_free(arena);
    return 0;
}

static void assert_complaint(size_t index, const char *pointer, const char *detail)
{
    assert_true(index < reader.error_count);
    assert_string_equal(reader.errors[index].pointer, pointer);
    assert_string_equal(reader.errors[index].detail, detail);
}

static void fields_are_read_by_their_types(void **state)
{
    static const char *const words[] = {"never", "always", NULL};
    struct uuid id;
    read_body("{\"name\":\"\xC3\xA4\",\"n\":-3,\"b\":true,\"w\":\"always\",\"o\":{},\"a\":[1],"
              "\"id\":\"0198c0de-1234-7abc-8def-0123456789ab\",\"none\":null}");
    assert_string_equal(reader_text(&reader, "name", READER_REQUIRED, 1, 10), "\xC3\xA4");
    assert_int_equal(reader_integer(&reader, "n", READER_REQUIRED, 0, -3, 3), -3);
    assert_true(reader_bool(&reader, "b", READER_REQUIRED, false));
    assert_int_equal(reader_word(&reader, "w", READER_REQUIRED, 0, words), 1);
    assert_non_null(reader_object(&reader, "o", READER_REQUIRED));
    assert_non_null(reader_array(&reader, "a", READER_REQUIRED, 1));
    assert_true(reader_uuid(&reader, "id", READER_REQUIRED, &id));
    assert_string_equal(UUID_TEXT(&id), "0198c0de-1234-7abc-8def-0123456789ab");
    assert_null(reader_text(&reader, "none", READER_OPTIONAL, 1, 10));
    assert_int_equal(reader_integer(&reader, "absent", READER_OPTIONAL, 17, 0, 1), 17);
    reader_finish(&reader);
    assert_int_equal(reader.error_count, 0);
}

static void all_wrong_fields_are_named_at_once(void **state)
{
    static const char *const words[] = {"never", "always", NULL};
    struct uuid id;
    read_body(
        "{\"name\":3,\"long\":\"abcd\",\"ctl\":\"a\\u0007\",\"c1\":\"a\\u0085\",\"n\":1.5,\"m\":9,"
        "\"b\":0,\"w\":\"x\",\"o\":[],\"a\":[1,2],\"id\":\"x\",\"mo/re~\":1}");
    assert_null(reader_text(&reader, "name", READER_REQUIRED, 1, 3));
    assert_null(reader_text(&reader, "long", READER_REQUIRED, 1, 3));
    assert_null(reader_text(&reader, "ctl", READER_REQUIRED, 1, 3));
    assert_null(reader_text(&reader, "c1", READER_REQUIRED, 1, 3));
    assert_int_equal(reader_integer(&reader, "n", READER_REQUIRED, 5, 1, 8), 5);
    assert_int_equal(reader_integer(&reader, "m", READER_REQUIRED, 5, 1, 8), 5);
    assert_true(reader_bool(&reader, "b", READER_REQUIRED, true));
    assert_int_equal(reader_word(&reader, "w", READER_REQUIRED, 0, words), 0);
    assert_null(reader_object(&reader, "o", READER_REQUIRED));
    assert_null(reader_array(&reader, "a", READER_REQUIRED, 1));
    assert_false(reader_uuid(&reader, "id", READER_REQUIRED, &id));
    assert_null(reader_text(&reader, "absent", READER_REQUIRED, 1, 3));
    reader_finish(&reader);
    assert_int_equal(reader.error_count, 13);
    assert_complaint(0, "/name", "must be a string");
    assert_complaint(1, "/long", "must have 1 to 3 bytes");
    assert_complaint(2, "/ctl", "must not hold control characters");
    assert_complaint(3, "/c1", "must not hold control characters");
    assert_complaint(4, "/n", "must be a whole number");
    assert_complaint(5, "/m", "must lie between 1 and 8");
    assert_complaint(6, "/b", "must be true or false");
    assert_complaint(7, "/w", "must be one of never, always");
    assert_complaint(8, "/o", "must be an object");
    assert_complaint(9, "/a", "must have at most 1 items");
    assert_complaint(10, "/id", "must be a UUID");
    assert_complaint(11, "/absent", "is required");
    assert_complaint(12, "/mo~1re~0", "is not known");
}

static void errors_of_children_carry_their_whole_pointer(void **state)
{
    struct reader child;
    struct reader grandchild;
    read_body("{\"disks\":[{\"name\":1,\"nic\":{\"x\":1}}]}");
    const json_t *disks = reader_array(&reader, "disks", READER_REQUIRED, 4);
    reader_child(&child, &reader, "disks/0", json_array_get(disks, 0));
    reader_text(&child, "name", READER_REQUIRED, 1, 3);
    reader_child(&grandchild, &child, "nic", reader_object(&child, "nic", READER_REQUIRED));
    reader_finish(&grandchild);
    reader_finish(&child);
    reader_finish(&reader);
    assert_int_equal(reader.error_count, 2);
    assert_complaint(0, "/disks/0/name", "must be a string");
    assert_complaint(1, "/disks/0/nic/x", "is not known");
}

static void an_absent_child_is_complained_of_once(void **state)
{
    struct reader child;
    read_body("{}");
    reader_child(&child, &reader, "o", reader_object(&reader, "o", READER_REQUIRED));
    reader_text(&child, "name", READER_REQUIRED, 1, 3);
    reader_finish(&child);
    reader_finish(&reader);
    assert_int_equal(reader.error_count, 1);
    assert_complaint(0, "/o", "is required");
    reader_init(&reader, arena, NULL);
    reader_text(&reader, "name", READER_REQUIRED, 1, 3);
    assert_int_equal(reader.error_count, 1);
}

static void what_is_no_object_is_complained_of(void **state)
{
    read_body("[1]");
    reader_text(&reader, "name", READER_OPTIONAL, 1, 3);
    reader_finish(&reader);
    assert_int_equal(reader.error_count, 1);
    assert_complaint(0, "", "must be an object");
}

static void a_thousand_unknown_fields_cost_no_more_than_thirty_two(void **state)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    buffer_append_text(&text, "{");
    for (int i = 0; i < 1000; i++)
        buffer_printf(&text, "%s\"field%d\":1", i > 0 ? "," : "", i);
    buffer_append_text(&text, "}");
    read_body(text.data);
    reader_finish(&reader);
    assert_int_equal(reader.error_count, 1000);
    assert_true(arena_bytes(arena) < 20000);
}

static void a_hostile_text_is_refused(void **state)
{
    static const char *const cases[] = {"",
                                        "{",
                                        "3",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"a\":\"\\u0000\"}",
                                        "{\"a\":\"\xFF\"}",
                                        "{\"a\":1}x",
                                        "{\"a\":99999999999999999999}",
                                        "{'a':1}",
                                        "{\"a\":NaN}"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = {0};
        assert_null(reader_parse(cases[i], strlen(cases[i]), 1000, &err));
        assert_ptr_equal(err.fault, &FAULT_INVALID);
    }
}

static void depth_and_size_are_bounded(void **state)
{
    struct error err = {0};
    char text[128];
    for (size_t depth = 32; depth <= 33; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        json_t *value = reader_parse(text, 2 * depth, 1000, &err);
        assert_int_equal(value != NULL, depth == 32);
        json_decref(value);
    }
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    assert_null(reader_parse("[\"[[[[[[\"]", 11, 10, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
    const char *brackets = "[\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]";
    json_t *value = reader_parse(brackets, strlen(brackets), 1000, &err);
    assert_non_null(value);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields_are_read_by_their_types, begin, end),
        cmocka_unit_test_setup_teardown(all_wrong_fields_are_named_at_once, begin, end),
        cmocka_unit_test_setup_teardown(errors_of_children_carry_their_whole_pointer, begin, end),
        cmocka_unit_test_setup_teardown(an_absent_child_is_complained_of_once, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_object_is_complained_of, begin, end),
        cmocka_unit_test_setup_teardown(a_thousand_unknown_fields_cost_no_more_than_thirty_two,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_hostile_text_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(depth_and_size_are_bounded, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
