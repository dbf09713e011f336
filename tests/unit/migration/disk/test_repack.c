/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/stream.h"

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "migration/disk/copy.h"
#include "migration/disk/memory.h"
#include "proto/fault.h"

#include "grain_maker.h"

static uint8_t data[GRAIN_BYTES], back[GRAIN_BYTES];

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
    assert_true(disk_qcow2_repack_open(from, (struct disk_sink){sink_write, &sunk, NULL}, NULL, &to,
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
    assert_true(disk_qcow2_repack_open(from, (struct disk_sink){sink_write, sunk, NULL}, NULL, &to,
                                       &told, &err));
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
        cmocka_unit_test(a_stream_of_packs_is_as_long_as_was_told),
        cmocka_unit_test(what_has_no_packs_is_streamed_plain),
        cmocka_unit_test(a_pack_longer_than_was_told_is_an_error),
        cmocka_unit_test(blocks_that_became_zero_or_lost_their_pack_fit_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
