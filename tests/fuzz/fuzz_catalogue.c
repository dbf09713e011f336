/* SPDX-License-Identifier: Apache-2.0
 *
 * What Keystone and the services answer: a token with its catalogue, its times, an error's words.
 *
 * sources: common/openstack/answer.c common/openstack/auth.c common/openstack/call.c common/openstack/catalogue.c common/openstack/cloud.c common/openstack/cloud_files.c common/openstack/session.c common/openstack/tree.c common/http/client.c
 * packages: jansson yaml-0.1 libcurl
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/openstack/inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const json_t *token)
{
    static const char *const services[] = {"compute", "volume", "image", "network", "other"};
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        const char *url = catalogue_find(token, services[i], "one", NULL);
        (void)catalogue_find(token, services[i], NULL, "internal");
        if (url != NULL)
            (void)catalogue_has_version(url);
    }
    if (auth_lifetime_s(token) > 400ull * 366 * 24 * 3600 * 100)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned codes[] = {300, 401, 403, 404, 409, 413, 429, 500, 503};
    struct error err = {0};
    char text[320];
    char *body = strndup((const char *)data, size);
    struct http_reply reply = {.body = {.data = body, .length = strlen(body)}};
    json_t *token = json_loadb((const char *)data, size, 0, NULL);
    look_up(token);
    json_decref(token);
    answer_message(body, reply.body.length, text, sizeof(text));
    if (strlen(text) >= sizeof(text))
        abort();
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        reply.status = codes[i];
        if (answer_fail(&reply, "POST", "POST compute/servers", &err) || err.fault == NULL)
            abort();
    }
    free(body);
    return 0;
}
