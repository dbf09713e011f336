/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "client/cli/output.h"
#include "client/cli/summary.h"
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

static void names_cannot_turn_a_line_around_or_begin_one(void **state)
{
    (void)state;
    CLEANUP(xfreep)
    char *turned = output_clean("a\xe2\x80\xae"
                                "b\xe2\x81\xa6"
                                "c\xe2\x82\xac");
    assert_string_equal(turned, "a???b???c\xe2\x82\xac");
    CLEANUP(xfreep) char *forged = output_clean("web\nguts: all is well");
    assert_string_equal(forged, "web guts: all is well");
    CLEANUP(xfreep) char *lines = output_clean_lines("a\nb\033");
    assert_string_equal(lines, "a\nb?");
}

static void nested_values_are_lines_for_people(void **state)
{
    (void)state;
    json_t *object = json_pack("{s:s s:i s:n s:s}", "path", "/x", "free_bytes", 2048, "none",
                               "evil", "a\033[2Jb\nc");
    CLEANUP(xfreep) char *members = output_nested_text(object);
    assert_string_equal(members, "path: /x\nfree_bytes: 2.0 KiB\nevil: a?[2Jb c");
    json_t *array = json_pack("[{s:i s:s} {s:i}]", "number", 0, "bus", "scsi", "number", 1);
    CLEANUP(xfreep) char *rows = output_nested_text(array);
    assert_string_equal(rows, "number 0, bus scsi\nnumber 1");
    json_t *words = json_pack("[ss]", "a", "b");
    CLEANUP(xfreep) char *list = output_nested_text(words);
    assert_string_equal(list, "a, b");
    json_decref(object);
    json_decref(array);
    json_decref(words);
    json_t *nothing = json_array();
    CLEANUP(xfreep) char *none = output_nested_text(nothing);
    assert_string_equal(none, "");
    json_decref(nothing);
}

static void a_migration_has_a_summary_without_its_ledger(void **state)
{
    (void)state;
    json_t *migration = json_loads(
        "{\"id\": \"m\", \"vm_name\": \"web\", \"state\": \"FAILED\", \"fault\": {\"code\": "
        "\"vm_running\","
        " \"detail\": \"it runs\", \"hint\": \"stop it\"}, \"done_bytes\": 1024, \"total_bytes\": "
        "2048,"
        " \"steps\": [{\"name\": \"describe\", \"state\": \"done\"}, {\"name\": \"copy\", "
        "\"state\": \"failed\"}],"
        " \"ledger\": [{\"state\": \"made\"}, {\"state\": \"undone\"}, {\"state\": \"made\"}]}",
        0, NULL);
    json_t *summary = summary_of_migration(migration);
    assert_string_equal(output_text(summary, "fault"), "it runs [vm_running]");
    assert_string_equal(output_text(summary, "hint"), "stop it");
    assert_string_equal(output_text(summary, "copied"), "1.0 KiB of 2.0 KiB");
    assert_string_equal(output_text(summary, "steps"), "2: 1 done, 1 failed; last: copy (failed)");
    assert_string_equal(output_text(summary, "ledger"), "3: 2 made, 1 undone");
    json_decref(summary);
    json_decref(migration);
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
        cmocka_unit_test(names_cannot_turn_a_line_around_or_begin_one),
        cmocka_unit_test(nested_values_are_lines_for_people),
        cmocka_unit_test(a_migration_has_a_summary_without_its_ledger),
        cmocka_unit_test(fields_reach_into_objects_and_count_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
