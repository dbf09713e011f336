/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "migration/disk/faults.h"
#include "migration/disk/memory.h"
#include "proto/fault.h"

#define SIZE_BYTES ((24ull << 20) + 5120)

/* What a journal would hold. */
struct journal {
    struct copy_chunk chunks[4096];
    size_t count;
    size_t calls;
    size_t stop_after; /* calls; 0: never */
    struct disk_faults *to;
    uint64_t flushes_seen;
};

static bool note(void *context, const struct copy_chunk *chunks, size_t count, struct error *err)
{
    struct journal *journal = context;
    if (journal->to != NULL) { /* the data was flushed before we were told */
        assert_true(journal->to->flush_count > journal->flushes_seen);
        journal->flushes_seen = journal->to->flush_count;
    }
    assert_true(journal->count + count <= COUNT_OF(journal->chunks));
    memcpy(journal->chunks + journal->count, chunks, count * sizeof(*chunks));
    journal->count += count;
    journal->calls++;
    if (journal->calls == journal->stop_after)
        return error_set(err, &FAULT_IO, "the journal is full");
    return true;
}

static int by_index(const void *a, const void *b)
{
    const struct copy_chunk *left = a, *right = b;
    return left->index < right->index ? -1 : left->index > right->index;
}

static struct disk *pattern(uint64_t size_bytes, unsigned data_of_hundred, enum disk_access access)
{
    return disk_pattern_new(&(struct disk_pattern_plan){.size_bytes = size_bytes,
                                                        .seed = 7,
                                                        .block_bytes = 32768,
                                                        .data_of_hundred = data_of_hundred,
                                                        .access = access});
}

static void assert_same(struct disk *a, struct disk *b)
{
    struct error err = {0};
    static uint8_t left[1 << 20], right[1 << 20];
    for (uint64_t at = 0; at < disk_size_bytes(a);) {
        uint64_t rest = disk_size_bytes(a) - at;
        size_t step = rest < sizeof(left) ? (size_t)rest : sizeof(left);
        assert_true(disk_read(a, left, step, at, &err));
        assert_true(disk_read(b, right, step, at, &err));
        assert_memory_equal(left, right, step);
        at += step;
    }
}

static void text_of(struct disk *disk, char ret_text[COPY_DIGEST_TEXT_SIZE])
{
    struct error err = {0};
    struct copy_control control = {0};
    struct copy_digests *digests = copy_digests_new(disk_size_bytes(disk));
    assert_true(copy_digests_read(digests, disk, &control, &err));
    copy_digests_text(digests, ret_text);
    copy_digests_free(digests);
}

static void a_copy_equals_its_source_and_reads_no_hole(void **state)
{
    struct error err = {0};
    static struct journal journal;
    journal = (struct journal){0};
    struct copy_control control = {0};
    struct disk_faults faults, sink;
    disk_faults_init(&faults);
    disk_faults_init(&sink);
    journal.to = &sink;
    struct disk *from = disk_faults_wrap(pattern(SIZE_BYTES, 30, DISK_RANDOM), &faults);
    struct disk *to = disk_faults_wrap(disk_memory_new(SIZE_BYTES), &sink);
    struct copy_plan plan = {.from = from,
                             .to = to,
                             .threads = 4,
                             .flush_bytes = 1 << 20,
                             .to_is_zero = true,
                             .control = &control,
                             .flushed = note,
                             .context = &journal};
    assert_true(copy_run(&plan, &err));
    assert_int_equal(faults.read_bytes, control.total_bytes); /* holes were never read */
    assert_int_equal(control.done_bytes, control.total_bytes);
    assert_int_equal(sink.zeroed_bytes, 0);
    assert_same(from, to);
    struct copy_digests *digests = copy_digests_new(SIZE_BYTES);
    for (size_t i = 0; i < journal.count; i++)
        copy_digests_set(digests, &journal.chunks[i]);
    assert_true(copy_verify(to, digests, &control, &err));
    char told[COPY_DIGEST_TEXT_SIZE], read_back[COPY_DIGEST_TEXT_SIZE];
    copy_digests_text(digests, told);
    text_of(to, read_back); /* its holes lie elsewhere: the text is the same */
    assert_string_equal(told, read_back);
    copy_digests_free(digests);
    disk_close(from);
    disk_close(to);
}

