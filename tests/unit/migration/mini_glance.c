/* SPDX-License-Identifier: Apache-2.0 */
#include "mini_glance.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/client.h"
#include "tests/unit/openstack/cloud_peer.h"

struct mini_glance glance;
static char words[4096], head[256];

static void say(struct cloud_peer_answer *answer, unsigned status, const char *text)
{
    *answer = (struct cloud_peer_answer){
        .status = status, .body = text, .length = text ? strlen(text) : 0};
}

/* -- Keystone -------------------------------------------------------------------------------------------- */

static void give_token(struct cloud_peer_answer *answer)
{
    glance.tokens++;
    snprintf(head, sizeof(head), "X-Subject-Token: token-%u\r\n", glance.tokens);
    snprintf(words, sizeof(words),
             "{\"token\": {\"issued_at\": \"2026-01-01T00:00:00.000000Z\", "
             "\"expires_at\": \"2026-01-01T01:00:00.000000Z\", \"project\": {\"id\": \"p1\"}, "
             "\"catalog\": [{\"type\": \"image\", \"endpoints\": [{\"interface\": \"public\", "
             "\"url\": \"%s/v2\"}]}]}}",
             cloud_peer_url(glance.peer));
    say(answer, 201, words);
    answer->headers = head;
}

static bool is_good_token(const char *request)
{
    char wanted[64];
    snprintf(wanted, sizeof(wanted), "X-Auth-Token: token-%u\r\n", glance.tokens);
    return strstr(request, wanted) != NULL;
}

/* -- images ------------------------------------------------------------------------------------------------ */

struct mini_image *mini_image_find(const char *id)
{
    for (size_t i = 0; i < glance.image_count; i++) {
        if (strcmp(glance.images[i].id, id) == 0)
            return &glance.images[i];
    }
    return NULL;
}

static struct mini_image *add(const char *id)
{
    if (glance.image_count == MINI_IMAGES_MOST)
        abort();
    struct mini_image *image = &glance.images[glance.image_count++];
    snprintf(image->id, sizeof(image->id), "%s", id);
    return image;
}

void mini_image_add(const char *id, const void *bytes, size_t length)
{
    struct mini_image *image = add(id);
    image->bytes = xcalloc(1, length + 1);
    memcpy(image->bytes, bytes, length);
    image->length = length;
}

static void take(char *ret_text, size_t size, const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    snprintf(ret_text, size, "%s", text != NULL ? text : "");
}

static void make_image(const struct cloud_peer_request *request, struct cloud_peer_answer *answer)
{
    json_t *asked = json_loadb(request->body, request->length, 0, NULL);
    const char *id = json_string_value(json_object_get(asked, "id"));
    if (mini_image_find(id) != NULL) {
        say(answer, 409, NULL);
    } else {
        struct mini_image *image = add(id);
        take(image->key, sizeof(image->key), asked, "guts_key");
        take(image->migration, sizeof(image->migration), asked, "guts_migration");
        take(image->format, sizeof(image->format), asked, "disk_format");
        say(answer, 201, "{}");
    }
    json_decref(asked);
}

static void show_image(const struct mini_image *image, struct cloud_peer_answer *answer)
{
    unsigned char digest[crypto_hash_sha512_BYTES];
    char text[2 * sizeof(digest) + 1] = "";
    if (image->bytes != NULL) {
        crypto_hash_sha512(digest, image->bytes, image->length);
        sodium_bin2hex(text, sizeof(text), digest, sizeof(digest));
    }
    if (glance.damages && image->bytes != NULL)
        image->bytes[image->length / 2] ^= 1; /* after it was digested */
    snprintf(words, sizeof(words),
             "{\"id\": \"%s\", \"status\": \"%s\", \"size\": %zu, \"guts_key\": \"%s\", "
             "\"guts_migration\": \"%s\", \"os_hash_algo\": \"%s\", \"os_hash_value\": \"%s\"}",
             image->id, image->bytes != NULL ? "active" : "queued", image->length, image->key,
             image->migration, glance.hash != NULL ? "md5" : "sha512",
             glance.hash != NULL ? glance.hash : text);
    say(answer, 200, words);
}

