/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/base/memory.h"
#include "migration/disk/memory.h"
#include "proto/fault.h"

#define TEXT_BYTES 300000u
#define FILE_MOST (1u << 20)

struct file {
    uint8_t data[FILE_MOST];
    size_t length;
};

static const uint8_t *text(void)
{
    static uint8_t bytes[TEXT_BYTES];
    for (size_t i = 0; i < sizeof(bytes) && bytes[0] == 0; i++)
        bytes[sizeof(bytes) - 1 - i] = (uint8_t)(1 + i * i / 7 % 250);
    return bytes;
}

static struct file *file_new(void)
{
    (void)text();
    return xcalloc(1, sizeof(struct file));
}

/* One more member with bytes [from, until) of the text. */
static void add_member(struct file *file, size_t from, size_t until)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (uint8_t *)text() + from;
    stream.avail_in = (uInt)(until - from);
    stream.next_out = file->data + file->length;
    stream.avail_out = (uInt)(FILE_MOST - file->length);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    file->length += stream.total_out;
    deflateEnd(&stream);
}

/* Takes the file. */
static struct disk *open_file(struct file *file, uint64_t size_bytes)
{
    struct error err = {0};
    struct disk *disk = NULL, *below = disk_memory_new(file->length);
    assert_true(disk_write(below, file->data, file->length, 0, &err));
    free(file);
    if (!disk_gzip_open(below, size_bytes, &disk, &err))
        fail_msg("%s", err.text);
    return disk;
}

/* Reads in steps, and compares; the error of the first that fails. */
static bool read_all(struct disk *disk, size_t length, struct error *err)
{
    uint8_t *bytes = xcalloc(1, length);
    bool ok = true;
    for (size_t at = 0; ok && at < length;) {
        size_t step = 1 + at % 70001 < length - at ? 1 + at % 70001 : length - at;
        ok = disk_read(disk, bytes + at, step, at, err);
        at += step;
    }
    if (ok)
        assert_memory_equal(bytes, text(), length);
    free(bytes);
    return ok;
}

static void assert_damaged(struct file *file, uint64_t size_bytes, size_t length, const char *word)
{
    struct error err = {0};
    struct disk *disk = open_file(file, size_bytes);
    assert_false(read_all(disk, length, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    assert_non_null(strstr(err.text, word));
    disk_close(disk);
}

static void members_behind_each_other_are_one_disk(void **state)
{
    struct error err = {0};
    struct file *file = file_new();
    add_member(file, 0, 100000);
    add_member(file, 100000, 100000); /* an empty one */
    add_member(file, 100000, TEXT_BYTES);
    file->length += 700; /* padding */
    struct disk *disk = open_file(file, TEXT_BYTES);
    assert_int_equal(disk_access(disk), DISK_SEQUENTIAL);
    assert_int_equal(disk_size_bytes(disk), TEXT_BYTES);
    assert_true(read_all(disk, TEXT_BYTES, &err));
    disk_close(disk);
}

static void without_a_size_it_is_read_as_far_as_somebody_wants(void **state)
{
    struct error err = {0};
    struct file *file = file_new();
    add_member(file, 0, TEXT_BYTES);
    struct disk *disk = open_file(file, 0);
    uint8_t byte;
    assert_true(read_all(disk, TEXT_BYTES, &err));
    assert_false(disk_read(disk, &byte, 1, TEXT_BYTES, &err));
    assert_ptr_equal(err.fault, &FAULT_DISK_INVALID);
    assert_false(disk_read(disk, &byte, 1, 5, &err)); /* back */
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    disk_close(disk);
}

static void less_or_more_than_the_disk_is_an_error(void **state)
{
    struct file *file = file_new();
    add_member(file, 0, TEXT_BYTES - 1);
    assert_damaged(file, TEXT_BYTES, TEXT_BYTES, "truncated");
    file = file_new();
    add_member(file, 0, TEXT_BYTES);
    assert_damaged(file, TEXT_BYTES - 1, TEXT_BYTES - 1, "more than the disk");
}

static void what_is_cut_or_damaged_is_an_error(void **state)
{
    for (size_t cut = 1; cut < 20; cut++) { /* within the checksum, and before */
        struct file *file = file_new();
        add_member(file, 0, TEXT_BYTES);
        file->length -= cut;
        assert_damaged(file, TEXT_BYTES, TEXT_BYTES, "truncated");
    }
    struct file *file = file_new();
    add_member(file, 0, TEXT_BYTES);
    file->data[file->length - 6] ^= 1; /* of the checksum */
    assert_damaged(file, TEXT_BYTES, TEXT_BYTES, "incorrect data check");
    file = file_new();
    add_member(file, 0, TEXT_BYTES);
    file->data[file->length++] = 'x';
    assert_damaged(file, TEXT_BYTES, TEXT_BYTES, "");
    file = file_new();
    add_member(file, 0, TEXT_BYTES);
    file->length += 1;
    add_member(file, 0, 1);
    assert_damaged(file, TEXT_BYTES, TEXT_BYTES, "something else follows");
    file = file_new();
    file->length = 100;
    assert_damaged(file, 1, 1, "");
}

static void a_peek_gives_the_beginning_or_nothing(void **state)
{
    struct file *file = file_new();
    uint8_t head[40];
    add_member(file, 0, TEXT_BYTES);
    assert_true(gzip_peek(file->data, 4096, head, sizeof(head)));
    assert_memory_equal(head, text(), sizeof(head));
    assert_false(gzip_peek(file->data, 12, head, sizeof(head)));
    assert_false(gzip_peek(text(), 4096, head, sizeof(head)));
    free(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_behind_each_other_are_one_disk),
        cmocka_unit_test(without_a_size_it_is_read_as_far_as_somebody_wants),
        cmocka_unit_test(less_or_more_than_the_disk_is_an_error),
        cmocka_unit_test(what_is_cut_or_damaged_is_an_error),
        cmocka_unit_test(a_peek_gives_the_beginning_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
