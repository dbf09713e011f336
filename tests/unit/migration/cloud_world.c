/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/migration/cloud_world.h"

#include <stdio.h>
#include <string.h>

#include "common/http/client.h"
#include "fake_work.h"
#include "tests/unit/check.h"

void cloud_world_begin(struct cloud_world *world, cloud_peer_answers *answers, uint32_t attempt)
{
    struct error err = {0};
    http_client_library_begin();
    world->peer = cloud_peer_new(answers, NULL);
    world->credentials = (struct cloud){.auth_url = cloud_peer_url(world->peer),
                                        .username = "u",
                                        .project_name = "p",
                                        .password = secret_new("pass", 4)};
    world->work = fake_work_new(
        &(struct fake_work){.directory = "/tmp", .owner = uuid_new(), .attempt = attempt});
    struct openstack_settings settings = {.cloud = &world->credentials, .agent = "test"};
    assert_true(openstack_open(&settings, &world->session, &err));
}

void cloud_world_end(struct cloud_world *world)
{
    openstack_close(world->session);
    fake_work_free(world->work);
    cloud_fini(&world->credentials);
    cloud_peer_free(world->peer);
}

void cloud_world_say(struct cloud_peer_answer *answer, unsigned status, const char *words)
{
    *answer = (struct cloud_peer_answer){
        .status = status, .body = words, .length = words != NULL ? strlen(words) : 0};
}

void cloud_world_give_token(const struct cloud_world *world, struct cloud_peer_answer *answer)
{
    static char text[1024];
    const char *url = cloud_peer_url(world->peer);
    snprintf(text, sizeof(text),
             "{\"token\": {\"issued_at\": \"2026-01-01T00:00:00.000000Z\", \"expires_at\": "
             "\"2026-01-01T01:00:00.000000Z\", \"project\": {\"id\": \"p1\"}, \"catalog\": ["
             "{\"type\": \"compute\", \"endpoints\": [{\"interface\": \"public\", \"url\": "
             "\"%s/v2.1\"}]}, {\"type\": \"image\", \"endpoints\": [{\"interface\": \"public\", "
             "\"url\": \"%s\"}]}, {\"type\": \"network\", \"endpoints\": [{\"interface\": "
             "\"public\", \"url\": \"%s\"}]}]}}",
             url, url, url);
    cloud_world_say(answer, 201, text);
    answer->headers = "X-Subject-Token: token\r\n";
}
