/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/qcow2.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "migration/disk/copy.h"
#include "migration/disk/memory.h"
#include "migration/disk/raw.h"
#include "migration/disk/stream.h"
#include "proto/fault.h"
#include "tests/unit/check.h"

#define SIZE ((40ull << 20) + 1536)

static struct disk *pattern(void)
{
    return disk_pattern_new(&(struct disk_pattern_plan){
        .size_bytes = SIZE, .seed = 7, .block_bytes = 24 << 10, .data_of_hundred = 40});
}

static bool sink_write(void *context, const void *bytes, size_t length, struct error *err)
{
    const int *fd = context;
    return write(*fd, bytes, length) == (ssize_t)length || error_set(err, &FAULT_IO, "full");
}

static struct disk *open_file(int fd)
{
    struct error err = {0};
    struct disk *file = NULL;
    struct disk_raw_plan plan = {.fd = fd, .description = "a file"};
    assert_true(disk_raw_open(&plan, &file, &err));
    return file;
}

static void compare(struct disk *from, int fd)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk *read = NULL;
    assert_true(disk_qcow2_read_open(open_file(fd), &read, &err));
    assert_int_equal(disk_size_bytes(read), SIZE);
    struct copy_digests *digests = copy_digests_new(SIZE);
    assert_true(copy_digests_read(digests, from, &control, &err));
    assert_true(copy_verify(read, digests, &control, &err));
    copy_digests_free(digests);
    disk_close(read);
    disk_close(from);
}

static void a_stream_is_read_as_it_was_written(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    int fd = memfd_create("stream", MFD_CLOEXEC);
    struct disk *from = pattern(), *to = NULL;
    uint64_t told = 0;
    assert_true(
        disk_qcow2_stream_open(from, (struct disk_sink){sink_write, &fd}, NULL, &to, &told, &err));
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    assert_true(copy_run(&plan, &err) && disk_finish(to, &err));
    compare(from, fd);
}

static void write_file(int fd, enum disk_qcow2_compression compression, struct disk *from)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk *to = NULL;
    struct disk_qcow2_plan file = {
        .fd = dup(fd), .size_bytes = SIZE, .compression = compression, .lazy = true};
    assert_true(disk_qcow2_create(&file, &to, &err));
    struct copy_plan plan = {.from = from, .to = to, .to_is_zero = true, .control = &control};
    assert_true(copy_run(&plan, &err) && disk_finish(to, &err));
}

static void compressed_clusters_are_read(void **state)
{
    static const enum disk_qcow2_compression kinds[] = {DISK_QCOW2_PLAIN, DISK_QCOW2_ZSTD,
                                                        DISK_QCOW2_DEFLATE};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        int fd = memfd_create("file", MFD_CLOEXEC);
        struct disk *from = pattern();
        write_file(fd, kinds[i], from);
        compare(from, fd);
    }
}

static const struct fault *fault_of(int fd, off_t at, const void *bytes, size_t length)
{
    struct error err = {0};
    struct disk *read = NULL;
    uint8_t kept[16];
    assert_int_equal(pread(fd, kept, length, at), (ssize_t)length);
    assert_int_equal(pwrite(fd, bytes, length, at), (ssize_t)length);
    bool good = disk_qcow2_read_open(open_file(dup(fd)), &read, &err);
    disk_close(read);
    assert_int_equal(pwrite(fd, kept, length, at), (ssize_t)length);
    return good ? NULL : err.fault;
}

static void what_cannot_be_read_is_refused(void **state)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    struct disk *from = pattern();
    write_file(fd, DISK_QCOW2_PLAIN, from);
    disk_close(from);
    assert_null(fault_of(fd, 0, "QFI\xfb", 4));
    assert_ptr_equal(fault_of(fd, 0, "nope", 4), &FAULT_DISK_INVALID);
    assert_ptr_equal(fault_of(fd, 8, "\0\0\0\0\0\0\1", 8), &FAULT_DISK_UNSUPPORTED); /* backing */
    assert_ptr_equal(fault_of(fd, 20, "\0\0\0\x40", 4), &FAULT_DISK_INVALID);        /* clusters */
    assert_ptr_equal(fault_of(fd, 32, "\0\0\0\2", 4), &FAULT_DISK_UNSUPPORTED);      /* crypt */
    assert_ptr_equal(fault_of(fd, 36, "\xff\xff\xff\xff", 4),
                     &FAULT_DISK_INVALID); /* first table */
    assert_ptr_equal(fault_of(fd, 72, "\0\0\0\0\0\0\0\x10", 8), &FAULT_DISK_UNSUPPORTED);
    close(fd);
}

static void a_changed_byte_is_a_mismatch(void **state)
{
    struct error err = {0};
    struct copy_control control = {0};
    struct disk *from = pattern(), *read = NULL;
    int fd = memfd_create("file", MFD_CLOEXEC);
    write_file(fd, DISK_QCOW2_PLAIN, from);
    uint8_t byte = 0;
    off_t at = lseek(fd, 0, SEEK_END) / 2;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    struct copy_digests *digests = copy_digests_new(SIZE);
    assert_true(copy_digests_read(digests, from, &control, &err));
    assert_true(disk_qcow2_read_open(open_file(fd), &read, &err));
    assert_false(copy_verify(read, digests, &control, &err));
    assert_ptr_equal(err.fault, &FAULT_DIGEST_MISMATCH);
    copy_digests_free(digests);
    disk_close(read);
    disk_close(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_read_as_it_was_written),
        cmocka_unit_test(compressed_clusters_are_read),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(a_changed_byte_is_a_mismatch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
