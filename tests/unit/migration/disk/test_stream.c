/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migration/disk/copy.h"
#include "migration/disk/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "migration/disk/qcow2_map.h"
#include "proto/fault.h"

struct sunk {
    uint64_t bytes;
    uint64_t fail_after;
};

static bool sink_write(void *context, const void *data, size_t length, struct error *err)
{
    struct sunk *sunk = context;
    sunk->bytes += length;
    return sunk->bytes <= sunk->fail_after || error_set(err, &FAULT_IO, "the peer hung up");
}

static struct disk *pattern(uint64_t size_bytes, unsigned data_of_hundred, enum disk_access access)
{
    return disk_pattern_new(&(struct disk_pattern_plan){.size_bytes = size_bytes,
                                                        .seed = 5,
                                                        .block_bytes = 64 << 10,
                                                        .data_of_hundred = data_of_hundred,
                                                        .access = access});
}

static void a_stream_is_as_long_as_was_told(void **state)
{
    static const uint64_t sizes[] = {512, 65536, (40ull << 20) + 1536, (600ull << 20) + 512};
    for (size_t i = 0; i < 4; i++) {
        struct error err = {0};
        struct sunk sunk = {.fail_after = UINT64_MAX};
        struct copy_control control = {0};
        struct disk *from = pattern(sizes[i], 20, DISK_RANDOM), *to = NULL;
        uint64_t told = 0;
        assert_true(disk_qcow2_stream_open(from, (struct disk_sink){sink_write, &sunk, NULL}, NULL,
                                           &to, &told, &err));
        struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
        assert_true(copy_run(&plan, &err));
        assert_true(disk_finish(to, &err));
        assert_int_equal(sunk.bytes, told);
        disk_close(from);
    }
}

static void a_peer_that_hangs_up_is_the_error_that_is_told(void **state)
{
    struct error err = {0};
    struct sunk sunk = {.fail_after = 5 << 20};
    struct copy_control control = {0};
    struct disk *from = pattern(40ull << 20, 90, DISK_RANDOM);
    struct disk *to = disk_raw_stream_new(40ull << 20, (struct disk_sink){sink_write, &sunk, NULL});
    struct copy_plan plan = {
        .from = from, .to = to, .threads = 4, .to_is_zero = true, .control = &control};
    assert_false(copy_run(&plan, &err));
    assert_string_equal(err.text, "the peer hung up");
    disk_close(to);
    disk_close(from);
}

static void a_sequential_source_cannot_be_mapped(void **state)
{
    struct error err = {0};
    struct sunk sunk = {0};
    struct disk *from = pattern(1 << 20, 50, DISK_SEQUENTIAL), *to = NULL;
    uint64_t told = 0;
    assert_false(disk_qcow2_stream_open(from, (struct disk_sink){sink_write, &sunk, NULL}, NULL,
                                        &to, &told, &err));
    assert_ptr_equal(err.fault, &FAULT_UNSUPPORTED);
    disk_close(from);
}

static void bytes_where_the_map_has_none_are_refused(void **state)
{
    struct error err = {0};
    struct sunk sunk = {.fail_after = UINT64_MAX};
    struct disk *from = disk_memory_new(1 << 20), *to = NULL;
    uint64_t told = 0;
    assert_true(disk_qcow2_stream_open(from, (struct disk_sink){sink_write, &sunk, NULL}, NULL, &to,
                                       &told, &err));
    static uint8_t data[65536];
    assert_true(disk_write(to, data, sizeof(data), 0, &err)); /* zeroes are nothing */
    data[1] = 1;
    assert_false(disk_write(to, data, sizeof(data), 65536, &err));
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    disk_close(to);
    disk_close(from);
}

static void a_large_map_is_spilled_and_read_back(void **state)
{
    struct error err = {0};
    uint64_t tables = QCOW2_MAP_PAGES_KEPT + 64;
    struct disk *from = pattern(tables * QCOW2_TABLE_COVERS, 50, DISK_RANDOM);
    struct qcow2_map map;
    assert_false(qcow2_map_build(from, NULL, &map, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
    assert_true(qcow2_map_build(from, "/tmp", &map, &err));
    assert_int_equal(map.pages_kept, QCOW2_MAP_PAGES_KEPT);
    uint8_t page[QCOW2_MAP_PAGE_BYTES];
    uint32_t table = (uint32_t)tables - 2;
    assert_true(qcow2_map_page(&map, table, page, &err));
    for (uint64_t i = 0; i < QCOW2_TABLE_ENTRIES; i++) {
        struct disk_extent extent;
        size_t count = 0;
        uint64_t offset = ((uint64_t)table * QCOW2_TABLE_ENTRIES + i) * QCOW2_CLUSTER_BYTES;
        assert_true(disk_extents(from, offset, 65536, &extent, 1, &count, &err));
        assert_int_equal((page[i / 8] >> (i % 8)) & 1, extent.kind == DISK_EXTENT_DATA);
    }
    qcow2_map_fini(&map);
    disk_close(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_as_long_as_was_told),
        cmocka_unit_test(a_peer_that_hangs_up_is_the_error_that_is_told),
        cmocka_unit_test(a_sequential_source_cannot_be_mapped),
        cmocka_unit_test(bytes_where_the_map_has_none_are_refused),
        cmocka_unit_test(a_large_map_is_spilled_and_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
