/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/base/memory.h"
#include "migration/disk/copy.h"
#include "migration/disk/qcow2.h"
#include "proto/fault.h"

#include "grain_maker.h"

/* -- packs ---------------------------------------------------------------------------------------- */

static uint8_t data[4 * GRAIN_BYTES], packed[4 * GRAIN_BYTES], back[4 * GRAIN_BYTES];
static uint32_t lengths[4];
static const struct disk_packs packs = {packed, lengths};

/* As qemu opens a compressed cluster: a window of 12 bits, all the room in one call. */
static void check_inflates(const uint8_t *stream, uint32_t length, const uint8_t *expected)
{
    static uint8_t cluster[GRAIN_BYTES];
    z_stream zlib = {.next_in = (z_const Bytef *)stream,
                     .avail_in = length,
                     .next_out = cluster,
                     .avail_out = sizeof(cluster)};
    assert_int_equal(inflateInit2(&zlib, -12), Z_OK);
    assert_int_equal(inflate(&zlib, Z_FINISH), Z_STREAM_END);
    assert_int_equal(zlib.avail_out, 0);
    assert_int_equal(zlib.avail_in, 0);
    inflateEnd(&zlib);
    assert_memory_equal(cluster, expected, sizeof(cluster));
}

static void a_grain_comes_with_its_stream(void **state)
{
    struct error err = {0};
    struct disk *disk = image_disk(GRAIN_BYTES);
    unsigned with = 0;
    for (unsigned i = 0; i + 4 < GRAINS; i += 4) {
        assert_true(
            disk_read_packs(disk, data, packs, sizeof(data), (uint64_t)i * GRAIN_BYTES, &err));
        assert_true(disk_read(disk, back, sizeof(back), (uint64_t)i * GRAIN_BYTES, &err));
        assert_memory_equal(data, back, sizeof(data));
        for (unsigned j = 0; j < 4; j++) {
            bool is_there = (i + j) % 5 != 4, is_noise = (i + j) % 7 == 1;
            if (!is_there)
                assert_int_equal(lengths[j], 0);
            else if (is_noise)
                assert_int_equal(lengths[j], DISK_PACK_BYTES);
            else
                check_inflates(packed + j * GRAIN_BYTES, lengths[j], data + j * GRAIN_BYTES);
            with += is_there && !is_noise;
        }
    }
    assert_in_range(with, GRAINS / 2, GRAINS);
    uint64_t last = (uint64_t)(GRAINS - 1) * GRAIN_BYTES; /* cut by the disk's end: no block */
    assert_true(disk_read_packs(disk, data, packs, LAST_BYTES, last, &err));
    assert_int_equal(lengths[0], 0);
    assert_false(disk_read_packs(disk, data, packs, 512, 512, &err));
    disk_close(disk);
}

static void rooms_hold_the_packs_that_come_later(void **state)
{
    struct error err = {0};
    static uint32_t rooms[GRAINS];
    struct disk *disk = image_disk(GRAIN_BYTES);
    unsigned told = 0, had = 0;
    assert_true(disk_pack_rooms(disk, 0, GRAINS, rooms, &err));
    for (unsigned i = 0; i + 1 < GRAINS; i++) {
        assert_true(
            disk_read_packs(disk, data, packs, GRAIN_BYTES, (uint64_t)i * GRAIN_BYTES, &err));
        bool has = lengths[0] > 0 && lengths[0] < DISK_PACK_BYTES;
        had += has;
        told += rooms[i] > 0;
        if (rooms[i] > 0)
            assert_in_range(rooms[i], lengths[0], lengths[0] + 512);
        else
            assert_true(!has || i + 1 == GRAINS);
    }
    assert_in_range(told, had - 2, had);
    disk_close(disk);
}

static void other_grains_have_no_packs(void **state)
{
    struct error err = {0};
    static const size_t sizes[] = {32 << 10, 128 << 10};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct image image;
        static uint8_t grain[128 << 10];
        image_begin(&image, sizes[i]);
        for (unsigned j = 0; j < 8; j++) {
            fill(0, grain, sizes[i]);
            image_add(&image, j, grain);
        }
        struct disk *disk = image_open(&image);
        uint32_t rooms[4];
        assert_true(disk_read_packs(disk, data, packs, sizeof(data), 0, &err));
        assert_true(disk_read(disk, back, sizeof(back), 0, &err));
        assert_memory_equal(data, back, sizeof(data));
        assert_true(disk_pack_rooms(disk, 0, 4, rooms, &err));
        for (unsigned j = 0; j < 4; j++)
            assert_int_equal(lengths[j] + rooms[j], 0);
        disk_close(disk);
        free(image.data);
    }
}

/* -- hostile grains ------------------------------------------------------------------------------- */

