/* SPDX-License-Identifier: Apache-2.0
 *
 * A stopped server of a source cloud, of which an image is made to be read; what happens to the server
 * meanwhile, and what of that a later session sees.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/http/client.h"
#include "fake_work.h"
#include "migration/source/openstack.h"
#include "migration/source/openstack_inner.h"
#include "proto/fault.h"
#include "tests/unit/check.h"
#include "tests/unit/openstack/cloud_peer.h"

#define ID "b1a5a0f0-3b0e-4b57-9a2f-0a9d3c1f0002"

static struct {
    struct cloud_peer *peer;
    char request[32]; /* of the last action that was no image */
    unsigned made, deleted;
} cloud;

static char text[4096];

static void say(struct cloud_peer_answer *answer, unsigned status, const char *words)
{
    *answer = (struct cloud_peer_answer){
        .status = status, .body = words, .length = words != NULL ? strlen(words) : 0};
}

static void give_token(struct cloud_peer_answer *answer)
{
    const char *url = cloud_peer_url(cloud.peer);
    snprintf(text, sizeof(text),
             "{\"token\": {\"issued_at\": \"2026-01-01T00:00:00.000000Z\", \"expires_at\": "
             "\"2026-01-01T01:00:00.000000Z\", \"project\": {\"id\": \"p1\"}, \"catalog\": ["
             "{\"type\": \"compute\", \"endpoints\": [{\"interface\": \"public\", \"url\": "
             "\"%s/v2.1\"}]}, {\"type\": \"image\", \"endpoints\": [{\"interface\": \"public\", "
             "\"url\": \"%s\"}]}, {\"type\": \"network\", \"endpoints\": [{\"interface\": "
             "\"public\", \"url\": \"%s\"}]}]}}",
             url, url, url);
    say(answer, 201, text);
    answer->headers = "X-Subject-Token: token\r\n";
}

/* Nova lists what was done to a server, an image of it too. */
static void list_actions(struct cloud_peer_answer *answer)
{
    snprintf(text, sizeof(text),
             "{\"instanceActions\": [%s{\"action\": \"stop\", \"request_id\": \"%s\"}]}",
             cloud.made > 0 ? "{\"action\": \"createImage\", \"request_id\": \"req-image\"}, " : "",
             cloud.request);
    say(answer, 200, text);
}

static void show_image(const char *line, struct cloud_peer_answer *answer)
{
    unsigned number = 0;
    if (strstr(line, "?name=") != NULL) {
        say(answer, 200, "{\"images\": []}");
    } else if (sscanf(strstr(line, "/images/"), "/images/img-%u", &number) == 1) {
        snprintf(text, sizeof(text), "{\"id\": \"img-%u\", \"status\": \"active\"}", number);
        say(answer, number > cloud.deleted ? 200 : 404, text);
    } else {
        say(answer, 200, "{\"id\": \"base\", \"status\": \"active\"}");
    }
}

static void make_image(struct cloud_peer_answer *answer)
{
    snprintf(text, sizeof(text), "{\"image_id\": \"img-%u\"}", ++cloud.made);
    say(answer, 202, text);
}

static bool answers(void *context, const struct cloud_peer_request *request,
                    struct cloud_peer_answer *answer)
{
    const char *line = request->line;
    bool posts = strncmp(line, "POST", 4) == 0;
    if (posts && request->body == NULL)
        return false;
    if (strstr(line, "/auth/tokens") != NULL) {
        give_token(answer);
    } else if (strstr(line, "/os-instance-actions") != NULL) {
        list_actions(answer);
    } else if (strstr(line, "/os-interface") != NULL) {
        say(answer, 200, "{\"interfaceAttachments\": []}");
    } else if (strstr(line, "/networks") != NULL) {
        say(answer, 200, "{\"networks\": []}");
    } else if (posts) {
        make_image(answer);
    } else if (strncmp(line, "DELETE", 6) == 0) {
        cloud.deleted++;
        say(answer, 204, NULL);
    } else if (strstr(line, "/images") != NULL) {
        show_image(line, answer);
    } else {
        say(answer, 200,
            "{\"server\": {\"id\": \"" ID "\", \"name\": \"web\", \"status\": \"SHUTOFF\", "
            "\"image\": {\"id\": \"base\"}, \"flavor\": {\"vcpus\": 1, \"ram\": 64, \"disk\": 1, "
            "\"ephemeral\": 0}, \"os-extended-volumes:volumes_attached\": []}}");
    }
    return true;
}

static struct cloud credentials;
static struct openstack_source *self;
static struct work *work;
static struct vm *vm;

static int begin(void **state)
{
    struct error err = {0};
    http_client_library_begin();
    memset(&cloud, 0, sizeof(cloud));
    snprintf(cloud.request, sizeof(cloud.request), "req-stop");
    cloud.peer = cloud_peer_new(answers, NULL);
    credentials = (struct cloud){.auth_url = cloud_peer_url(cloud.peer),
                                 .username = "u",
                                 .project_name = "p",
                                 .password = secret_new("pass", 4)};
    work =
        fake_work_new(&(struct fake_work){.directory = "/tmp", .owner = uuid_new(), .attempt = 1});
    self = xcalloc(1, sizeof(*self));
    self->work = work;
    struct openstack_settings settings = {.cloud = &credentials, .agent = "test"};
    assert_true(openstack_open(&settings, &self->session, &err));
    if (!openstack_source_describe(&self->source, ID, work_arena(work), &vm, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int end(void **state)
{
    openstack_close(self->session);
    free(self);
    fake_work_free(work);
    cloud_fini(&credentials);
    cloud_peer_free(cloud.peer);
    return 0;
}

static struct source_export *open_session(void)
{
    struct error err = {0};
    struct source_export *session;
    if (!openstack_export_begin(&self->source, vm, &session, &err))
        fail_msg("%s", err.text);
    return session;
}

static void a_later_session_of_the_same_server_reads_the_same_image(void **state)
{
    struct error err = {0};
    struct source_export *session = open_session();
    char identity[256];
    snprintf(identity, sizeof(identity), "%s", session->identity);
    openstack_export_end(session);
    session = open_session();
    assert_string_equal(session->identity, identity); /* our image of it is no change */
    assert_int_equal(cloud.made, 1);
    assert_true(openstack_export_check(session, &err));
    assert_int_equal(cloud.deleted, 1);
    openstack_export_end(session);
}

static void an_image_of_a_server_that_ran_since_is_not_read_again(void **state)
{
    struct error err = {0};
    struct source_export *session = open_session();
    char identity[256];
    snprintf(identity, sizeof(identity), "%s", session->identity);
    snprintf(cloud.request, sizeof(cloud.request), "req-again");
    assert_false(openstack_export_check(session, &err));
    assert_ptr_equal(err.fault, &FAULT_SOURCE_CHANGED);
    assert_true(openstack_export_forget(session, &err));
    assert_int_equal(cloud.deleted, 1);
    openstack_export_end(session);
    session = open_session();
    assert_string_not_equal(session->identity, identity);
    assert_int_equal(cloud.made, 2);
    openstack_export_end(session);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(a_later_session_of_the_same_server_reads_the_same_image),
        EACH(an_image_of_a_server_that_ran_since_is_not_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
