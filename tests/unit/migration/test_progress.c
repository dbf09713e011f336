/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/file.h"
#include "migration/progress.h"

static char directory[64];

static int set_up(void **state)
{
    strcpy(directory, "/tmp/guts-progress-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct error err;
    return file_remove_tree(directory, &err) ? 0 : -1;
}

static struct progress *open_it(enum progress_depth depth)
{
    struct progress *progress;
    struct error err;
    if (!progress_open(directory, depth, &progress, &err))
        fail_msg("%s", err.text);
    return progress;
}

static void the_job_its_runs_and_its_result_come_back(void **state)
{
    struct error err;
    size_t length;
    struct child_mark mark;
    struct progress *progress = open_it(PROGRESS_WITHOUT_CHUNKS);
    assert_null(progress_job(progress, &length));
    assert_true(progress_set_job(progress, "packed", 6, &err));
    assert_true(progress_set_run(progress, 3, &err));
    assert_true(child_mark_self(&mark, &err));
    assert_true(progress_set_worker(progress, &mark, &err));
    assert_true(progress_add_crash(progress, "signal 9", &err));
    assert_true(progress_set_result(progress, "done", 4, &err));
    progress_close(progress);
    progress = open_it(PROGRESS_WITHOUT_CHUNKS);
    assert_memory_equal(progress_job(progress, &length), "packed", 6);
    assert_int_equal(length, 6);
    assert_int_equal(progress_run(progress), 3);
    assert_int_equal(progress_worker(progress)->pid, getpid());
    assert_int_equal(progress_worker(progress)->start_time, mark.start_time);
    assert_int_equal(progress_crashes(progress), 1);
    assert_memory_equal(progress_result(progress, &length), "done", 4);
    progress_close(progress);
}

static void a_step_is_done_until_it_is_cleared(void **state)
{
    struct error err;
    struct progress *progress = open_it(PROGRESS_WHOLE);
    json_t *object = json_pack("{s:i}", "a", 1);
    assert_null(progress_step(progress, "copy"));
    assert_true(progress_set_step(progress, "copy", object, &err));
    json_decref(object);
    progress_close(progress);
    progress = open_it(PROGRESS_WHOLE);
    assert_int_equal(json_integer_value(json_object_get(progress_step(progress, "copy"), "a")), 1);
    assert_true(progress_clear_step(progress, "copy", &err));
    assert_null(progress_step(progress, "copy"));
    progress_close(progress);
    progress = open_it(PROGRESS_WHOLE);
    assert_null(progress_step(progress, "copy"));
    progress_close(progress);
}

struct taken {
    struct copy_chunk chunks[8];
    size_t count;
};

static void take(void *context, const struct copy_chunk *chunk)
{
    struct taken *taken = context;
    assert_true(taken->count < 8);
    taken->chunks[taken->count++] = *chunk;
}

static void chunks_come_back_and_end_with_a_new_beginning(void **state)
{
    struct error err;
    struct taken taken = {0};
    struct copy_chunk chunks[] = {{5, {5}}, {1, {1}}, {3, {3}}};
    struct progress *progress = open_it(PROGRESS_WHOLE);
    assert_true(progress_begin_copy(progress, 2, "inode 7", &err));
    assert_true(progress_add_chunks(progress, 2, chunks, 3, 100, 90, &err));
    progress_close(progress);
    progress = open_it(PROGRESS_WHOLE);
    const struct progress_copy *copy = progress_copy(progress, 2);
    assert_string_equal(copy->identity, "inode 7");
    assert_int_equal(copy->count, 3);
    assert_true(progress_add_chunks(progress, 1, chunks, 1, 1, 1, &err)); /* another disk's */
    assert_true(progress_each_chunk(progress, 2, take, &taken, &err));
    assert_int_equal(taken.count, 3);
    assert_memory_equal(taken.chunks, chunks, sizeof(chunks));
    assert_int_equal(copy->read_bytes, 100);
    assert_true(progress_begin_copy(progress, 2, "inode 8", &err));
    copy = progress_copy(progress, 2);
    assert_int_equal(copy->count, 0);
    assert_int_equal(copy->read_bytes, 100); /* what was read was read */
    assert_true(progress_add_chunks(progress, 2, chunks + 1, 2, 120, 100, &err));
    taken.count = 0;
    assert_true(progress_each_chunk(progress, 2, take, &taken, &err));
    assert_int_equal(taken.count, 2); /* those of the beginning before do not count */
    assert_memory_equal(taken.chunks, chunks + 1, 2 * sizeof(chunks[0]));
    assert_int_equal(progress_copy(progress, 0)->count, 0);
    progress_close(progress);
}

static void an_entry_of_the_ledger_is_replaced_by_its_later_state(void **state)
{
    struct error err;
    struct ledger_entry entry = {END_SOURCE, "power", "vm-1", LEDGER_INTENDED, "", "{}", "", 1, 1};
    struct progress *progress = open_it(PROGRESS_WHOLE);
    assert_true(progress_set_ledger(progress, &entry, &err));
    entry.state = LEDGER_MADE;
    entry.external_id = "off";
    assert_true(progress_set_ledger(progress, &entry, &err));
    entry.key = "vm-2";
    assert_false(progress_has_ledger(progress, &entry));
    progress_close(progress);
    assert_true(progress_peek(directory, &progress, &err));
    assert_int_equal(progress_ledger_count(progress), 1);
    assert_int_equal(progress_ledger_get(progress, 0)->state, LEDGER_MADE);
    assert_string_equal(progress_ledger_get(progress, 0)->external_id, "off");
    assert_string_equal(progress_ledger_get(progress, 0)->prior_json, "{}");
    progress_close(progress);
}

static void the_daemon_reads_a_journal_without_keeping_its_chunks(void **state)
{
    struct error err;
    struct copy_chunk chunk = {1, {1}};
    struct progress *progress = open_it(PROGRESS_WHOLE);
    assert_true(progress_begin_copy(progress, 0, "x", &err));
    assert_true(progress_add_chunks(progress, 0, &chunk, 1, 10, 10, &err));
    progress_close(progress);
    progress = open_it(PROGRESS_WITHOUT_CHUNKS);
    assert_int_equal(progress_copy(progress, 0)->count, 0);
    assert_int_equal(progress_copy(progress, 0)->read_bytes, 10);
    progress_close(progress);
}

static void a_process_of_an_earlier_boot_or_start_is_not_ended(void **state)
{
    struct error err;
    struct child_mark mark;
    assert_true(child_mark_self(&mark, &err));
    mark.start_time++;
    assert_true(child_end_marked(&mark, 100, &err)); /* we live on */
    assert_true(child_mark_self(&mark, &err));
    mark.boot_id[0] = mark.boot_id[0] == 'a' ? 'b' : 'a';
    assert_true(child_end_marked(&mark, 100, &err));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_job_its_runs_and_its_result_come_back),
        TEST(a_step_is_done_until_it_is_cleared),
        TEST(chunks_come_back_and_end_with_a_new_beginning),
        TEST(an_entry_of_the_ledger_is_replaced_by_its_later_state),
        TEST(the_daemon_reads_a_journal_without_keeping_its_chunks),
        TEST(a_process_of_an_earlier_boot_or_start_is_not_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
