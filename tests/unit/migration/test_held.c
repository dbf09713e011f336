/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/held.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/base/file.h"
#include "migration/progress.h"
#include "proto/codec.h"
#include "proto/fault.h"

static char directory[64];

static int set_up(void **state)
{
    strcpy(directory, "/tmp/guts-held-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct error err;
    return file_remove_tree(directory, &err) ? 0 : -1;
}

/* A journal with a job, a mark of no process, and `result` when it is not NULL. */
static struct uuid write_journal(const void *result, size_t length)
{
    struct uuid job = uuid_new();
    struct error err = {0};
    CLEANUP(buffer_fini) struct buffer packed = {0};
    Guts__V1__Assignment assign;
    guts__v1__assignment__init(&assign);
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct token token = {.job = job, .attempt = 1};
    struct uuid owner = uuid_new();
    assign.token = codec_token_to(arena, &token);
    assign.kind = GUTS__V1__JOB_KIND__JOB_KIND_MIGRATE;
    assign.owner_kind = GUTS__V1__OWNER_KIND__OWNER_KIND_MIGRATION;
    assign.owner_id = codec_uuid_to(&owner);
    codec_pack(&assign.base, &packed);
    struct progress *progress = NULL;
    if (!progress_open(directory, PROGRESS_WITHOUT_CHUNKS, &progress, &err) ||
        !progress_set_job(progress, packed.data, packed.length, &err) ||
        (result && !progress_set_result(progress, result, length, &err)))
        fail_msg("%s", err.text);
    progress_close(progress);
    return job;
}

static off_t journal_bytes(void)
{
    char path[96];
    struct stat facts;
    snprintf(path, sizeof(path), "%s/journal", directory);
    assert_int_equal(stat(path, &facts), 0);
    return facts.st_size;
}

static void tear_tail(void)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/journal", directory);
    int fd = open(path, O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, "torn", 4), 4); /* the beginning of a record */
    close(fd);
}

/* The worker of a daemon that died before it recorded it: it writes until it dies too. */
static void a_journal_is_left_alone_while_somebody_holds_its_lock(void **state)
{
    struct held *held = NULL;
    struct error err = {0};
    int ready[2];
    write_journal(NULL, 0);
    off_t whole = journal_bytes();
    tear_tail();
    assert_int_equal(pipe(ready), 0);
    pid_t worker = fork();
    if (worker == 0) {
        int fd = open(directory, O_RDONLY | O_DIRECTORY);
        bool fine = flock(fd, LOCK_EX) == 0 && write(ready[1], "x", 1) == 1;
        usleep(200000);
        _exit(fine && journal_bytes() == whole + 4 ? 0 : 1);
    }
    char go;
    assert_int_equal(read(ready[0], &go, 1), 1);
    if (!held_recover(directory, &held, &err))
        fail_msg("%s", err.text);
    int status = -1;
    /* Its last look, right before its end, found the journal as it was: we went on afterwards. That it is
       a zombie already is not certain: the lock goes a little earlier. */
    assert_int_equal(waitpid(worker, &status, 0), worker);
    assert_int_equal(status, 0);
    assert_int_equal(journal_bytes(), whole);
    held_free(held);
    close(ready[0]);
    close(ready[1]);
}

static void a_result_that_nobody_can_read_is_none(void **state)
{
    struct held *held = NULL;
    struct error err = {0};
    write_journal("rubbish", 7);
    if (!held_recover(directory, &held, &err))
        fail_msg("%s", err.text);
    assert_true(held_is_live(held)); /* it runs again, instead of being told for ever */
    held_free(held);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_journal_is_left_alone_while_somebody_holds_its_lock),
        TEST(a_result_that_nobody_can_read_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
