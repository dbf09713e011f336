/* SPDX-License-Identifier: Apache-2.0
 *
 * What a work knows of the ledger when it begins.
 */
#include "tests/unit/check.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/file.h"
#include "migration/work_inside.h"

static char directory[64];
static struct lease_page *page;
static int page_fd, sockets[2];

static int set_up(void **state)
{
    struct error err;
    strcpy(directory, "/tmp/guts-work-XXXXXX");
    return mkdtemp(directory) && lease_page_new(&page, &page_fd, &err) &&
                   socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) ==
                       0
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct error err;
    lease_page_free(page);
    close(page_fd);
    close(sockets[0]);
    close(sockets[1]);
    return file_remove_tree(directory, &err) ? 0 : -1;
}

static struct progress *open_journal(void)
{
    struct progress *progress;
    struct error err;
    if (!progress_open(directory, PROGRESS_WHOLE, &progress, &err))
        fail_msg("%s", err.text);
    return progress;
}

static struct ledger_entry entry_of(const char *key, enum ledger_state state,
                                    const char *external_id)
{
    return (struct ledger_entry){.end = END_DESTINATION,
                                 .kind = "image",
                                 .key = key,
                                 .state = state,
                                 .external_id = external_id,
                                 .prior_json = "",
                                 .detail = "",
                                 .attempt = 1};
}

static void a_run_knows_what_earlier_runs_wrote_to_the_ledger(void **state)
{
    struct error err;
    struct work *work;
    struct ledger_entry given[] = {entry_of("old", LEDGER_MADE, "a"),
                                   entry_of("disk0", LEDGER_INTENDED, "")};
    const struct ledger_entry written[] = {entry_of("disk0", LEDGER_MADE, "b"),
                                           entry_of("disk1", LEDGER_INTENDED, ""),
                                           entry_of("disk1", LEDGER_UNDONE, "c")};
    struct progress *progress = open_journal();
    for (size_t i = 0; i < COUNT_OF(written); i++)
        assert_true(progress_set_ledger(progress, &written[i], &err));
    progress_close(progress);
    progress = open_journal();
    struct assign assign = {.token = {uuid_new(), 1, 0}, .ledger = given, .ledger_count = 2};
    struct work_plan plan = {.assign = &assign,
                             .run = 2,
                             .directory = directory,
                             .progress = progress,
                             .page = page,
                             .channel_fd = sockets[0]};
    assert_true(work_new(&plan, &work, &err));
    assert_int_equal(work_ledger_count(work), 3);
    assert_int_equal(work_ledger_find(work, END_DESTINATION, "image", "old")->state, LEDGER_MADE);
    const struct ledger_entry *made = work_ledger_find(work, END_DESTINATION, "image", "disk0");
    assert_int_equal(made->state, LEDGER_MADE);
    assert_string_equal(made->external_id, "b");
    assert_int_equal(work_ledger_find(work, END_DESTINATION, "image", "disk1")->state,
                     LEDGER_UNDONE);
    work_free(work);
    progress_close(progress);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_run_knows_what_earlier_runs_wrote_to_the_ledger, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