static void what_the_destination_held_is_zeroed_where_the_source_has_none(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk *from = pattern(SIZE_BYTES, 30, DISK_RANDOM);
    struct disk *to = disk_memory_new(SIZE_BYTES);
    static uint8_t rubbish[1 << 20];
    memset(rubbish, 0xee, sizeof(rubbish));
    for (uint64_t at = 0; at + sizeof(rubbish) <= SIZE_BYTES; at += sizeof(rubbish))
        assert_true(disk_write(to, rubbish, sizeof(rubbish), at, &err));
    struct copy_plan plan = {.from = from, .to = to, .control = &control};
    assert_true(copy_run(&plan, &err));
    assert_same(from, to);
    disk_close(from);
    disk_close(to);
}

static void a_resumed_copy_reads_only_what_is_missing(void **state)
{
    struct error err = {0};
    static struct journal journal;
    journal = (struct journal){.stop_after = 3};
    struct copy_control control = {0};
    struct disk_faults faults;
    disk_faults_init(&faults);
    struct disk *from = disk_faults_wrap(pattern(SIZE_BYTES, 60, DISK_RANDOM), &faults);
    struct disk *to = disk_memory_new(SIZE_BYTES);
    struct copy_plan plan = {.from = from,
                             .to = to,
                             .flush_bytes = 1 << 20,
                             .to_is_zero = true,
                             .control = &control,
                             .flushed = note,
                             .context = &journal};
    control.bytes_per_second = 200 << 20; /* so that the first run does not end before a flush */
    assert_false(copy_run(&plan, &err));
    assert_string_equal(err.text, "the journal is full");
    assert_true(journal.count > 0 && journal.count < 24);
    qsort(journal.chunks, journal.count, sizeof(journal.chunks[0]), by_index);
    size_t resumed = journal.count;
    struct copy_set *done = copy_set_new(SIZE_BYTES);
    for (size_t i = 0; i < resumed; i++)
        copy_set_add(done, journal.chunks[i].index);
    assert_int_equal(copy_set_count(done), resumed);
    uint64_t read_before = faults.read_bytes;
    control = (struct copy_control){0};
    plan.done = done;
    assert_true(copy_run(&plan, &err));
    copy_set_free(done);
    qsort(journal.chunks, journal.count, sizeof(journal.chunks[0]), by_index);
    for (size_t i = 1; i < journal.count; i++) /* each chunk was told once */
        assert_true(journal.chunks[i - 1].index < journal.chunks[i].index);
    struct copy_digests *digests = copy_digests_new(SIZE_BYTES);
    for (size_t i = 0; i < journal.count; i++)
        copy_digests_set(digests, &journal.chunks[i]);
    struct copy_control reading = {0};
    assert_true(copy_verify(to, digests, &reading, &err));
    copy_digests_free(digests);
    assert_int_equal(control.done_bytes, control.total_bytes);
    assert_true(control.read_bytes < control.total_bytes);
    assert_int_equal(faults.read_bytes - read_before, control.read_bytes);
    assert_same(from, to);
    disk_close(from);
    disk_close(to);
}

