/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/pack.h"

#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/base/memory.h"
#include "migration/disk/copy.h"
#include "migration/disk/memory.h"
#include "migration/disk/qcow2.h"
#include "migration/disk/stream.h"
#include "migration/disk/vmdk.h"
#include "proto/fault.h"

#define GRAINS 640u /* more than one table of 512 */
#define GRAIN_BYTES (64u << 10)
#define LAST_BYTES 1536u /* of the disk's last grain */
#define DIRECTORY_SECTOR 4u
#define TABLE_SECTOR 8u /* and the second behind it */
#define DATA_SECTOR 128u

/* -- a streamOptimized image ---------------------------------------------------------------------- */

static void set32(uint8_t *at, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    memcpy(at, &low, sizeof(low));
}

static void set64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

struct image {
    uint8_t *data;
    size_t length;
    size_t grain_bytes;
    uint64_t grains[GRAINS]; /* where each lies; 0: missing */
};

/* What grain `index` holds: nothing, text, noise, zeroes or a long repetition. */
static bool fill(unsigned index, uint8_t *ret_grain, size_t length)
{
    uint64_t state = index * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint8_t noise = (uint8_t)(state >> 56);
        ret_grain[i] = index % 7 == 1   ? noise
                       : index % 7 == 2 ? 0
                       : index % 7 == 3 ? (i < 30000 ? noise : ret_grain[i - 30000])
                                        : (uint8_t)("guts"[i % 4] + (noise < 20));
    }
    return index % 5 != 4;
}

static void image_begin(struct image *image, size_t grain_bytes)
{
    memset(image, 0, sizeof(*image));
    image->grain_bytes = grain_bytes;
    image->length = (size_t)DATA_SECTOR * 512;
    image->data = xcalloc(1, image->length + (size_t)GRAINS * (GRAIN_BYTES + 4096));
    uint64_t capacity = (uint64_t)(GRAINS - 1) * GRAIN_BYTES + LAST_BYTES;
    memcpy(image->data, "KDMV", 4);
    set32(image->data + 4, 3);
    set32(image->data + 8, 1u << 16 | 1u << 17 | 1);
    set64(image->data + 12, capacity / 512);
    set64(image->data + 20, grain_bytes / 512);
    set32(image->data + 44, 512);
    set64(image->data + 56, DIRECTORY_SECTOR);
    set64(image->data + 64, DATA_SECTOR);
    image->data[77] = 1;
    for (unsigned i = 0; i * 512 * grain_bytes < capacity; i++)
        set32(image->data + DIRECTORY_SECTOR * 512 + i * 4, TABLE_SECTOR + i * 4);
}

static void image_add(struct image *image, unsigned index, const uint8_t *grain)
{
    uint8_t *at = image->data + image->length;
    uLongf packed = compressBound(image->grain_bytes);
    assert_int_equal(compress2(at + 12, &packed, grain, image->grain_bytes, 1), Z_OK);
    set64(at, index * image->grain_bytes / 512);
    set32(at + 8, packed);
    image->grains[index] = image->length;
    set32(image->data + TABLE_SECTOR * 512 + index * 4, image->length / 512);
    image->length += (12 + packed + 511) / 512 * 512;
}

static struct image whole_image(size_t grain_bytes)
{
    struct image image;
    static uint8_t grain[GRAIN_BYTES];
    image_begin(&image, grain_bytes);
    for (unsigned i = 0; i < GRAINS * (GRAIN_BYTES / grain_bytes); i++) {
        if (i < GRAINS && fill(i, grain, grain_bytes))
            image_add(&image, i, grain);
    }
    return image;
}

static struct disk *image_open(const struct image *image)
{
    struct error err = {0};
    struct disk *disk = NULL;
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_int_equal(write(fd, image->data, image->length), (ssize_t)image->length);
    if (!disk_vmdk_open_part(fd, 0, 0, "image", &disk, &err))
        fail_msg("%s", err.text);
    return disk;
}

static struct disk *image_disk(size_t grain_bytes)
{
    struct image image = whole_image(grain_bytes);
    struct disk *disk = image_open(&image);
    free(image.data);
    return disk;
}

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

/* -- as a stream ---------------------------------------------------------------------------------- */

struct sunk {
    int fd;
    uint64_t bytes;
};

static bool sink_write(void *context, const void *bytes, size_t length, struct error *err)
{
    struct sunk *sunk = context;
    sunk->bytes += length;
    return write(sunk->fd, bytes, length) == (ssize_t)length || error_set(err, &FAULT_IO, "full");
}

static uint64_t be64_at(int fd, uint64_t offset)
{
    uint64_t value = 0;
    assert_int_equal(pread(fd, &value, sizeof(value), (off_t)offset), sizeof(value));
    return be64toh(value);
}

/* Reads a cluster by the file's own tables, as a stranger would. */
static void read_cluster(int fd, uint64_t index, uint8_t *ret_cluster)
{
    static uint8_t stream[2 * GRAIN_BYTES];
    uint64_t second = be64_at(fd, be64_at(fd, 40) + index / 8192 * 8) & 0x00fffffffffffe00ull;
    uint64_t entry = second == 0 ? 0 : be64_at(fd, second + index % 8192 * 8);
    memset(ret_cluster, 0, GRAIN_BYTES);
    if ((entry & 1ull << 62) == 0) {
        if (entry != 0)
            assert_true(pread(fd, ret_cluster, GRAIN_BYTES, (off_t)(entry << 1 >> 1)) > 0);
        return;
    }
    uint64_t place = entry & ((1ull << 54) - 1), sectors = (entry >> 54 & 0xff) + 1;
    assert_int_equal(place % 512, 0);
    ssize_t got = pread(fd, stream, sectors * 512, (off_t)place);
    assert_int_equal(got, (ssize_t)(sectors * 512));
    z_stream zlib = {.next_in = stream,
                     .avail_in = (uInt)got,
                     .next_out = ret_cluster,
                     .avail_out = GRAIN_BYTES};
    assert_int_equal(inflateInit2(&zlib, -12), Z_OK);
    assert_int_equal(inflate(&zlib, Z_FINISH), Z_STREAM_END);
    assert_int_equal(zlib.avail_out, 0);
    inflateEnd(&zlib);
}

