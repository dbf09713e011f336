/* SPDX-License-Identifier: Apache-2.0
 *
 * What a cleanup does in the cloud: the result loses our mark and stays; it is never deleted, whatever
 * went wrong before.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/http/client.h"
#include "fake_work.h"
#include "migration/destination/openstack_inner.h"
#include "proto/fault.h"
#include "tests/unit/check.h"
#include "tests/unit/openstack/cloud_peer.h"

static struct {
    struct cloud_peer *peer;
    unsigned unmarked, deleted;
} nova;

static char text[1024];

static void say(struct cloud_peer_answer *answer, unsigned status, const char *words)
{
    *answer = (struct cloud_peer_answer){
        .status = status, .body = words, .length = words != NULL ? strlen(words) : 0};
}

static bool answers(void *context, const struct cloud_peer_request *request,
                    struct cloud_peer_answer *answer)
{
    const char *line = request->line;
    if (strncmp(line, "POST", 4) == 0 && request->body == NULL)
        return false;
    if (strstr(line, "/auth/tokens") != NULL) {
        snprintf(text, sizeof(text),
                 "{\"token\": {\"issued_at\": \"2026-01-01T00:00:00.000000Z\", \"expires_at\": "
                 "\"2026-01-01T01:00:00.000000Z\", \"project\": {\"id\": \"p1\"}, \"catalog\": ["
                 "{\"type\": \"compute\", \"endpoints\": [{\"interface\": \"public\", \"url\": "
                 "\"%s/v2.1\"}]}]}}",
                 cloud_peer_url(nova.peer));
        say(answer, 201, text);
        answer->headers = "X-Subject-Token: token\r\n";
    } else if (strstr(line, "/metadata/") != NULL || strstr(line, "/tags/") != NULL) {
        nova.unmarked++;
        say(answer, 204, NULL);
    } else if (strncmp(line, "DELETE", 6) == 0) {
        nova.deleted++;
        say(answer, 204, NULL);
    } else if (strstr(line, "?tags=") != NULL) {
        say(answer, 200, "{\"servers\": []}");
    } else {
        say(answer, nova.deleted > 0 ? 404 : 200,
            "{\"server\": {\"id\": \"s1\", \"status\": \"ACTIVE\"}}");
    }
    return true;
}

static struct cloud credentials;
static struct openstack *self;
static struct work *work;

static int begin(void **state)
{
    struct error err = {0};
    http_client_library_begin();
    memset(&nova, 0, sizeof(nova));
    nova.peer = cloud_peer_new(answers, NULL);
    credentials = (struct cloud){.auth_url = cloud_peer_url(nova.peer),
                                 .username = "u",
                                 .project_name = "p",
                                 .password = secret_new("pass", 4)};
    work =
        fake_work_new(&(struct fake_work){.directory = "/tmp", .owner = uuid_new(), .attempt = 3});
    self = xcalloc(1, sizeof(*self));
    self->work = work;
    struct openstack_settings settings = {.cloud = &credentials, .agent = "test"};
    assert_true(openstack_open(&settings, &self->session, &err));
    return 0;
}

static int end(void **state)
{
    openstack_close(self->session);
    free(self);
    fake_work_free(work);
    cloud_fini(&credentials);
    cloud_peer_free(nova.peer);
    return 0;
}

static const struct ledger_entry *made(const char *key)
{
    struct error err = {0};
    const struct ledger_entry *stored;
    struct ledger_entry entry = {.end = END_DESTINATION, .kind = "server", .key = key};
    assert_true(work_intend(work, &entry, &stored, &err));
    assert_true(work_made(work, stored, "s1", &err));
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
    assert_true(work_settle(work, entry, LEDGER_ERROR, "Nova was away", &err));
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
