/* SPDX-License-Identifier: Apache-2.0
 *
 * What a cleanup does in the cloud: the result loses our mark and stays; it is never deleted, whatever
 * went wrong before.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fake_work.h"
#include "migration/destination/openstack_inner.h"
#include "proto/fault.h"
#include "tests/unit/check.h"
#include "tests/unit/migration/cloud_world.h"

static struct {
    unsigned unmarked, deleted;
} nova;
static struct cloud_world world;

static bool answers(void *context, const struct cloud_peer_request *request,
                    struct cloud_peer_answer *answer)
{
    const char *line = request->line;
    if (strncmp(line, "POST", 4) == 0 && request->body == NULL)
        return false;
    if (strstr(line, "/auth/tokens") != NULL) {
        cloud_world_give_token(&world, answer);
    } else if (strstr(line, "/metadata/") != NULL || strstr(line, "/tags/") != NULL) {
        nova.unmarked++;
        cloud_world_say(answer, 204, NULL);
    } else if (strncmp(line, "DELETE", 6) == 0) {
        nova.deleted++;
        cloud_world_say(answer, 204, NULL);
    } else if (strstr(line, "?tags=") != NULL) {
        cloud_world_say(answer, 200, "{\"servers\": []}");
    } else {
        cloud_world_say(answer, nova.deleted > 0 ? 404 : 200,
                        "{\"server\": {\"id\": \"s1\", \"status\": \"ACTIVE\"}}");
    }
    return true;
}

static struct openstack *self;

static int begin(void **state)
{
    memset(&nova, 0, sizeof(nova));
    cloud_world_begin(&world, answers, 3);
    self = xcalloc(1, sizeof(*self));
    self->work = world.work;
    self->session = world.session;
    return 0;
}

static int end(void **state)
{
    free(self);
    cloud_world_end(&world);
    return 0;
}

static const struct ledger_entry *made(const char *key)
{
    struct error err = {0};
    const struct ledger_entry *stored;
    struct ledger_entry entry = {.end = END_DESTINATION, .kind = "server", .key = key};
    assert_true(work_intend(world.work, &entry, &stored, &err));
    assert_true(work_made(world.work, stored, "s1", &err));
    return stored;
}

static void the_server_loses_its_mark_and_stays(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    assert_true(openstack_accept(&self->destination, made("server/1"), &ended, &err));
    assert_int_equal(ended, LEDGER_KEPT);
    assert_int_equal(nova.unmarked, 2);
    assert_int_equal(nova.deleted, 0);
}

static void a_server_that_an_error_is_told_of_stays_too(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    const struct ledger_entry *entry = made("server/1");
    assert_true(work_settle(world.work, entry, LEDGER_ERROR, "Nova was away", &err));
    assert_true(openstack_accept(&self->destination, entry, &ended, &err));
    assert_int_equal(ended, LEDGER_KEPT);
    assert_int_equal(nova.deleted, 0);
}

static void a_server_of_an_older_attempt_is_no_part_of_the_result(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    const struct ledger_entry *older = made("server/1");
    made("server/2");
    assert_true(openstack_accept(&self->destination, older, &ended, &err));
    assert_int_equal(ended, LEDGER_UNDONE);
    assert_int_equal(nova.deleted, 1);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(the_server_loses_its_mark_and_stays),
        EACH(a_server_that_an_error_is_told_of_stays_too),
        EACH(a_server_of_an_older_attempt_is_no_part_of_the_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
