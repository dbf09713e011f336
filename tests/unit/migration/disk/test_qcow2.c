/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/qcow2.h"

#include <endian.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/memory.h"
#include "migration/disk/copy.h"
#include "migration/disk/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "proto/fault.h"

#define SIZE_BYTES ((1200ull << 20) + 1536)

static int file_new(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static struct disk *create(int fd, enum disk_qcow2_compression compression)
{
    struct error err = {0};
    struct disk *disk = NULL;
    struct disk_qcow2_plan plan = {
        .fd = dup(fd), .size_bytes = SIZE_BYTES, .compression = compression, .lazy = true};
    assert_true(disk_qcow2_create(&plan, &disk, &err));
    return disk;
}

static bool reopen(int fd, struct disk **ret_disk, struct error *err)
{
    struct disk_qcow2_plan plan = {.fd = dup(fd), .lazy = true};
    return disk_qcow2_reopen(&plan, ret_disk, err);
}

static struct disk *source(void)
{
    return disk_pattern_new(&(struct disk_pattern_plan){
        .size_bytes = SIZE_BYTES, .seed = 3, .block_bytes = 48 << 10, .data_of_hundred = 3});
}

static void copy_and_compare(enum disk_qcow2_compression compression)
{
    struct error err = {0};
    struct copy_control control = {0}, reading = {0};
    int fd = file_new();
    struct disk *from = source(), *to = create(fd, compression);
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    assert_true(copy_run(&plan, &err));
    struct copy_digests *digests = copy_digests_new(SIZE_BYTES);
    assert_true(copy_digests_read(digests, from, &control, &err));
    assert_true(copy_verify(to, digests, &reading, &err));
    assert_true(reading.read_bytes < SIZE_BYTES / 2); /* holes stayed holes */
    copy_digests_free(digests);
    assert_true(disk_finish(to, &err));
    disk_close(from);
    close(fd);
}

static void what_is_copied_in_is_read_back(void **state)
{
    copy_and_compare(DISK_QCOW2_PLAIN);
}

static void what_is_compressed_is_read_back(void **state)
{
    copy_and_compare(DISK_QCOW2_ZSTD);
}

static void what_was_flushed_is_there_after_a_crash(void **state)
{
    struct error err = {0};
    int fd = file_new();
    struct disk *disk = create(fd, DISK_QCOW2_PLAIN);
    static uint8_t block[200000], back[200000];
    memset(block, 'f', sizeof(block));
    assert_true(disk_write(disk, block, sizeof(block), 700ull << 20, &err));
    assert_true(disk_flush(disk, &err));
    memset(block, 'u', sizeof(block)); /* written, never flushed */
    assert_true(disk_write(disk, block, sizeof(block), 100ull << 20, &err));
    disk_close(disk);
    assert_true(reopen(fd, &disk, &err));
    assert_true(disk_read(disk, back, sizeof(back), 700ull << 20, &err));
    assert_int_equal(back[0], 'f');
    assert_int_equal(back[sizeof(back) - 1], 'f');
    assert_true(disk_read(disk, back, sizeof(back), 100ull << 20, &err));
    assert_int_equal(back[0], 0);
    struct stat before, after;
    assert_int_equal(fstat(fd, &before), 0);
    assert_true(
        disk_write(disk, block, sizeof(block), 100ull << 20, &err)); /* takes the lost room */
    assert_int_equal(fstat(fd, &after), 0);
    assert_int_equal(before.st_size >> 16, after.st_size >> 16);
    assert_true(disk_read(disk, back, sizeof(back), 100ull << 20, &err));
    assert_memory_equal(back, block, sizeof(back));
    assert_true(disk_finish(disk, &err));
    assert_true(reopen(fd, &disk, &err)); /* finished files can be gone on with too */
    assert_true(disk_read(disk, back, sizeof(back), 700ull << 20, &err));
    assert_int_equal(back[0], 'f');
    assert_true(disk_finish(disk, &err));
    close(fd);
}

static void a_zeroed_range_reads_as_zeroes(void **state)
{
    struct error err = {0};
    int fd = file_new();
    struct disk *disk = create(fd, DISK_QCOW2_PLAIN);
    static uint8_t block[300000];
    memset(block, 'x', sizeof(block));
    assert_true(disk_write(disk, block, sizeof(block), 5, &err));
    assert_true(disk_zero(disk, 100, 200000, &err));
    assert_true(disk_read(disk, block, sizeof(block), 5, &err));
    assert_int_equal(block[94], 'x');
    assert_int_equal(block[95], 0);
    assert_int_equal(block[200094], 0);
    assert_int_equal(block[200095], 'x');
    disk_close(disk);
    close(fd);
}

static void damaged_files_are_not_gone_on_with(void **state)
{
    struct error err = {0};
    int fd = file_new();
    struct disk *disk = create(fd, DISK_QCOW2_PLAIN), *none = NULL;
    assert_true(disk_write(disk, "abc", 3, 0, &err));
    assert_true(disk_write(disk, "abc", 3, 1 << 20, &err));
    assert_true(disk_flush(disk, &err));
    disk_close(disk);
    uint64_t entry = 0;
    off_t table = 2 * QCOW2_CLUSTER_BYTES;         /* the only one: behind header and first table */
    assert_int_equal(ftruncate(fd, 8ll << 40), 0); /* memory would follow its length */
    assert_false(reopen(fd, &none, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    assert_int_equal(ftruncate(fd, 8 * QCOW2_CLUSTER_BYTES), 0);
    assert_int_equal(pread(fd, &entry, 8, table), 8);
    assert_int_equal(pwrite(fd, &entry, 8, table + 16 * 8), 8); /* the same cluster twice */
    assert_false(reopen(fd, &none, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    assert_int_equal(pwrite(fd, "QFI\xfb\0\0\0\2", 8, 0), 8);
    assert_false(reopen(fd, &none, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    assert_int_equal(ftruncate(fd, 10), 0);
    assert_false(reopen(fd, &none, &err));
    close(fd);
}

static void reference_counts_cover_themselves(void **state)
{
    for (uint64_t used = 1; used < 1ull << 36; used = used * 3 + 1) {
        struct qcow2_refcounts counts = qcow2_refcounts_for(used, 0);
        assert_true(counts.block_count * QCOW2_BLOCK_COUNTS >=
                    used + counts.block_count + counts.table_clusters);
        assert_true(counts.table_clusters * QCOW2_TABLE_ENTRIES >= counts.block_count);
    }
}

static uint64_t word_at(int fd, uint64_t offset)
{
    uint64_t word = 0;
    assert_int_equal(pread(fd, &word, sizeof(word), (off_t)offset), sizeof(word));
    return be64toh(word);
}

static uint16_t count_at(int fd, uint64_t cluster)
{
    uint16_t count = 0;
    uint64_t block = word_at(fd, word_at(fd, 48) + cluster / QCOW2_BLOCK_COUNTS * 8);
    uint64_t at = block + cluster % QCOW2_BLOCK_COUNTS * 2;
    assert_int_equal(pread(fd, &count, sizeof(count), (off_t)at), sizeof(count));
    return be16toh(count);
}

/* A file of more clusters than the counts that are kept of it: each cluster counts those that are in it. */
static void counts_of_a_long_compressed_file_are_written_on_the_way(void **state)
{
    enum { ROUNDS = 7, EACH = 5, HELD = 40000 };
    static uint8_t data[QCOW2_CLUSTER_BYTES];
    struct error err = {0};
    uint64_t dice = 1;
    int fd = file_new();
    struct disk *disk = create(fd, DISK_QCOW2_ZSTD);
    for (uint64_t i = 0; i < ROUNDS * EACH; i++) {
        memset(data, (int)i + 1, sizeof(data));
        for (size_t j = 0; j < 30000; j++) /* so that two share a cluster */
            data[j] = (uint8_t)((dice = dice * 6364136223846793005u + 1) >> 56);
        assert_true(disk_write(disk, data, sizeof(data), i * QCOW2_CLUSTER_BYTES, &err));
        for (unsigned j = 0; i % EACH == EACH - 1 && j < HELD; j++)
            (void)qcow2_take_cluster((struct disk_qcow2 *)disk); /* written by nobody */
    }
    uint64_t kept = qcow2_retired_count(((struct disk_qcow2 *)disk)->packer);
    assert_true(kept >= ROUNDS - 2);
    assert_true(disk_finish(disk, &err));
    static uint16_t expected[(ROUNDS + 2) * HELD];
    uint64_t table = word_at(fd, QCOW2_CLUSTER_BYTES) & QCOW2_OFFSET_MASK;
    for (uint64_t i = 0; i < ROUNDS * EACH; i++) {
        uint64_t entry = word_at(fd, table + i * 8);
        uint64_t place = entry & ((1ull << QCOW2_ENTRY_OFFSET_BITS) - 1);
        uint64_t sectors = (entry >> QCOW2_ENTRY_OFFSET_BITS & 0xff) + 1;
        assert_true((entry & QCOW2_COMPRESSED) != 0);
        uint64_t last = ((place & ~511ull) + sectors * 512 - 1) >> QCOW2_CLUSTER_BITS;
        for (uint64_t cluster = place >> QCOW2_CLUSTER_BITS; cluster <= last; cluster++)
            expected[cluster]++;
    }
    uint64_t file_bytes = (uint64_t)lseek(fd, 0, SEEK_END);
    for (uint64_t i = 0; i < file_bytes >> QCOW2_CLUSTER_BITS; i++) {
        assert_true(i < COUNT_OF(expected));
        assert_int_equal(count_at(fd, i), expected[i] > 0 ? expected[i] : 1);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_copied_in_is_read_back),
        cmocka_unit_test(what_is_compressed_is_read_back),
        cmocka_unit_test(what_was_flushed_is_there_after_a_crash),
        cmocka_unit_test(a_zeroed_range_reads_as_zeroes),
        cmocka_unit_test(damaged_files_are_not_gone_on_with),
        cmocka_unit_test(counts_of_a_long_compressed_file_are_written_on_the_way),
        cmocka_unit_test(reference_counts_cover_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
