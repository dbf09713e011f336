/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/vmdk_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "proto/fault.h"

#define CHUNK_BYTES (1u << 20)
#define SIZE_BYTES (5 * CHUNK_BYTES + 3 * 512) /* its last grain is cut */

/* A streamOptimized file and the disk in it. */
struct tape {
    uint8_t *disk;
    uint8_t *bytes;
    size_t length;
    size_t at;
};

static bool pull(void *context, void *ret_data, size_t length, struct error *err)
{
    struct tape *tape = context;
    if (length > tape->length - tape->at)
        return error_set(err, &FAULT_DISK_INVALID, "the tape ends");
    memcpy(ret_data, tape->bytes + tape->at, length);
    tape->at += length;
    return true;
}

static void put(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

/* Text, noise, and each third grain missing. */
static void fill(uint8_t *disk, size_t grain_bytes)
{
    uint32_t state = 1;
    for (size_t i = 0; i < SIZE_BYTES; i++) {
        state = state * 1664525 + 1013904223;
        size_t kind = i / grain_bytes % 3;
        disk[i] = kind == 0 ? (uint8_t)(state >> 24) : kind == 1 ? (uint8_t)("guts"[i % 4]) : 0;
    }
}

static void add_grain(struct tape *tape, uint64_t start, size_t grain_bytes)
{
    uint8_t *grain = xcalloc(1, grain_bytes), *at = tape->bytes + tape->length;
    size_t there = SIZE_BYTES - start < grain_bytes ? SIZE_BYTES - (size_t)start : grain_bytes;
    memcpy(grain, tape->disk + start, there);
    uLongf packed = compressBound(grain_bytes);
    assert_int_equal(compress2(at + 12, &packed, grain, grain_bytes, 1), Z_OK);
    put(at, start / 512, 8);
    put(at + 8, packed, 4);
    tape->length += (12 + packed + 511) / 512 * 512;
    free(grain);
}

static struct tape make(size_t grain_bytes)
{
    struct tape tape = {.disk = xcalloc(1, SIZE_BYTES), .bytes = xcalloc(4, SIZE_BYTES)};
    fill(tape.disk, grain_bytes);
    memcpy(tape.bytes, "KDMV", 4);
    put(tape.bytes + 4, 3, 4);
    put(tape.bytes + 8, 1u << 16 | 1u << 17 | 1, 4);
    put(tape.bytes + 12, SIZE_BYTES / 512, 8);
    put(tape.bytes + 20, grain_bytes / 512, 8);
    put(tape.bytes + 64, 8, 8);
    put(tape.bytes + 77, 1, 2);
    tape.length = 8 * 512;
    for (uint64_t start = 0; start < SIZE_BYTES; start += grain_bytes) {
        if (start / grain_bytes % 3 != 2)
            add_grain(&tape, start, grain_bytes);
    }
    tape.length += 512; /* the end-of-stream marker */
    return tape;
}

static void drop(struct tape *tape)
{
    free(tape->disk);
    free(tape->bytes);
}

static struct disk *open_tape(struct tape *tape)
{
    struct error err = {0};
    struct disk *disk = NULL;
    tape->at = 0;
    assert_true(disk_vmdk_stream_open((struct disk_bytes){pull, tape, NULL}, &disk, &err));
    return disk;
}

static void gather_all(struct tape *tape)
{
    struct error err = {0};
    struct disk *disk = open_tape(tape);
    uint8_t *data = malloc(6 * CHUNK_BYTES), *rooms[6];
    assert_non_null(data);
    memset(data, 0xee, 6 * CHUNK_BYTES);
    for (unsigned i = 0; i < 6; i++) {
        rooms[i] = xcalloc(1, disk->gather_bytes);
        size_t length = i < 5 ? CHUNK_BYTES : SIZE_BYTES - 5 * CHUNK_BYTES;
        assert_true(disk_gather(disk, data + i * CHUNK_BYTES, rooms[i], length,
                                (uint64_t)i * CHUNK_BYTES, &err));
    }
    for (unsigned i = 6; i-- > 0;) { /* in any order */
        assert_true(
            disk_decode(disk, data + i * CHUNK_BYTES, rooms[i], (uint64_t)i * CHUNK_BYTES, &err));
        free(rooms[i]);
    }
    assert_memory_equal(data, tape->disk, SIZE_BYTES);
    assert_int_equal(data[SIZE_BYTES], 0xee);
    free(data);
    disk_close(disk);
}

static void what_is_gathered_is_what_is_read(void **state)
{
    static const size_t sizes[] = {4096, 65536, CHUNK_BYTES};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct error err = {0};
        struct tape tape = make(sizes[i]);
        struct disk *disk = open_tape(&tape);
        uint8_t *data = xcalloc(1, SIZE_BYTES);
        for (size_t at = 0, step; at < SIZE_BYTES; at += step) {
            step = SIZE_BYTES - at < 100000 ? SIZE_BYTES - at : 100000;
            assert_true(disk_read(disk, data + at, step, at, &err));
        }
        assert_memory_equal(data, tape.disk, SIZE_BYTES);
        free(data);
        disk_close(disk);
        gather_all(&tape);
        drop(&tape);
    }
}

static void a_damaged_grain_is_told_by_who_decodes_it(void **state)
{
    struct error err = {0};
    struct tape tape = make(65536);
    tape.bytes[8 * 512 + 12 + 5000] ^= 0x55;
    struct disk *disk = open_tape(&tape);
    uint8_t *data = xcalloc(1, CHUNK_BYTES), *room = xcalloc(1, disk->gather_bytes);
    assert_true(disk_gather(disk, data, room, CHUNK_BYTES, 0, &err));
    assert_false(disk_decode(disk, data, room, 0, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    free(data);
    free(room);
    disk_close(disk);
    drop(&tape);
}

static void a_stream_that_ends_early_is_told_by_who_gathers(void **state)
{
    struct error err = {0};
    struct tape tape = make(65536);
    tape.length = 300 * 512;
    struct disk *disk = open_tape(&tape);
    uint8_t *data = xcalloc(1, CHUNK_BYTES), *room = xcalloc(1, disk->gather_bytes);
    assert_false(disk_gather(disk, data, room, CHUNK_BYTES, 0, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    free(data);
    free(room);
    disk_close(disk);
    drop(&tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_gathered_is_what_is_read),
        cmocka_unit_test(a_damaged_grain_is_told_by_who_decodes_it),
        cmocka_unit_test(a_stream_that_ends_early_is_told_by_who_gathers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
