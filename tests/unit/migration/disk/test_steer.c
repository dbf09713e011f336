/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens to a copy while it runs: another rate, a stop, a source that changes, a destination that
 * fails in the middle of it.
 */
#include "migration/disk/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/faults.h"
#include "migration/disk/memory.h"
#include "migration/disk/stream.h"
#include "proto/fault.h"

#define CHUNKS 24u
#define SIZE_BYTES ((uint64_t)CHUNKS * COPY_CHUNK_BYTES)

/* Two disks and what stands between them; `act` is called at each flush. */
struct play {
    struct disk *from, *to;
    struct disk_faults from_faults, to_faults;
    struct copy_control control;
    struct copy_set *done;
    struct copy_digests *digests;
    unsigned flushes;
    void (*act)(struct play *play);
    struct copy_plan plan;
};

static bool note(void *context, const struct copy_chunk *chunks, size_t count, struct error *err)
{
    struct play *play = context;
    play->flushes++;
    for (size_t i = 0; i < count; i++) {
        copy_set_add(play->done, chunks[i].index);
        copy_digests_set(play->digests, &chunks[i]);
    }
    if (play->act != NULL)
        play->act(play);
    return true;
}

static void play_init(struct play *play, enum disk_access access)
{
    memset(play, 0, sizeof(*play));
    disk_faults_init(&play->from_faults);
    disk_faults_init(&play->to_faults);
    play->from = disk_faults_wrap(
        disk_pattern_new(&(struct disk_pattern_plan){
            .size_bytes = SIZE_BYTES, .seed = 3, .data_of_hundred = 100, .access = access}),
        &play->from_faults);
    play->to = disk_faults_wrap(disk_memory_new(SIZE_BYTES), &play->to_faults);
    play->done = copy_set_new(SIZE_BYTES);
    play->digests = copy_digests_new(SIZE_BYTES);
    play->plan = (struct copy_plan){.from = play->from,
                                    .to = play->to,
                                    .flush_bytes = COPY_CHUNK_BYTES,
                                    .to_is_zero = true,
                                    .control = &play->control,
                                    .flushed = note,
                                    .context = play};
}

static void play_fini(struct play *play)
{
    disk_close(play->from);
    disk_close(play->to);
    copy_set_free(play->done);
    copy_digests_free(play->digests);
}

/* All that was told to be done is there, byte for byte. */
static void assert_done_is_there(struct play *play)
{
    static uint8_t left[COPY_CHUNK_BYTES], right[COPY_CHUNK_BYTES];
    struct error err = {0};
    for (uint64_t i = 0; i < CHUNKS; i++) {
        if (!copy_set_has(play->done, i))
            continue;
        assert_true(disk_read(play->from, left, sizeof(left), i * sizeof(left), &err));
        assert_true(disk_read(play->to, right, sizeof(right), i * sizeof(right), &err));
        assert_memory_equal(left, right, sizeof(left));
    }
}

/* Goes on from what was told until nothing is missing. */
static void assert_resumes(struct play *play)
{
    struct error err = {0};
    struct copy_control again = {0}, verifying = {0};
    assert_done_is_there(play);
    play->act = NULL;
    play->plan.control = &again;
    struct copy_set *known = copy_set_new(SIZE_BYTES); /* read while `done` grows */
    for (uint64_t i = 0; i < CHUNKS; i++) {
        if (copy_set_has(play->done, i))
            copy_set_add(known, i);
    }
    play->plan.done = known;
    assert_true(copy_run(&play->plan, &err));
    assert_int_equal(again.read_bytes, (CHUNKS - copy_set_count(known)) * COPY_CHUNK_BYTES);
    assert_int_equal(copy_set_count(play->done), CHUNKS);
    assert_true(copy_verify(play->to, play->digests, &verifying, &err));
    copy_set_free(known);
}

static void let_go(struct play *play)
{
    play->control.bytes_per_second = 0;
}

static void a_rate_that_is_lifted_while_it_runs_is_felt_at_once(void **state)
{
    struct play play;
    struct error err = {0};
    play_init(&play, DISK_RANDOM);
    play.control.bytes_per_second = 1 << 20; /* would take 24 s */
    play.act = let_go;
    uint64_t begun_ms = clock_mono_ms();
    assert_true(copy_run(&play.plan, &err));
    assert_true(clock_mono_ms() - begun_ms < 15000);
    play_fini(&play);
}

static void *stop_later(void *control)
{
    usleep(3500000);
    ((struct copy_control *)control)->stop = true;
    return NULL;
}

static void slow_down(struct play *play)
{
    play->control.bytes_per_second = 1; /* nothing more in this life */
}

static void a_rate_that_is_lowered_while_it_runs_is_felt_at_once(void **state)
{
    struct play play;
    struct error err = {0};
    pthread_t thread;
    play_init(&play, DISK_RANDOM);
    play.control.bytes_per_second = 16 << 20;
    play.plan.idle_timeout_ms = 2000; /* waiting for a rate is no stall */
    play.act = slow_down;
    assert_int_equal(pthread_create(&thread, NULL, stop_later, &play.control), 0);
    assert_false(copy_run(&play.plan, &err));
    pthread_join(thread, NULL);
    assert_ptr_equal(err.fault, &FAULT_CANCELLED);
    assert_true(play.control.read_bytes < SIZE_BYTES / 2);
    assert_resumes(&play);
    play_fini(&play);
}

static void stop(struct play *play)
{
    play->control.stop = true;
}

