/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/lane.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/memory.h"

#define STEP_BYTES (64u << 10)
#define WRITERS 4u
#define STEPS 64u

static int make_file(void)
{
    char path[] = "lane-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

struct writer {
    struct lane *lane;
    unsigned number;
    pthread_t thread;
};

/* Each writes every WRITERSth step, filled with its own number. */
static void *write_steps(void *argument)
{
    const struct writer *writer = argument;
    uint8_t *data = xcalloc(1, STEP_BYTES);
    memset(data, (int)writer->number + 1, STEP_BYTES);
    struct error err = {0};
    for (uint64_t i = writer->number; i < STEPS; i += WRITERS) {
        if (!lane_write(writer->lane, data, STEP_BYTES, i * STEP_BYTES, &err))
            abort();
    }
    free(data);
    return NULL;
}

static void write_all(int fd, uint64_t ahead_bytes)
{
    struct lane lane;
    struct writer writers[WRITERS];
    lane_init(&lane, fd, ahead_bytes);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.lane = &lane, .number = i};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_steps, &writers[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    lane_fini(&lane);
}

static void check_all(int fd)
{
    uint8_t *data = xcalloc(1, STEP_BYTES);
    for (uint64_t i = 0; i < STEPS; i++) {
        assert_int_equal(pread(fd, data, STEP_BYTES, (off_t)(i * STEP_BYTES)), STEP_BYTES);
        assert_int_equal(data[0], i % WRITERS + 1);
        assert_int_equal(data[STEP_BYTES - 1], i % WRITERS + 1);
    }
    free(data);
}

static void what_several_threads_write_stands_where_it_belongs(void **state)
{
    int fd = make_file();
    write_all(fd, 0);
    check_all(fd);
    struct stat about;
    assert_int_equal(fstat(fd, &about), 0);
    assert_int_equal(about.st_size, STEPS * STEP_BYTES);
    close(fd);
}

static void room_taken_ahead_reads_as_zeroes(void **state)
{
    int fd = make_file();
    write_all(fd, 1u << 20);
    check_all(fd);
    uint8_t behind[512];
    memset(behind, 1, sizeof(behind));
    ssize_t got = pread(fd, behind, sizeof(behind), STEPS * STEP_BYTES);
    for (ssize_t i = 0; i < got; i++)
        assert_int_equal(behind[i], 0);
    close(fd);
}

static void room_taken_for_several_writes_is_taken_once(void **state)
{
    int fd = make_file();
    struct lane lane;
    struct error err = {0};
    static const uint8_t data[STEP_BYTES] = {1};
    lane_init(&lane, fd, 0);
    bool taken = lane_room(&lane, 4 * STEP_BYTES, STEP_BYTES); /* not on every filesystem */
    for (unsigned i = 1; i < 5; i++)
        assert_true(lane_write(&lane, data, sizeof(data), i * STEP_BYTES, &err));
    lane_fini(&lane);
    struct stat about;
    assert_int_equal(fstat(fd, &about), 0);
    assert_int_equal(about.st_size, 5 * STEP_BYTES);
    if (taken)
        assert_true(about.st_blocks * 512 >= 4 * STEP_BYTES);
    close(fd);
}

static void room_is_not_taken_beyond_what_the_process_may_write(void **state)
{
    int fd = make_file();
    struct rlimit before, small;
    struct lane lane;
    struct error err = {0};
    static const uint8_t data[STEP_BYTES] = {1};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){2 * STEP_BYTES, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    lane_init(&lane, fd, 1u << 20);
    bool ok = lane_write(&lane, data, sizeof(data), 0, &err);
    lane_fini(&lane);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(ok); /* else a signal would have ended us */
    close(fd);
}

/* So many MiB in writes of 256 KiB, at a cost in picoseconds a byte. */
static void note(struct lane_ways *ways, unsigned mib, uint64_t cost)
{
    for (unsigned i = 0; i < mib * 4; i++)
        lane_ways_note(ways, 256u << 10, (256u << 10) * cost / 1000);
}

static void a_cheap_cache_is_never_left(void **state)
{
    struct lane_ways ways = {0};
    for (unsigned i = 0; i < 1000; i++) {
        note(&ways, 1, 120);
        assert_false(ways.past);
    }
}

static void an_expensive_cache_is_passed_and_tried_again(void **state)
{
    struct lane_ways ways = {0};
    note(&ways, 1, 3000);
    assert_true(ways.past);
    for (unsigned mib = 4; mib <= 256; mib *= 2) {
        unsigned most = mib < 64 ? mib : 64;
        note(&ways, most - 1, 650);
        assert_true(ways.past);
        note(&ways, 1, 650);
        assert_false(ways.past); /* to compare */
        note(&ways, 1, 3000);
        assert_true(ways.past);
    }
    note(&ways, 64, 650);
    note(&ways, 1, 120);
    assert_false(ways.past); /* it became cheap again */
    note(&ways, 1, 3000);
    note(&ways, 4, 650);
    assert_false(ways.past); /* no longer than at first */
}

static void what_others_cut_into_tells_nothing(void **state)
{
    struct lane_ways ways = {0};
    note(&ways, 3, 0);
    assert_false(ways.past);
    lane_ways_note(&ways, 256u << 10, (256u << 10) * 3);
    assert_true(ways.past); /* the one that is known */
    note(&ways, 4, 0);
    assert_false(ways.past); /* a window ends all the same */
    note(&ways, 1, 400);
    assert_false(ways.past);
}

static void a_slower_device_is_left_alone_for_long(void **state)
{
    struct lane_ways ways = {0};
    note(&ways, 1, 1000);
    assert_true(ways.past);
    note(&ways, 4, 20000);
    unsigned mib = 0;
    for (; !ways.past && mib < 100000; mib++)
        note(&ways, 1, 1000);
    assert_in_range(mib, 2000, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_several_threads_write_stands_where_it_belongs),
        cmocka_unit_test(room_taken_ahead_reads_as_zeroes),
        cmocka_unit_test(room_taken_for_several_writes_is_taken_once),
        cmocka_unit_test(room_is_not_taken_beyond_what_the_process_may_write),
        cmocka_unit_test(a_cheap_cache_is_never_left),
        cmocka_unit_test(an_expensive_cache_is_passed_and_tried_again),
        cmocka_unit_test(what_others_cut_into_tells_nothing),
        cmocka_unit_test(a_slower_device_is_left_alone_for_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
