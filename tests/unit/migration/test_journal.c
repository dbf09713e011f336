/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/journal.h"

static char directory[64];

static int set_up(void **state)
{
    struct error err;
    strcpy(directory, "/tmp/guts-journal-XXXXXX");
    *state = mkdtemp(directory);
    return *state && file_sync_directory(directory, &err) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct error err;
    return file_remove_tree(directory, &err) ? 0 : -1;
}

/* The texts of all records, joined. */
static bool join(void *context, enum journal_kind kind, const void *data, size_t length)
{
    struct buffer *text = context;
    buffer_printf(text, "%d:", (int)kind);
    buffer_append(text, data, length);
    buffer_append_text(text, ";");
    return true;
}

static void write_three(struct journal *journal)
{
    struct error err;
    assert_true(journal_append(journal, JOURNAL_JOB, "job", 3, &err));
    assert_true(journal_append(journal, JOURNAL_RUN, "", 0, &err));
    assert_true(journal_append(journal, JOURNAL_STEP, "a longer step", 13, &err));
    assert_true(journal_sync(journal, &err));
}

static const char all[] = "1:job;2:;4:a longer step;";

static void read_whole(struct buffer *bytes)
{
    struct error err;
    CLEANUP(xfreep) char *path = xasprintf("%s/journal", directory);
    assert_true(file_read(path, 1 << 20, bytes, &err));
}

static void what_was_appended_comes_back_after_opening_again(void **state)
{
    struct error err;
    struct journal *journal;
    assert_true(journal_open(directory, &journal, &err));
    write_three(journal);
    journal_close(journal);
    CLEANUP(buffer_fini) struct buffer text = {0};
    assert_true(journal_open(directory, &journal, &err));
    assert_true(journal_replay(journal, join, &text, &err));
    assert_string_equal(text.data, all);
    journal_close(journal);
}

static void every_truncation_leaves_a_valid_prefix(void **state)
{
    struct error err;
    struct journal *journal;
    assert_true(journal_open(directory, &journal, &err));
    write_three(journal);
    journal_close(journal);
    CLEANUP(buffer_fini) struct buffer bytes = {0};
    read_whole(&bytes);
    size_t ends[] = {0, 19, 35, 64};
    assert_int_equal(bytes.length, ends[3]);
    for (size_t length = 0; length <= bytes.length; length++) {
        CLEANUP(buffer_fini) struct buffer text = {0};
        size_t valid = journal_parse(bytes.data, length, join, &text);
        size_t wanted = 0;
        for (size_t i = 0; i < COUNT_OF(ends); i++)
            wanted = ends[i] <= length ? ends[i] : wanted;
        assert_int_equal(valid, wanted);
        assert_true(text.length == 0 || strncmp(all, text.data, text.length) == 0);
    }
}

static void every_flipped_bit_ends_the_prefix_before_its_record(void **state)
{
    struct error err;
    struct journal *journal;
    assert_true(journal_open(directory, &journal, &err));
    write_three(journal);
    journal_close(journal);
    CLEANUP(buffer_fini) struct buffer bytes = {0};
    read_whole(&bytes);
    for (size_t bit = 0; bit < bytes.length * 8; bit++) {
        CLEANUP(buffer_fini) struct buffer text = {0};
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << (bit % 8)));
        size_t valid = journal_parse(bytes.data, bytes.length, join, &text);
        size_t start = bit / 8 < 19 ? 0 : bit / 8 < 35 ? 19 : 35;
        assert_int_equal(valid, start);
        bytes.data[bit / 8] = (char)(bytes.data[bit / 8] ^ (1 << (bit % 8)));
    }
}

static void a_torn_tail_is_cut_and_appending_goes_on_behind_it(void **state)
{
    struct error err;
    struct journal *journal;
    CLEANUP(xfreep) char *path = xasprintf("%s/journal", directory);
    assert_true(journal_open(directory, &journal, &err));
    write_three(journal);
    journal_close(journal);
    assert_int_equal(truncate(path, 50), 0);
    assert_true(journal_open(directory, &journal, &err));
    assert_true(journal_append(journal, JOURNAL_RESULT, "end", 3, &err));
    CLEANUP(buffer_fini) struct buffer text = {0};
    assert_true(journal_replay(journal, join, &text, &err));
    assert_string_equal(text.data, "1:job;2:;8:end;");
    journal_close(journal);
}

static bool count_bytes(void *context, enum journal_kind kind, const void *data, size_t length)
{
    size_t *bytes = context;
    assert_int_equal(((const char *)data)[length - 1], *bytes & 0x7f);
    *bytes += length;
    return true;
}

static void a_journal_larger_than_what_is_held_of_it_comes_back_whole(void **state)
{
    struct error err;
    struct journal *journal;
    static char record[700001];
    size_t told = 0, found = 0, peeked = 0;
    assert_true(journal_open(directory, &journal, &err));
    for (size_t i = 0; i < 40; i++) {
        size_t length = sizeof(record) - i * 9999;
        record[length - 1] = (char)(told & 0x7f);
        assert_true(journal_append(journal, JOURNAL_CHUNKS, record, length, &err));
        told += length;
    }
    journal_close(journal);
    assert_true(journal_open(directory, &journal, &err));
    assert_true(journal_replay(journal, count_bytes, &found, &err));
    assert_true(journal_peek(directory, count_bytes, &peeked, &err));
    assert_int_equal(found, told);
    assert_int_equal(peeked, told);
    journal_close(journal);
}

static void a_record_that_stands_at_another_offset_does_not_count(void **state)
{
    struct error err;
    struct journal *journal;
    assert_true(journal_open(directory, &journal, &err));
    write_three(journal);
    journal_close(journal);
    CLEANUP(buffer_fini) struct buffer bytes = {0};
    read_whole(&bytes);
    assert_int_equal(journal_parse(bytes.data + 19, bytes.length - 19, NULL, NULL), 0);
}

static void a_record_beyond_its_bound_is_refused(void **state)
{
    struct error err;
    struct journal *journal;
    assert_true(journal_open(directory, &journal, &err));
    CLEANUP(xfreep) char *much = xcalloc(1, JOURNAL_RECORD_MOST_BYTES + 1);
    assert_false(journal_append(journal, JOURNAL_STEP, much, JOURNAL_RECORD_MOST_BYTES + 1, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
    journal_close(journal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_appended_comes_back_after_opening_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_truncation_leaves_a_valid_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_flipped_bit_ends_the_prefix_before_its_record, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_torn_tail_is_cut_and_appending_goes_on_behind_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_journal_larger_than_what_is_held_of_it_comes_back_whole,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_that_stands_at_another_offset_does_not_count,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_record_beyond_its_bound_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
