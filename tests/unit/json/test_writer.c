/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/writer.h"

#include <jansson.h>
#include <math.h>

#include "tests/unit/check.h"

static struct buffer buffer;
static struct writer writer;

static int begin(void **state)
{
    buffer_clear(&buffer);
    writer_init(&writer, &buffer);
    return 0;
}

static void commas_are_placed_for_you(void **state)
{
    writer_object_begin(&writer, NULL);
    writer_array_begin(&writer, "a");
    writer_integer(&writer, NULL, 1);
    writer_object_begin(&writer, NULL);
    writer_object_end(&writer);
    writer_array_begin(&writer, NULL);
    writer_array_end(&writer);
    writer_array_end(&writer);
    writer_bool(&writer, "b", true);
    writer_bool(&writer, "c", false);
    writer_null(&writer, "d");
    writer_object_end(&writer);
    assert_string_equal(buffer.data, "{\"a\":[1,{},[]],\"b\":true,\"c\":false,\"d\":null}");
    assert_int_equal(writer.depth, 0);
}

static void numbers_keep_every_digit(void **state)
{
    writer_array_begin(&writer, NULL);
    writer_integer(&writer, NULL, INT64_MIN);
    writer_integer(&writer, NULL, INT64_MAX);
    writer_integer(&writer, NULL, 0);
    writer_unsigned(&writer, NULL, UINT64_MAX);
    writer_double(&writer, NULL, 0.1);
    writer_double(&writer, NULL, 1e300);
    writer_double(&writer, NULL, NAN);
    writer_double(&writer, NULL, INFINITY);
    writer_array_end(&writer);
    assert_string_equal(buffer.data, "[-9223372036854775808,9223372036854775807,0,"
                                     "18446744073709551615,0.1,1e+300,null,null]");
}

static void text_is_escaped(void **state)
{
    writer_object_begin(&writer, NULL);
    writer_text(&writer, "k\"", "\"\\/\b\f\n\r\t\x01\x1f\x7f");
    writer_text(&writer, "utf", "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
    writer_text(&writer, "none", NULL);
    writer_text_length(&writer, "nul", "a\0b", 3);
    writer_object_end(&writer);
    assert_string_equal(buffer.data,
                        "{\"k\\\"\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\","
                        "\"utf\":\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\",\"none\":null,"
                        "\"nul\":\"a\\u0000b\"}");
}

static void bytes_that_are_not_utf_8_become_the_replacement_character(void **state)
{
    writer_text(&writer, NULL, "a\xFF\xC3(\xE2\x82");
    assert_string_equal(buffer.data, "\"a\xEF\xBF\xBD\xEF\xBF\xBD(\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

static void any_bytes_give_json_that_others_read(void **state)
{
    unsigned seed = 20260131;
    for (int round = 0; round < 2000; round++) {
        char text[64];
        for (size_t i = 0; i < sizeof(text); i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)(seed >> 24);
        }
        begin(NULL);
        writer_array_begin(&writer, NULL);
        writer_text_length(&writer, NULL, text, sizeof(text));
        writer_array_end(&writer);
        json_t *value = json_loadb(buffer.data, buffer.length, JSON_ALLOW_NUL, NULL);
        assert_non_null(value);
        json_decref(value);
    }
}

static void ids_and_times_have_their_form(void **state)
{
    struct uuid id = {{0}};
    writer_array_begin(&writer, NULL);
    writer_uuid(&writer, NULL, &id);
    assert_true(uuid_parse("0198c0de-1234-7abc-8def-0123456789ab", &id));
    writer_uuid(&writer, NULL, &id);
    writer_time(&writer, NULL, 0);
    writer_time(&writer, NULL, 1769903999123000ULL);
    writer_raw(&writer, NULL, "{\"x\":1}");
    writer_raw(&writer, NULL, "");
    writer_raw(&writer, NULL, NULL);
    writer_array_end(&writer);
    assert_string_equal(buffer.data, "[null,\"0198c0de-1234-7abc-8def-0123456789ab\",null,"
                                     "\"2026-01-31T23:59:59.123Z\",{\"x\":1},null,null]");
}

static int end(void **state)
{
    buffer_fini(&buffer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(commas_are_placed_for_you, begin),
        cmocka_unit_test_setup(numbers_keep_every_digit, begin),
        cmocka_unit_test_setup(text_is_escaped, begin),
        cmocka_unit_test_setup(bytes_that_are_not_utf_8_become_the_replacement_character, begin),
        cmocka_unit_test_setup(any_bytes_give_json_that_others_read, begin),
        cmocka_unit_test_setup(ids_and_times_have_their_form, begin),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