/* Copies into a stream, which must be as long as was told, and reads it all back. */
static void check_stream(struct disk *from, unsigned least_packed)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct sunk sunk = {.fd = memfd_create("stream", MFD_CLOEXEC)};
    struct disk *to = NULL;
    uint64_t told = 0;
    unsigned seen_packed = 0;
    assert_true(disk_qcow2_repack_open(from, (struct disk_sink){sink_write, &sunk}, NULL, &to,
                                       &told, &err));
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    if (!copy_run(&plan, &err) || !disk_finish(to, &err))
        fail_msg("%s", err.text);
    assert_int_equal(sunk.bytes, told);
    uint64_t size = disk_size_bytes(from);
    for (uint64_t i = 0; i * GRAIN_BYTES < size; i++) {
        uint64_t rest = size - i * GRAIN_BYTES;
        read_cluster(sunk.fd, i, back);
        assert_true(
            disk_read(from, data, rest < GRAIN_BYTES ? rest : GRAIN_BYTES, i * GRAIN_BYTES, &err));
        assert_memory_equal(data, back, rest < GRAIN_BYTES ? rest : GRAIN_BYTES);
        uint64_t second = be64_at(sunk.fd, be64_at(sunk.fd, 40)) & 0x00fffffffffffe00ull;
        seen_packed += second != 0 && (be64_at(sunk.fd, second + i * 8) & 1ull << 62) != 0;
    }
    assert_true(seen_packed >= least_packed);
    close(sunk.fd);
}

static void a_stream_of_packs_is_as_long_as_was_told(void **state)
{
    struct disk *from = image_disk(GRAIN_BYTES);
    check_stream(from, GRAINS / 2);
    disk_close(from);
}

static void what_has_no_packs_is_streamed_plain(void **state)
{
    struct disk *from = image_disk(GRAIN_BYTES / 2);
    check_stream(from, 0);
    disk_close(from);
    from = disk_pattern_new(&(struct disk_pattern_plan){
        .size_bytes = (20u << 20) + 512, .seed = 5, .block_bytes = 8192, .data_of_hundred = 20});
    check_stream(from, 0);
    disk_close(from);
}

static struct disk *stream_new(struct disk *from, struct sunk *sunk)
{
    struct error err = {0};
    struct disk *to = NULL;
    uint64_t told = 0;
    sunk->fd = memfd_create("stream", MFD_CLOEXEC);
    assert_true(
        disk_qcow2_repack_open(from, (struct disk_sink){sink_write, sunk}, NULL, &to, &told, &err));
    return to;
}

/* A grain whose neighbour's place in the table says that it is short, and its marker that it is not. */
static void a_pack_longer_than_was_told_is_an_error(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct sunk sunk = {0};
    struct image image = whole_image(GRAIN_BYTES);
    uint64_t room = image.grains[2] - image.grains[1];
    assert_true(room > 2048); /* noise */
    set32(image.data + TABLE_SECTOR * 512 + 2 * 4, (image.grains[1] + 1024) / 512);
    struct disk *from = image_open(&image), *to = stream_new(from, &sunk);
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    assert_false(copy_run(&plan, &err));
    assert_true(err.fault == &FAULT_SOURCE_CHANGED || err.fault == &FAULT_DISK_INVALID);
    disk_close(to);
    disk_close(from);
    free(image.data);
    close(sunk.fd);
}

static void blocks_that_became_zero_or_lost_their_pack_fit_in(void **state)
{
    struct error err = {0};
    struct sunk sunk = {0};
    struct disk *from = image_disk(GRAIN_BYTES), *to = stream_new(from, &sunk);
    assert_true(disk_read(from, data, GRAIN_BYTES, 0, &err)); /* text, without its pack */
    assert_true(disk_write(to, data, GRAIN_BYTES, 0, &err));
    assert_true(disk_zero(to, GRAIN_BYTES, 4 * GRAIN_BYTES, &err));
    fill(1, data, GRAIN_BYTES); /* noise where text was told */
    assert_false(disk_write(to, data, GRAIN_BYTES, 5 * GRAIN_BYTES, &err));
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    read_cluster(sunk.fd, 0, back);
    assert_true(disk_read(from, data, GRAIN_BYTES, 0, &err));
    assert_memory_equal(data, back, GRAIN_BYTES);
    read_cluster(sunk.fd, 3, back);
    memset(data, 0, GRAIN_BYTES);
    assert_memory_equal(data, back, GRAIN_BYTES);
    assert_false(disk_write(to, data, 512, 5 * GRAIN_BYTES, &err)); /* no whole cluster */
    disk_close(to);
    disk_close(from);
    close(sunk.fd);
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
        cmocka_unit_test(a_stream_of_packs_is_as_long_as_was_told),
        cmocka_unit_test(what_has_no_packs_is_streamed_plain),
        cmocka_unit_test(a_pack_longer_than_was_told_is_an_error),
        cmocka_unit_test(blocks_that_became_zero_or_lost_their_pack_fit_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
