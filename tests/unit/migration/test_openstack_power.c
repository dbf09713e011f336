/* SPDX-License-Identifier: Apache-2.0
 *
 * A server of a source cloud, stopped and started again, while that cloud is busy with it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fake_work.h"
#include "migration/source/openstack.h"
#include "migration/source/openstack_inner.h"
#include "proto/fault.h"
#include "tests/unit/check.h"
#include "tests/unit/migration/cloud_world.h"

#define ID "b1a5a0f0-3b0e-4b57-9a2f-0a9d3c1f0001"

static struct {
    char status[16];
    char mark[64];      /* who stopped it */
    unsigned conflicts; /* of the next actions */
    const char *words;  /* of a conflict */
    unsigned actions;   /* that were asked for */
    unsigned starts, stops;
} nova;
static struct cloud_world world;

static char text[4096];

static void take_action(const char *body, struct cloud_peer_answer *answer)
{
    nova.actions++;
    if (nova.conflicts > 0) {
        nova.conflicts--;
        cloud_world_say(answer, 409, nova.words);
        return;
    }
    bool stops = strstr(body, "os-stop") != NULL;
    nova.stops += stops;
    nova.starts += !stops;
    snprintf(nova.status, sizeof(nova.status), "%s", stops ? "SHUTOFF" : "ACTIVE");
    cloud_world_say(answer, 202, NULL);
}

static void take_mark(const char *body, struct cloud_peer_answer *answer)
{
    json_t *asked = json_loads(body, 0, NULL);
    const char *mark =
        json_string_value(json_object_get(json_object_get(asked, "metadata"), POWER_KEY));
    snprintf(nova.mark, sizeof(nova.mark), "%s", mark != NULL ? mark : "");
    json_decref(asked);
    cloud_world_say(answer, 200, "{}");
}

static bool answers(void *context, const struct cloud_peer_request *request,
                    struct cloud_peer_answer *answer)
{
    bool posts = strncmp(request->line, "POST", 4) == 0;
    if (posts && request->body == NULL)
        return false;
    if (strstr(request->line, "/auth/tokens") != NULL) {
        cloud_world_give_token(&world, answer);
    } else if (strstr(request->line, "/action") != NULL) {
        take_action(request->body, answer);
    } else if (posts) {
        take_mark(request->body, answer);
    } else if (strncmp(request->line, "DELETE", 6) == 0) {
        nova.mark[0] = '\0';
        cloud_world_say(answer, 204, NULL);
    } else {
        snprintf(text, sizeof(text),
                 "{\"server\": {\"id\": \"" ID "\", \"status\": \"%s\", \"metadata\": {\"" POWER_KEY
                 "\": \"%s\"}}}",
                 nova.status, nova.mark);
        cloud_world_say(answer, 200, text);
    }
    return true;
}

static struct openstack_source *self;
static struct work *work;
static const struct vm vm = {.key = ID, .name = "one"};

static int begin(void **state)
{
    memset(&nova, 0, sizeof(nova));
    nova.words =
        "{\"conflictingRequest\": {\"message\": \"Cannot while task_state image_uploading\"}}";
    snprintf(nova.status, sizeof(nova.status), "ACTIVE");
    cloud_world_begin(&world, answers, 1);
    work = world.work;
    self = xcalloc(1, sizeof(*self));
    self->work = work;
    self->session = world.session;
    return 0;
}

static int end(void **state)
{
    free(self);
    cloud_world_end(&world);
    return 0;
}

static const struct ledger_entry *stop(void)
{
    struct error err = {0};
    if (!openstack_source_stop(&self->source, &vm, &err))
        fail_msg("%s", err.text);
    return work_ledger_get(work, 0);
}