static void take_bytes(struct mini_image *image, const struct cloud_peer_request *request,
                       struct cloud_peer_answer *answer)
{
    image->bytes = xcalloc(1, request->length + 1);
    memcpy(image->bytes, request->body, request->length);
    image->length = request->length;
    glance.uploads++;
    say(answer, 204, NULL);
}

static void give_bytes(const struct mini_image *image, const char *request,
                       struct cloud_peer_answer *answer)
{
    static char range_head[128];
    unsigned long long first = 0, last = image->length - 1;
    const char *range = strstr(request, "Range: bytes=");
    if (range != NULL && !glance.ranges) {
        say(answer, 400, "Random access is not supported");
        return;
    }
    if (range != NULL)
        sscanf(range, "Range: bytes=%llu-%llu", &first, &last);
    snprintf(range_head, sizeof(range_head), "Content-Range: bytes %llu-%llu/%zu\r\n", first, last,
             image->length);
    *answer = (struct cloud_peer_answer){.status = range != NULL ? 206 : 200,
                                         .headers = range != NULL ? range_head : NULL,
                                         .body = image->bytes + first,
                                         .length = (size_t)(last - first + 1),
                                         .cut = glance.cut};
    glance.downloads++;
    if (glance.cut > 0 && glance.stale_on_cut)
        glance.tokens++;
    if (answer->length > 1)
        glance.cut = 0;
}

/* False: the body is wanted. */
static bool answer_image(const struct cloud_peer_request *request, struct cloud_peer_answer *answer)
{
    char method[8] = "", id[64] = "", rest[16] = "";
    sscanf(request->line, "%7s /v2/images/%40[^/]/%15s", method, id, rest);
    struct mini_image *image = mini_image_find(id);
    bool moves = strcmp(rest, "file") == 0;
    if (moves && glance.refused > 0) {
        glance.refused--;
        say(answer, 401, NULL);
    } else if (image == NULL || image->deleted) {
        say(answer, 404, NULL);
    } else if (strcmp(method, "DELETE") == 0) {
        image->deleted = true;
        say(answer, 204, NULL);
    } else if (!moves) {
        show_image(image, answer);
    } else if (strcmp(method, "GET") == 0) {
        give_bytes(image, request->head, answer);
    } else if (request->body == NULL) {
        return false;
    } else {
        take_bytes(image, request, answer);
    }
    return true;
}

static bool answers(void *context, const struct cloud_peer_request *request,
                    struct cloud_peer_answer *answer)
{
    bool posts = strncmp(request->line, "POST", 4) == 0;
    if (posts && request->body == NULL)
        return false;
    if (strcmp(request->line, "POST /v3/auth/tokens") == 0)
        give_token(answer);
    else if (!is_good_token(request->head))
        say(answer, 401, NULL);
    else if (posts)
        make_image(request, answer);
    else
        return answer_image(request, answer);
    return true;
}

/* -- around tests ---------------------------------------------------------------------------------------------- */

static struct link the_link;

struct link *mini_link(struct work *work)
{
    struct error err = {0};
    the_link = (struct link){.work = work,
                             .cloud = {.auth_url = cloud_peer_url(glance.peer),
                                       .username = "u",
                                       .project_name = "p",
                                       .password = secret_new("pass", 4)},
                             .cacert_fd = -1,
                             .cert_fd = -1,
                             .key_fd = -1};
    struct openstack_settings settings = {.cloud = &the_link.cloud, .agent = "test"};
    if (!openstack_open(&settings, &the_link.session, &err))
        abort();
    return &the_link;
}

void mini_glance_begin(void)
{
    if (sodium_init() < 0)
        abort();
    http_client_library_begin();
    glance = (struct mini_glance){.ranges = true};
    glance.peer = cloud_peer_new(answers, NULL);
}

void mini_glance_end(void)
{
    openstack_close(the_link.session);
    cloud_fini(&the_link.cloud);
    the_link.session = NULL;
    cloud_peer_free(glance.peer);
    for (size_t i = 0; i < glance.image_count; i++)
        free(glance.images[i].bytes);
}
