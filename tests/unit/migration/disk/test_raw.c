/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/raw.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/fault.h"

#define MEGABYTE (1u << 20)

static int file_new(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static struct disk *create(int fd, uint64_t size_bytes)
{
    struct disk *disk = NULL;
    struct error err = {0};
    assert_true(disk_raw_create(&(struct disk_raw_plan){.fd = fd}, size_bytes, &disk, &err));
    return disk;
}

static void holes_of_a_file_are_told_as_holes(void **state)
{
    struct error err = {0};
    struct disk *disk = create(file_new(), 4 * MEGABYTE);
    static char block[65536];
    memset(block, 'x', sizeof(block));
    assert_true(disk_write(disk, block, sizeof(block), MEGABYTE, &err));
    struct disk_extent extents[8];
    size_t count = 0;
    assert_true(disk_extents(disk, 0, 4 * MEGABYTE, extents, 8, &count, &err));
    assert_int_equal(count, 3);
    assert_int_equal(extents[0].kind, DISK_EXTENT_HOLE);
    assert_int_equal(extents[0].length, MEGABYTE);
    assert_int_equal(extents[1].kind, DISK_EXTENT_DATA);
    assert_int_equal(extents[1].length, sizeof(block));
    assert_int_equal(extents[2].kind, DISK_EXTENT_HOLE);
    disk_close(disk);
}

static void zeroed_ranges_give_their_room_back(void **state)
{
    struct error err = {0};
    int fd = file_new();
    struct disk *disk = create(dup(fd), MEGABYTE);
    static char block[MEGABYTE];
    memset(block, 'x', sizeof(block));
    assert_true(disk_write(disk, block, sizeof(block), 0, &err));
    assert_true(disk_zero(disk, 4096, MEGABYTE - 4096, &err));
    assert_true(disk_read(disk, block, sizeof(block), 0, &err));
    assert_int_equal(block[4095], 'x');
    assert_int_equal(block[4096], 0);
    assert_true(disk_finish(disk, &err));
    struct stat about;
    assert_int_equal(fstat(fd, &about), 0);
    assert_in_range(about.st_blocks, 1, 64);
    close(fd);
}

static void a_file_that_is_written_to_is_no_longer_the_same(void **state)
{
    struct error err = {0};
    int fd = file_new();
    assert_int_equal(ftruncate(fd, MEGABYTE), 0);
    const struct timespec long_ago[2] = {{1, 0}, {1, 0}};
    assert_int_equal(futimens(fd, long_ago), 0);
    struct disk *disk = NULL;
    assert_true(disk_raw_open(&(struct disk_raw_plan){.fd = dup(fd)}, &disk, &err));
    assert_true(disk_identity_check(disk, &err));
    assert_int_equal(pwrite(fd, "x", 1, 5), 1);
    assert_false(disk_identity_check(disk, &err));
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    disk_close(disk);
    close(fd);
}

static void a_range_beyond_the_disk_is_refused(void **state)
{
    struct error err = {0};
    struct disk *disk = create(file_new(), MEGABYTE);
    char byte = 0;
    assert_false(disk_read(disk, &byte, 1, MEGABYTE, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    assert_false(disk_write(disk, &byte, 1, UINT64_MAX, &err));
    assert_false(disk_zero(disk, 1, MEGABYTE, &err));
    assert_false(disk_zero(disk, 1, UINT64_MAX, &err));
    disk_close(disk);
}

static void a_part_of_a_file_is_a_disk_of_its_own(void **state)
{
    struct error err = {0};
    int fd = file_new();
    assert_int_equal(pwrite(fd, "headerDISKfooter", 16, 0), 16);
    struct disk *disk = NULL;
    struct disk_raw_plan plan = {.fd = dup(fd), .offset_bytes = 6, .length_bytes = 4};
    assert_true(disk_raw_open(&plan, &disk, &err));
    char text[4];
    assert_true(disk_read(disk, text, 4, 0, &err));
    assert_memory_equal(text, "DISK", 4);
    assert_false(disk_write(disk, text, 4, 0, &err)); /* opened for reading */
    assert_ptr_equal(err.fault, &FAULT_UNSUPPORTED);
    assert_string_not_equal(disk_identity(disk), "");
    disk_close(disk);
    plan.fd = fd;
    plan.length_bytes = 11; /* longer than what is there */
    assert_false(disk_raw_open(&plan, &disk, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_of_a_file_are_told_as_holes),
        cmocka_unit_test(zeroed_ranges_give_their_room_back),
        cmocka_unit_test(a_file_that_is_written_to_is_no_longer_the_same),
        cmocka_unit_test(a_range_beyond_the_disk_is_refused),
        cmocka_unit_test(a_part_of_a_file_is_a_disk_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
