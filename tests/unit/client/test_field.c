/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "client/cli/output.h"
#include "common/base/memory.h"

static void sizes_and_durations_are_readable(void **state)
{
    (void)state;
    char text[32];
    format_bytes(0, text, sizeof(text));
    assert_string_equal(text, "0 B");
    format_bytes(1536, text, sizeof(text));
    assert_string_equal(text, "1.5 KiB");
    format_bytes(200ull << 30, text, sizeof(text));
    assert_string_equal(text, "200 GiB");
    format_bytes(UINT64_MAX, text, sizeof(text));
    assert_string_equal(text, "16.0 EiB");
    format_duration(7, text, sizeof(text));
    assert_string_equal(text, "7s");
    format_duration(200, text, sizeof(text));
    assert_string_equal(text, "3m20s");
    format_duration(3720, text, sizeof(text));
    assert_string_equal(text, "1h02m");
}

static void text_from_outside_cannot_drive_a_terminal(void **state)
{
    (void)state;
    CLEANUP(xfreep)
    char *clean = output_clean("a\033[2Jb\x7f\xc2\x9b"
                               "c");
    assert_null(strchr(clean, '\033'));
    assert_null(strchr(clean, '\x7f'));
    assert_null(strstr(clean, "\xc2\x9b"));
    CLEANUP(xfreep) char *kept = output_clean("名前 é ok");
    assert_string_equal(kept, "名前 é ok");
}

static void fields_reach_into_objects_and_count_arrays(void **state)
{
    (void)state;
    json_t *object = json_pack("{s:{s:s} s:[ii] s:n s:I}", "fault", "code", "vm_running", "disks",
                               1, 2, "none", "size", (json_int_t)2048);
    struct {
        const char *field, *text;
        enum column_look look;
        bool pretty;
    } cases[] = {
        {"fault.code", "vm_running", LOOK_PLAIN, true},
        {"#disks", "2", LOOK_PLAIN, true},
        {"none", "", LOOK_PLAIN, true},
        {"absent.x", "", LOOK_PLAIN, true},
        {"size", "2.0 KiB", LOOK_BYTES, true},
        {"size", "2048", LOOK_BYTES, false},
        {"disks", "[1,2]", LOOK_PLAIN, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct column column = {cases[i].field, cases[i].field, cases[i].look};
        CLEANUP(xfreep) char *text = output_field_text(object, &column, cases[i].pretty);
        assert_string_equal(text, cases[i].text);
    }
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_durations_are_readable),
        cmocka_unit_test(text_from_outside_cannot_drive_a_terminal),
        cmocka_unit_test(fields_reach_into_objects_and_count_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