static void an_unreadable_sector_ends_the_copy_with_its_error(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk_faults faults;
    disk_faults_init(&faults);
    faults.fail_read_at = 5 << 20;
    struct disk *from = disk_faults_wrap(pattern(SIZE_BYTES, 100, DISK_RANDOM), &faults);
    struct disk *to = disk_memory_new(SIZE_BYTES);
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    assert_false(copy_run(&plan, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    assert_non_null(strstr(err.text, "unreadable at 5242880"));
    disk_close(from);
    disk_close(to);
}

static void a_full_destination_and_a_failed_flush_are_errors(void **state)
{
    struct error err = {0};
    static struct journal journal;
    struct copy_control control = {0};
    struct disk_faults faults;
    disk_faults_init(&faults);
    faults.room_bytes = 3 << 20;
    struct disk *from = pattern(SIZE_BYTES, 100, DISK_RANDOM);
    struct disk *to = disk_faults_wrap(disk_memory_new(SIZE_BYTES), &faults);
    journal = (struct journal){0};
    struct copy_plan plan = {.from = from,
                             .to = to,
                             .to_is_zero = true,
                             .control = &control,
                             .flushed = note,
                             .context = &journal};
    assert_false(copy_run(&plan, &err));
    assert_ptr_equal(err.fault, &FAULT_NO_SPACE);
    faults.room_bytes = UINT64_MAX;
    faults.fail_flush = true;
    journal = (struct journal){0};
    assert_false(copy_run(&plan, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    assert_int_equal(journal.count, 0); /* nothing was promised that is not durable */
    disk_close(from);
    disk_close(to);
}

static void a_source_that_gives_no_bytes_is_given_up(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk_faults faults;
    disk_faults_init(&faults);
    faults.hang_read_at = 9 << 20;
    struct disk *from = disk_faults_wrap(pattern(SIZE_BYTES, 100, DISK_RANDOM), &faults);
    struct disk *to = disk_memory_new(SIZE_BYTES);
    struct copy_plan plan = {
        .from = from, .to = to, .to_is_zero = true, .idle_timeout_ms = 200, .control = &control};
    assert_false(copy_run(&plan, &err));
    assert_ptr_equal(err.fault, &FAULT_COPY_STALLED);
    disk_close(from);
    disk_close(to);
}

static void a_stop_is_felt_and_told_as_cancelled(void **state)
{
    struct error err = {0};
    struct copy_control control = {.stop = true};
    struct disk *from = pattern(SIZE_BYTES, 100, DISK_RANDOM);
    struct disk *to = disk_memory_new(SIZE_BYTES);
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    assert_false(copy_run(&plan, &err));
    assert_ptr_equal(err.fault, &FAULT_CANCELLED);
    assert_int_equal(control.written_bytes, 0);
    disk_close(from);
    disk_close(to);
}

static void a_sequential_source_is_read_once_and_in_order(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk *from = pattern(SIZE_BYTES, 80, DISK_SEQUENTIAL);
    struct disk *to = disk_memory_new(SIZE_BYTES);
    struct copy_plan plan = {
        .from = from, .to = to, .threads = 4, .to_is_zero = true, .control = &control};
    assert_true(copy_run(&plan, &err));
    assert_same(from, to);
    disk_close(from);
    disk_close(to);
}

static void several_disks_share_a_budget_of_one_buffer(void **state)
{
    struct error err = {0};
    struct copy_budget *budget = copy_budget_new(1 << 18);
    struct copy_control controls[3] = {0};
    struct copy_plan plans[3];
    for (size_t i = 0; i < 3; i++)
        plans[i] = (struct copy_plan){.from = pattern(SIZE_BYTES, 50, DISK_RANDOM),
                                      .to = disk_memory_new(SIZE_BYTES),
                                      .to_is_zero = true,
                                      .budget = budget,
                                      .control = &controls[i]};
    assert_true(copy_run_all(plans, 3, &err));
    for (size_t i = 0; i < 3; i++) {
        assert_same(plans[i].from, plans[i].to);
        disk_close(plans[i].from);
        disk_close(plans[i].to);
    }
    copy_budget_free(budget);
}

static void one_disk_that_fails_stops_the_others(void **state)
{
    struct error err = {0};
    struct copy_control controls[2] = {0};
    struct disk_faults faults;
    disk_faults_init(&faults);
    faults.fail_read_at = 0;
    controls[1].bytes_per_second = 1 << 20; /* would take long */
    struct copy_plan plans[2];
    for (size_t i = 0; i < 2; i++)
        plans[i] = (struct copy_plan){.from = pattern(SIZE_BYTES, 100, DISK_RANDOM),
                                      .to = disk_memory_new(SIZE_BYTES),
                                      .to_is_zero = true,
                                      .control = &controls[i]};
    plans[0].from = disk_faults_wrap(plans[0].from, &faults);
    assert_false(copy_run_all(plans, 2, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    for (size_t i = 0; i < 2; i++) {
        disk_close(plans[i].from);
        disk_close(plans[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_equals_its_source_and_reads_no_hole),
        cmocka_unit_test(what_the_destination_held_is_zeroed_where_the_source_has_none),
        cmocka_unit_test(a_resumed_copy_reads_only_what_is_missing),
        cmocka_unit_test(an_unreadable_sector_ends_the_copy_with_its_error),
        cmocka_unit_test(a_full_destination_and_a_failed_flush_are_errors),
        cmocka_unit_test(a_source_that_gives_no_bytes_is_given_up),
        cmocka_unit_test(a_stop_is_felt_and_told_as_cancelled),
        cmocka_unit_test(a_sequential_source_is_read_once_and_in_order),
        cmocka_unit_test(several_disks_share_a_budget_of_one_buffer),
        cmocka_unit_test(one_disk_that_fails_stops_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