static void expect_damaged(const struct image *image, unsigned index)
{
    struct error err = {0};
    struct disk *disk = image_open(image);
    assert_false(
        disk_read_packs(disk, data, packs, GRAIN_BYTES, (uint64_t)index * GRAIN_BYTES, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    disk_close(disk);
}

static uint32_t stream_length(const uint8_t *marker)
{
    uint32_t length;
    memcpy(&length, marker + 8, sizeof(length));
    return length;
}

static void damaged_grains_are_errors(void **state)
{
    struct image image = whole_image(GRAIN_BYTES);
    uint8_t *marker = image.data + image.grains[5];
    uint32_t length = stream_length(marker);
    marker[12 + length - 1] ^= 1; /* the checksum */
    expect_damaged(&image, 5);
    marker[12 + length - 1] ^= 1;
    marker[12 + length / 2] ^= 0x40; /* the stream */
    expect_damaged(&image, 5);
    marker[12 + length / 2] ^= 0x40;
    set32(marker + 8, length - 5); /* told too short */
    expect_damaged(&image, 5);
    set32(marker + 8, 1u << 30); /* absurd */
    expect_damaged(&image, 5);
    set32(marker + 8, 0);
    expect_damaged(&image, 5);
    set32(marker + 8, length);
    set64(marker, 6 * GRAIN_BYTES / 512); /* another grain's */
    expect_damaged(&image, 5);
    free(image.data);
}

static void streams_of_another_length_are_no_packs(void **state)
{
    struct error err = {0};
    struct image image;
    static uint8_t grain[2 * GRAIN_BYTES];
    image_begin(&image, GRAIN_BYTES);
    memset(grain, 'g', sizeof(grain));
    image.grain_bytes = 2 * GRAIN_BYTES; /* inflates to more than a grain */
    image_add(&image, 0, grain);
    image.grain_bytes = GRAIN_BYTES / 2; /* to less */
    image_add(&image, 1, grain);
    set64(image.data + image.grains[1], GRAIN_BYTES / 512);
    set32(image.data + TABLE_SECTOR * 512 + 4, image.grains[1] / 512);
    expect_damaged(&image, 0);
    expect_damaged(&image, 1);
    image.length = image.grains[1] + 20; /* cut inside a grain */
    expect_damaged(&image, 1);
    (void)err;
    free(image.data);
}

/* -- into qcow2 ----------------------------------------------------------------------------------- */

static void check_copy(struct disk *from, struct disk *to)
{
    struct error err = {0};
    struct copy_control control = {0}, reading = {0};
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    if (!copy_run(&plan, &err))
        fail_msg("%s", err.text);
    struct copy_digests *digests = copy_digests_new(disk_size_bytes(from));
    assert_true(copy_digests_read(digests, from, &control, &err));
    assert_true(copy_verify(to, digests, &reading, &err));
    copy_digests_free(digests);
}

static struct disk *qcow2_new(uint64_t size_bytes, enum disk_qcow2_compression compression)
{
    struct error err = {0};
    struct disk *disk = NULL;
    struct disk_qcow2_plan plan = {.fd = memfd_create("qcow2", MFD_CLOEXEC),
                                   .size_bytes = size_bytes,
                                   .compression = compression,
                                   .lazy = true};
    assert_true(disk_qcow2_create(&plan, &disk, &err));
    return disk;
}

static void what_is_compressed_in_any_way_is_read_back(void **state)
{
    static const enum disk_qcow2_compression kinds[] = {DISK_QCOW2_ZSTD, DISK_QCOW2_DEFLATE,
                                                        DISK_QCOW2_REPACK};
    static const size_t sizes[] = {GRAIN_BYTES, GRAIN_BYTES / 2};
    for (size_t i = 0; i < COUNT_OF(kinds) * COUNT_OF(sizes); i++) {
        struct error err = {0};
        struct disk *from = image_disk(sizes[i % COUNT_OF(sizes)]);
        struct disk *to = qcow2_new(disk_size_bytes(from), kinds[i / COUNT_OF(sizes)]);
        check_copy(from, to);
        assert_true(disk_finish(to, &err));
        disk_close(from);
    }
}

static void packs_stand_in_the_file_as_they_came(void **state)
{
    struct error err = {0};
    struct disk *from = image_disk(GRAIN_BYTES);
    struct disk *to = qcow2_new(disk_size_bytes(from), DISK_QCOW2_REPACK);
    assert_true(disk_takes_packs(to));
    assert_true(disk_read_packs(from, data, packs, GRAIN_BYTES, 0, &err));
    memset(data, 'x', GRAIN_BYTES); /* is not looked at, for the pack says it */
    assert_true(disk_write_packs(to, data, packs, GRAIN_BYTES, 0, &err));
    assert_true(disk_read(from, data, GRAIN_BYTES, 0, &err));
    assert_true(disk_read(to, back, GRAIN_BYTES, 0, &err));
    assert_memory_equal(data, back, GRAIN_BYTES);
    disk_close(to);
    disk_close(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grain_comes_with_its_stream),
        cmocka_unit_test(rooms_hold_the_packs_that_come_later),
        cmocka_unit_test(other_grains_have_no_packs),
        cmocka_unit_test(damaged_grains_are_errors),
        cmocka_unit_test(streams_of_another_length_are_no_packs),
        cmocka_unit_test(what_is_compressed_in_any_way_is_read_back),
        cmocka_unit_test(packs_stand_in_the_file_as_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
