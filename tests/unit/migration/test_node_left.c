/* SPDX-License-Identifier: Apache-2.0
 *
 * What a node finds in its conversion space that it does not hold, and what it removes of that.
 */
#include "tests/unit/migration/play.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/log.h"
#include "migration/worker.h"

#define OTHER "1b4e28ba-2fa1-11d2-883f-0016d3cca427"

static const char *path_of(struct play *play, const char *name)
{
    return arena_printf(play->arena, "%s/jobs/%s", play->pool, name);
}

static void make_directory(struct play *play, const char *name)
{
    struct error err;
    const char *path = path_of(play, name);
    const char *file = arena_printf(play->arena, "%s/disk-0", path);
    assert_true(file_make_directory(path, 0700, &err));
    assert_true(file_replace(file, 0600, "bytes", 5, &err));
}

static bool exists(struct play *play, const char *name)
{
    return access(path_of(play, name), F_OK) == 0;
}

static void look(struct play *play, const char *remove)
{
    unsigned before = play->looks;
    play_look(play, remove);
    AWAIT(play, play->looks > before);
}

static void what_another_name_left_is_found_and_removed_when_that_is_asked(void **state)
{
    struct play *play = *state;
    make_directory(play, "n0/" OTHER "-3");
    look(play, NULL);
    assert_int_equal(play->left, 1);
    assert_string_equal(play->left_name, "n0/" OTHER "-3");
    assert_true(uuid_is_nil(&play->left_owner));
    assert_true(exists(play, "n0/" OTHER "-3")); /* looking removes nothing */
    look(play, "n0/" OTHER "-3");
    assert_int_equal(play->left, 0);
    assert_false(exists(play, "n0/" OTHER "-3"));
}

static void a_node_under_a_new_name_finds_its_former_jobs(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    play_stop_node(play);
    CLEANUP(xfreep)
    char *former = xasprintf("n0/%s-1", UUID_TEXT(&play->job));
    assert_int_equal(rename(path_of(play, "n1"), path_of(play, "n0")), 0);
    play_start_node(play);
    look(play, NULL);
    assert_int_equal(play->left, 1);
    assert_string_equal(play->left_name, former);
    assert_true(uuid_equal(&play->left_owner, &play->owner));
    look(play, former);
    assert_int_equal(play->left, 0);
}

static void what_the_node_holds_is_neither_told_nor_removed(void **state)
{
    struct play *play = *state;
    play_assign(play, &(struct wish){.kind = JOB_MIGRATE, .settings = SLOW});
    AWAIT(play, play->done_bytes > 0);
    CLEANUP(xfreep) char *own = xasprintf("n1/%s-1", UUID_TEXT(&play->job));
    look(play, own);
    assert_int_equal(play->left, 0);
    assert_true(play_directory_exists(play));
    AWAIT(play, play->finishes > 0);
    assert_int_equal(play->resumes, 0);
}

static void only_directories_of_jobs_are_told_and_removed(void **state)
{
    static const char *const names[] = {"../" OTHER "-1", "../../" OTHER "-1",   "n0/" OTHER,
                                        "n0/" OTHER "-",  "n0/" OTHER "-1x",     "n0/" OTHER "_1",
                                        "n0/x",           "n0/" OTHER "-1/../y", "N0/" OTHER "-1"};
    struct play *play = *state;
    make_directory(play, "n0");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (names[i][0] != '.' && !strstr(names[i], "/../"))
            make_directory(play, names[i]);
    make_directory(play, "../" OTHER "-1");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        look(play, names[i]);
        assert_int_equal(play->left, 0);
    }
    assert_true(exists(play, "../" OTHER "-1") && exists(play, "n0/x") &&
                exists(play, "n0/" OTHER "-1x") && exists(play, "N0/" OTHER "-1"));
}

static void a_directory_whose_worker_lives_stays(void **state)
{
    struct play *play = *state;
    make_directory(play, "n0/" OTHER "-3");
    CLEANUP(fd_closep)
    int fd = open(path_of(play, "n0/" OTHER "-3"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    look(play, "n0/" OTHER "-3");
    assert_int_equal(play->left, 1);
    assert_true(exists(play, "n0/" OTHER "-3/disk-0"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_VERB) == 0)
        return worker_main();
    log_open("test", LOG_ERROR_LEVEL);
    const struct CMUnitTest tests[] = {
        TEST(what_another_name_left_is_found_and_removed_when_that_is_asked),
        TEST(a_node_under_a_new_name_finds_its_former_jobs),
        TEST(what_the_node_holds_is_neither_told_nor_removed),
        TEST(only_directories_of_jobs_are_told_and_removed),
        TEST(a_directory_whose_worker_lives_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
