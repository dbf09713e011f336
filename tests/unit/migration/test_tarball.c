/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "migration/source/tarball.h"
#include "proto/fault.h"
#include "tar_maker.h"

static struct arena *arena;
static struct buffer tar;

static int set_up(void **state)
{
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    arena_free(arena);
    buffer_fini(&tar);
    tar = (struct buffer){0};
    return 0;
}

static bool read_buffer(void *context, void *ret_data, size_t length, uint64_t offset,
                        size_t *ret_length, struct error *err)
{
    size_t left = offset < tar.length ? tar.length - (size_t)offset : 0;
    *ret_length = left < length ? left : length;
    if (*ret_length > 0)
        memcpy(ret_data, tar.data + offset, *ret_length);
    return true;
}

static const struct fault *list(struct tarball *ret_archive)
{
    struct error err = {0};
    struct tarball_reader reader = {.read = read_buffer, .size_bytes = tar.length};
    return tarball_list(&reader, arena, ret_archive, &err) ? NULL : err.fault;
}

static void members_are_found_where_they_lie(void **state)
{
    struct tarball archive;
    tar_add(&tar, "a.ovf", '0', "hello", 5);
    tar_add(&tar, "sub/", '5', "", 0);
    tar_add(&tar, "./sub/b.vmdk", '0', "world!", 6);
    tar_end(&tar);
    assert_null(list(&archive));
    assert_int_equal(archive.count, 2);
    const struct tarball_member *member = tarball_find(&archive, "sub/b.vmdk");
    assert_non_null(member);
    assert_int_equal(member->size_bytes, 6);
    assert_memory_equal(tar.data + member->offset_bytes, "world!", 6);
    assert_null(tarball_find(&archive, "c"));
}

static void an_archive_may_end_without_its_mark(void **state)
{
    struct tarball archive;
    tar_add(&tar, "a.ovf", '0', "hello", 5);
    assert_null(list(&archive));
    assert_int_equal(archive.count, 1);
}

static void long_names_and_large_sizes_are_understood(void **state)
{
    struct tarball archive;
    char name[200];
    memset(name, 'n', sizeof(name));
    name[199] = '\0';
    tar_add(&tar, "././@LongLink", 'L', name, sizeof(name));
    tar_add(&tar, "short", '0', "x", 1);
    tar_add(&tar, "pax", 'x',
            "16 path=\xc3\xbc"
            "ber/x\n10 size=3\n",
            26);
    tar_add(&tar, "other", '0', "abc", 3);
    tar_add_lying(&tar, "base256", '0', "y", 1, "\x80\0\0\0\0\0\0\0\0\0\0\x01");
    tar_end(&tar);
    assert_null(list(&archive));
    assert_int_equal(archive.count, 3);
    assert_string_equal(archive.members[0].name, name);
    assert_string_equal(archive.members[1].name, "\xc3\xbc"
                                                 "ber/x");
    assert_int_equal(archive.members[1].size_bytes, 3);
    assert_int_equal(archive.members[2].size_bytes, 1);
}

static void odd_members_are_refused(void **state)
{
    static const struct {
        const char *name;
        char type;
    } odd[] = {{"../a", '0'}, {"/etc/passwd", '0'}, {"a/../../b", '0'}, {"a", '1'},
               {"a", '2'},    {"a", '3'},           {"a", '6'},         {"", '0'},
               {"a\\b", '0'}, {"a//b", '0'},        {"a\nb", '0'},      {"a/..", '0'},
               {"a", 'V'},    {"a\xff", '0'}};
    for (size_t i = 0; i < COUNT_OF(odd); i++) {
        struct tarball archive;
        buffer_clear(&tar);
        tar_add(&tar, "fine", '0', "x", 1);
        tar_add(&tar, odd[i].name, odd[i].type, "x", odd[i].type == '0' ? 1 : 0);
        tar_end(&tar);
        if (list(&archive) != &FAULT_ARCHIVE_INVALID)
            fail_msg("case %zu", i);
    }
}

static void absurd_sizes_are_refused(void **state)
{
    static const char *const sizes[] = {"77777777777 ",
                                        "00000002000 ",
                                        "x0000000001 ",
                                        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                                        "            "};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct tarball archive;
        buffer_clear(&tar);
        tar_add_lying(&tar, "a", '0', "x", 1, sizes[i]);
        assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID);
    }
}

static void broken_headers_are_refused(void **state)
{
    struct tarball archive;
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID); /* empty */
    tar_end(&tar);
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID); /* no member */
    buffer_clear(&tar);
    tar_add(&tar, "a", '0', "x", 1);
    tar.data[0] = 'b'; /* the checksum no longer fits */
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID);
    buffer_clear(&tar);
    tar_add(&tar, "a", '0', "x", 1);
    tar_add(&tar, "a", '0', "y", 1); /* twice */
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID);
    buffer_clear(&tar);
    tar_add(&tar, "a", '0', "x", 1);
    tar_add(&tar, "b", '0', "x", 1);
    tar.length -= 900; /* cut within a header */
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID);
    buffer_clear(&tar);
    tar_add(&tar, "p", 'x', "99 path=x\n", 10); /* a record longer than its header */
    tar_add(&tar, "b", '0', "x", 1);
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID);
}

static void an_endless_chain_of_headers_ends(void **state)
{
    struct tarball archive;
    for (int i = 0; i < 6000; i++)
        tar_add(&tar, "g", 'g', "x", 1);
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID);
    buffer_clear(&tar);
    for (int i = 0; i < 1100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        tar_add(&tar, name, '0', "", 0);
    }
    assert_ptr_equal(list(&archive), &FAULT_ARCHIVE_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(members_are_found_where_they_lie),
        TEST(an_archive_may_end_without_its_mark),
        TEST(long_names_and_large_sizes_are_understood),
        TEST(odd_members_are_refused),
        TEST(absurd_sizes_are_refused),
        TEST(broken_headers_are_refused),
        TEST(an_endless_chain_of_headers_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
