/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/check.h"

static char directory[] = "/tmp/guts-test-file-XXXXXX";

static const char *path_of(const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, 256, "%s/%s", directory, name);
    return path;
}

static void what_is_replaced_is_read_back(void **state)
{
    struct error err = {0};
    struct stat status;
    CLEANUP(buffer_fini) struct buffer content = {0};
    buffer_append_text(&content, "before:");
    assert_true(file_replace(path_of("a"), 0640, "one", 3, &err));
    assert_true(file_replace(path_of("a"), 0600, "second", 6, &err));
    assert_true(file_read(path_of("a"), 6, &content, &err));
    assert_string_equal(content.data, "before:second");
    assert_int_equal(stat(path_of("a"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void a_read_beyond_its_bound_is_refused_and_changes_nothing(void **state)
{
    struct error err = {0};
    CLEANUP(buffer_fini) struct buffer content = {0};
    buffer_append_text(&content, "kept");
    assert_true(file_replace(path_of("b"), 0600, "123456", 6, &err));
    assert_false(file_read(path_of("b"), 5, &content, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
    assert_string_equal(content.data, "kept");
}

static void what_is_no_regular_file_is_not_read(void **state)
{
    struct error err = {0};
    CLEANUP(buffer_fini) struct buffer content = {0};
    assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
    assert_false(file_read(path_of("fifo"), 10, &content, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    assert_false(file_read(directory, 10, &content, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    assert_false(file_read(path_of("absent"), 10, &content, &err));
    assert_ptr_equal(err.fault, &FAULT_NOT_FOUND);
}

static void a_failed_replacement_leaves_the_old_file_and_no_other(void **state)
{
    struct error err = {0};
    assert_true(file_make_directory(path_of("full/in/the/way"), 0700, &err));
    assert_false(file_replace(path_of("full/in"), 0600, "x", 1, &err));
    assert_int_equal(rmdir(path_of("full/in/the/way")), 0);
    assert_int_equal(rmdir(path_of("full/in/the")), 0);
    assert_int_equal(rmdir(path_of("full/in")), 0);
    assert_int_equal(rmdir(path_of("full")), 0); /* nothing temporary stayed */
}

static void directories_are_made_with_their_parents(void **state)
{
    struct error err = {0};
    struct stat status;
    assert_true(file_make_directory(path_of("x//y/z/"), 0711, &err));
    assert_true(file_make_directory(path_of("x/y/z"), 0700, &err));
    assert_int_equal(stat(path_of("x/y/z"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0711);
    assert_true(file_make_directory("/", 0755, &err));
    assert_true(file_replace(path_of("x/file"), 0600, "", 0, &err));
    assert_false(file_make_directory(path_of("x/file"), 0700, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFLICT);
    assert_false(file_make_directory(path_of("x/file/below"), 0700, &err));
    assert_false(file_make_directory("", 0700, &err));
}

static void a_tree_is_removed_and_links_are_not_followed(void **state)
{
    struct error err = {0};
    assert_true(file_make_directory(path_of("tree/a/b"), 0700, &err));
    assert_true(file_make_directory(path_of("other"), 0700, &err));
    assert_true(file_replace(path_of("other/stays"), 0600, "x", 1, &err));
    assert_true(file_replace(path_of("tree/a/b/file"), 0600, "x", 1, &err));
    assert_int_equal(symlink(path_of("other"), path_of("tree/a/link")), 0);
    assert_true(file_remove_tree(path_of("tree"), &err));
    assert_int_equal(access(path_of("tree"), F_OK), -1);
    assert_int_equal(access(path_of("other/stays"), F_OK), 0);
    assert_true(file_remove_tree(path_of("tree"), &err));
    assert_int_equal(symlink(path_of("other"), path_of("link")), 0);
    assert_false(file_remove_tree(path_of("link"), &err));
    assert_int_equal(access(path_of("other/stays"), F_OK), 0);
}

static void pieces_are_written_and_read_at_their_place(void **state)
{
    struct error err = {0};
    char data[4];
    CLEANUP(fd_closep) int fd = open(path_of("p"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file_write_all(fd, "abcdef", 6, &err));
    assert_true(file_pwrite_all(fd, "XY", 2, 3, &err));
    assert_true(file_pread_all(fd, data, 4, 2, &err));
    assert_memory_equal(data, "cXYf", 4);
    assert_false(file_pread_all(fd, data, 4, 3, &err));
    assert_ptr_equal(err.fault, &FAULT_IO);
    assert_non_null(strstr(err.text, "unexpected end"));
}

static void names_are_listed_until_the_rest_cannot_be_read(void **state)
{
    struct error err;
    bool fine = true;
    size_t count = 0;
    (void)state;
    assert_true(file_make_directory(path_of("listed/one"), 0755, &err));
    assert_true(file_make_directory(path_of("listed/.two"), 0755, &err));
    DIR *listed = opendir(path_of("listed"));
    assert_non_null(listed);
    while (file_next_name(listed, "listed", &fine, &err) != NULL)
        count++;
    assert_true(fine);
    assert_int_equal(count, 2);
    closedir(listed);
    listed = opendir(path_of("listed"));
    int other = open("/dev/null", O_RDONLY);
    assert_int_equal(dup2(other, dirfd(listed)), dirfd(listed)); /* as a mount that went stale */
    close(other);
    assert_null(file_next_name(listed, "listed", &fine, &err));
    assert_false(fine);
    assert_non_null(strstr(err.text, "listed"));
    closedir(listed);
}

static int make_place(void **state)
{
    return mkdtemp(directory) == NULL;
}

static int remove_place(void **state)
{
    struct error err;
    return !file_remove_tree(directory, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_replaced_is_read_back),
        cmocka_unit_test(a_read_beyond_its_bound_is_refused_and_changes_nothing),
        cmocka_unit_test(what_is_no_regular_file_is_not_read),
        cmocka_unit_test(a_failed_replacement_leaves_the_old_file_and_no_other),
        cmocka_unit_test(directories_are_made_with_their_parents),
        cmocka_unit_test(a_tree_is_removed_and_links_are_not_followed),
        cmocka_unit_test(pieces_are_written_and_read_at_their_place),
        cmocka_unit_test(names_are_listed_until_the_rest_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, make_place, remove_place);
}