static void what_was_told_before_a_stop_is_there_and_gone_on_from(void **state)
{
    struct play play;
    struct error err = {0};
    play_init(&play, DISK_RANDOM);
    play.control.bytes_per_second = 8 << 20;
    play.act = stop;
    assert_false(copy_run(&play.plan, &err));
    assert_ptr_equal(err.fault, &FAULT_CANCELLED);
    assert_in_range(copy_set_count(play.done), 1, CHUNKS - 1);
    assert_resumes(&play);
    play_fini(&play);
}

static void an_unwritable_sector_ends_the_copy_and_what_was_told_is_there(void **state)
{
    struct play play;
    struct error err = {0};
    play_init(&play, DISK_RANDOM);
    play.to_faults.fail_write_at = 15 * COPY_CHUNK_BYTES + 4096;
    assert_false(copy_run(&play.plan, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    assert_non_null(strstr(err.text, "unwritable"));
    assert_false(copy_set_has(play.done, 15));
    play.to_faults.fail_write_at = UINT64_MAX;
    assert_resumes(&play);
    play_fini(&play);
}

static void fill_up(struct play *play)
{
    play->to_faults.room_bytes = 0;
}

static void a_destination_that_fills_up_ends_the_copy_and_can_be_gone_on_with(void **state)
{
    struct play play;
    struct error err = {0};
    play_init(&play, DISK_RANDOM);
    play.control.bytes_per_second = 8 << 20;
    play.act = fill_up;
    assert_false(copy_run(&play.plan, &err));
    assert_ptr_equal(err.fault, &FAULT_NO_SPACE);
    play.to_faults.room_bytes = UINT64_MAX;
    assert_resumes(&play);
    play_fini(&play);
}

static void break_flushing(struct play *play)
{
    play->to_faults.fail_flush = true;
}

static void after_a_failed_flush_nothing_more_is_told(void **state)
{
    struct play play;
    struct error err = {0};
    play_init(&play, DISK_RANDOM);
    play.control.bytes_per_second = 8 << 20;
    play.act = break_flushing;
    assert_false(copy_run(&play.plan, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    assert_int_equal(play.flushes, 1);
    play.to_faults.fail_flush = false;
    assert_resumes(&play);
    play_fini(&play);
}

static void a_destination_that_takes_no_bytes_is_given_up(void **state)
{
    struct play play;
    struct error err = {0};
    play_init(&play, DISK_RANDOM);
    play.to_faults.hang_write_at = 7 * COPY_CHUNK_BYTES;
    play.plan.idle_timeout_ms = 200;
    assert_false(copy_run(&play.plan, &err));
    assert_ptr_equal(err.fault, &FAULT_COPY_STALLED);
    play_fini(&play);
}

static bool refuse_late(void *context, const void *data, size_t length, struct error *err)
{
    uint64_t *room = context;
    if (*room < length)
        return error_set(err, &FAULT_UNAVAILABLE, "the peer hung up");
    *room -= length;
    return true;
}

static void a_sequential_pair_ends_with_the_error_of_the_one_that_failed(void **state)
{
    for (unsigned i = 0; i < 8; i++) { /* threads end in any order */
        struct play play;
        struct error err = {0};
        uint64_t room = (5 + i) * COPY_CHUNK_BYTES + 17;
        play_init(&play, DISK_SEQUENTIAL);
        struct disk *stream =
            disk_raw_stream_new(SIZE_BYTES, (struct disk_sink){refuse_late, &room, NULL});
        play.plan.to = stream;
        play.plan.threads = 4;
        assert_false(copy_run(&play.plan, &err));
        assert_ptr_equal(err.fault, &FAULT_UNAVAILABLE);
        disk_close(stream);
        play_fini(&play);
    }
}

static void a_source_that_hangs_when_its_map_is_asked_for_is_given_up(void **state)
{
    struct play play;
    struct error err = {0};
    play_init(&play, DISK_RANDOM);
    play.plan.idle_timeout_ms = 200;
    play.from_faults.hang_extents = true;
    assert_false(copy_run(&play.plan, &err));
    assert_ptr_equal(err.fault, &FAULT_COPY_STALLED);
    play_fini(&play);
}

static void a_destination_that_hangs_at_a_flush_is_given_up(void **state)
{
    const uint64_t flush_bytes[] = {COPY_CHUNK_BYTES, 2 * SIZE_BYTES}; /* midway; at the end */
    for (size_t i = 0; i < COUNT_OF(flush_bytes); i++) {
        struct play play;
        struct error err = {0};
        play_init(&play, DISK_RANDOM);
        play.plan.idle_timeout_ms = 200;
        play.plan.flush_bytes = flush_bytes[i];
        play.to_faults.hang_flush = true;
        assert_false(copy_run(&play.plan, &err));
        assert_non_null(strstr(err.text, "interrupted"));
        assert_int_equal(copy_set_count(play.done), 0);
        play_fini(&play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_that_is_lifted_while_it_runs_is_felt_at_once),
        cmocka_unit_test(a_rate_that_is_lowered_while_it_runs_is_felt_at_once),
        cmocka_unit_test(what_was_told_before_a_stop_is_there_and_gone_on_from),
        cmocka_unit_test(an_unwritable_sector_ends_the_copy_and_what_was_told_is_there),
        cmocka_unit_test(a_destination_that_fills_up_ends_the_copy_and_can_be_gone_on_with),
        cmocka_unit_test(after_a_failed_flush_nothing_more_is_told),
        cmocka_unit_test(a_destination_that_takes_no_bytes_is_given_up),
        cmocka_unit_test(a_sequential_pair_ends_with_the_error_of_the_one_that_failed),
        cmocka_unit_test(a_source_that_hangs_when_its_map_is_asked_for_is_given_up),
        cmocka_unit_test(a_destination_that_hangs_at_a_flush_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
