/* SPDX-License-Identifier: Apache-2.0
 *
 * A stopped server of a source cloud, of which an image is made to be read; what happens to the server
 * meanwhile, and what of that a later session sees.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fake_work.h"
#include "migration/source/openstack.h"
#include "migration/source/openstack_inner.h"
#include "proto/fault.h"
#include "tests/unit/check.h"
#include "tests/unit/migration/cloud_world.h"

#define ID "b1a5a0f0-3b0e-4b57-9a2f-0a9d3c1f0002"

static struct {
    char request[32]; /* of the last action that was no image */
    unsigned made, deleted;
} cloud;
static struct cloud_world world;

static char text[4096];

/* Nova lists what was done to a server, an image of it too. */
static void list_actions(struct cloud_peer_answer *answer)
{
    snprintf(text, sizeof(text),
             "{\"instanceActions\": [%s{\"action\": \"stop\", \"request_id\": \"%s\"}]}",
             cloud.made > 0 ? "{\"action\": \"createImage\", \"request_id\": \"req-image\"}, " : "",
             cloud.request);
    cloud_world_say(answer, 200, text);
}

static void show_image(const char *line, struct cloud_peer_answer *answer)
{
    unsigned number = 0;
    if (strstr(line, "?name=") != NULL) {
        cloud_world_say(answer, 200, "{\"images\": []}");
    } else if (sscanf(strstr(line, "/images/"), "/images/img-%u", &number) == 1) {
        snprintf(text, sizeof(text), "{\"id\": \"img-%u\", \"status\": \"active\"}", number);
        cloud_world_say(answer, number > cloud.deleted ? 200 : 404, text);
    } else {
        cloud_world_say(answer, 200, "{\"id\": \"base\", \"status\": \"active\"}");
    }
}

static void make_image(struct cloud_peer_answer *answer)
{
    snprintf(text, sizeof(text), "{\"image_id\": \"img-%u\"}", ++cloud.made);
    cloud_world_say(answer, 202, text);
}

static bool answers(void *context, const struct cloud_peer_request *request,
                    struct cloud_peer_answer *answer)
{
    const char *line = request->line;
    bool posts = strncmp(line, "POST", 4) == 0;
    if (posts && request->body == NULL)
        return false;
    if (strstr(line, "/auth/tokens") != NULL) {
        cloud_world_give_token(&world, answer);
    } else if (strstr(line, "/os-instance-actions") != NULL) {
        list_actions(answer);
    } else if (strstr(line, "/os-interface") != NULL) {
        cloud_world_say(answer, 200, "{\"interfaceAttachments\": []}");
    } else if (strstr(line, "/networks") != NULL) {
        cloud_world_say(answer, 200, "{\"networks\": []}");
    } else if (posts) {
        make_image(answer);
    } else if (strncmp(line, "DELETE", 6) == 0) {
        cloud.deleted++;
        cloud_world_say(answer, 204, NULL);
    } else if (strstr(line, "/images") != NULL) {
        show_image(line, answer);
    } else {
        cloud_world_say(
            answer, 200,
            "{\"server\": {\"id\": \"" ID "\", \"name\": \"web\", \"status\": \"SHUTOFF\", "
            "\"image\": {\"id\": \"base\"}, \"flavor\": {\"vcpus\": 1, \"ram\": 64, \"disk\": 1, "
            "\"ephemeral\": 0}, \"os-extended-volumes:volumes_attached\": []}}");
    }
    return true;
}

static struct openstack_source *self;
static struct vm *vm;

static int begin(void **state)
{
    struct error err = {0};
    memset(&cloud, 0, sizeof(cloud));
    snprintf(cloud.request, sizeof(cloud.request), "req-stop");
    cloud_world_begin(&world, answers, 1);
    self = xcalloc(1, sizeof(*self));
    self->work = world.work;
    self->session = world.session;
    if (!openstack_source_describe(&self->source, ID, work_arena(world.work), &vm, &err))
        fail_msg("%s", err.text);
    return 0;
}

static int end(void **state)
{
    free(self);
    cloud_world_end(&world);
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

static void a_server_with_another_disk_is_no_longer_as_described(void **state)
{
    struct error err = {0};
    struct source_export *session;
    vm->disks[0].capacity_bytes += 1u << 30;
    assert_false(openstack_export_begin(&self->source, vm, &session, &err));
    assert_ptr_equal(err.fault, &FAULT_VM_CHANGED);
    assert_int_equal(cloud.made, 0);
}

int main(void)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        EACH(a_later_session_of_the_same_server_reads_the_same_image),
        EACH(an_image_of_a_server_that_ran_since_is_not_read_again),
        EACH(a_server_with_another_disk_is_no_longer_as_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