static void a_stopped_server_is_started_again_and_loses_its_mark(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    const struct ledger_entry *entry = stop();
    assert_string_equal(nova.status, "SHUTOFF");
    assert_string_equal(nova.mark, UUID_TEXT(work_owner(work)));
    assert_true(openstack_power_undo(self, entry, &ended, &err));
    assert_int_equal(ended, LEDGER_UNDONE);
    assert_string_equal(nova.status, "ACTIVE");
    assert_string_equal(nova.mark, "");
    assert_true(openstack_power_undo(self, entry, &ended, &err));
    assert_int_equal(nova.starts, 1);
}

static void a_busy_server_is_asked_again_until_it_takes_the_action(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    nova.conflicts = 3;
    const struct ledger_entry *entry = stop();
    assert_int_equal(nova.stops, 1);
    nova.conflicts = 40;
    assert_true(openstack_power_undo(self, entry, &ended, &err));
    assert_int_equal(nova.starts, 1);
    assert_string_equal(nova.status, "ACTIVE");
}

static void one_that_is_busy_for_too_long_is_told_with_what_the_cloud_says(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    const struct ledger_entry *entry = stop();
    nova.conflicts = 100000;
    assert_false(openstack_power_undo(self, entry, &ended, &err));
    assert_ptr_equal(err.fault, &FAULT_TIMEOUT);
    assert_non_null(strstr(err.text, "image_uploading"));
    assert_string_not_equal(nova.mark, "");
}

static void a_locked_or_broken_server_is_told_at_once(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    const struct ledger_entry *entry = stop();
    nova.actions = 0;
    nova.conflicts = 9;
    snprintf(nova.status, sizeof(nova.status), "ERROR");
    assert_false(openstack_power_undo(self, entry, &ended, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFLICT);
    snprintf(nova.status, sizeof(nova.status), "SHUTOFF");
    nova.words = "{\"conflictingRequest\": {\"message\": \"Instance is locked\"}}";
    assert_false(openstack_power_undo(self, entry, &ended, &err));
    assert_ptr_equal(err.fault, &FAULT_VM_LOCKED);
    assert_int_equal(nova.actions, 2);
}

static void what_another_migration_stopped_is_left_alone(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    bool mended = true;
    const struct ledger_entry *entry = stop();
    snprintf(nova.mark, sizeof(nova.mark), "5f0bdc6e-8f0a-4f5c-9a53-0f3dbf6d1a01");
    assert_true(openstack_power_undo(self, entry, &ended, &err));
    assert_string_equal(nova.status, "SHUTOFF");
    assert_true(openstack_power_settle(self, entry, &mended, &err));
    assert_false(mended);
}

static void a_server_whose_mark_was_cleared_is_started_again(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    bool mended = true;
    const struct ledger_entry *entry = stop();
    nova.mark[0] = '\0';
    assert_true(openstack_power_settle(self, entry, &mended, &err));
    assert_false(mended); /* that may be another's, whose result was accepted */
    assert_true(openstack_power_undo(self, entry, &ended, &err));
    assert_int_equal(ended, LEDGER_UNDONE);
    assert_string_equal(nova.status, "ACTIVE");
}

static void without_a_lease_nothing_is_started(void **state)
{
    struct error err = {0};
    enum ledger_state ended;
    const struct ledger_entry *entry = stop();
    fake_work_fence(work);
    assert_false(openstack_power_undo(self, entry, &ended, &err));
    assert_ptr_equal(err.fault, &FAULT_FENCED);
    assert_int_equal(nova.starts, 0);
    assert_string_not_equal(nova.mark, "");
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(a_stopped_server_is_started_again_and_loses_its_mark),
        EACH(a_busy_server_is_asked_again_until_it_takes_the_action),
        EACH(one_that_is_busy_for_too_long_is_told_with_what_the_cloud_says),
        EACH(a_locked_or_broken_server_is_told_at_once),
        EACH(what_another_migration_stopped_is_left_alone),
        EACH(a_server_whose_mark_was_cleared_is_started_again),
        EACH(without_a_lease_nothing_is_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
