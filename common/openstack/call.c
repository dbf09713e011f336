/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of services: headers, repetition where that does no harm, pages.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/openstack/inside.h"

#define RETRY_TIMEOUT_MS 120000u
#define RETRY_WAIT_MOST_MS 60000u
#define TRIES_MOST 6u
#define PAGES_MOST 20000u
/* Keystone revokes by whole seconds (issued_before >= issued_at): a token of the same second goes too. */
#define REVOKED_SECOND_MS 1100u
#define HEADERS_OWN 5

/* One call with all its tries. */
struct calling {
    struct openstack_session *session;
    const struct openstack_call *call;
    const char *url;
    char what[200]; /* for people */
    char *body;
    unsigned tries;
    unsigned renewals; /* each after a 401 */
    uint64_t until_ms;
    struct http_reply reply;
};

static bool is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static void wipe(char *text, size_t size)
{
    secret_wipe(text, size);
}

/* The headers that say how; their texts live in `texts`. */
struct headers {
    char token[16500];
    char version[64], old_version[64], type[80];
    const char *list[OPENSTACK_HEADERS_MOST + HEADERS_OWN];
    size_t count;
};

static void set_headers(struct headers *headers, const struct openstack_call *call,
                        const char *token)
{
    const char *type = catalogue_type(call->service);
    headers->count = 0;
    snprintf(headers->token, sizeof(headers->token), "X-Auth-Token: %s", token);
    headers->list[headers->count++] = headers->token;
    headers->list[headers->count++] = "Accept: application/json";
    if (call->body != NULL) {
        snprintf(headers->type, sizeof(headers->type), "Content-Type: %s",
                 call->content_type != NULL ? call->content_type : "application/json");
        headers->list[headers->count++] = headers->type;
    }
    if (call->microversion != NULL) {
        snprintf(headers->version, sizeof(headers->version), "OpenStack-API-Version: %s %s", type,
                 call->microversion);
        headers->list[headers->count++] = headers->version;
    }
    if (call->microversion != NULL && strcmp(type, "compute") == 0) {
        snprintf(headers->old_version, sizeof(headers->old_version),
                 "X-OpenStack-Nova-API-Version: %s", call->microversion);
        headers->list[headers->count++] = headers->old_version;
    }
    for (size_t i = 0; i < call->header_count && i < OPENSTACK_HEADERS_MOST; i++)
        headers->list[headers->count++] = call->headers[i];
}

static bool send_once(struct calling *calling, struct error *err)
{
    const struct openstack_call *call = calling->call;
    const struct openstack_settings *settings = &calling->session->settings;
    const char *token;
    if (!openstack_token(calling->session, 0, &token, err) ||
        (!is_safe(call->method) && settings->may_change != NULL &&
         !settings->may_change(settings->may_change_context, err)))
        return false;
    struct headers *headers = xcalloc(1, sizeof(*headers));
    set_headers(headers, call, token);
    struct exchange_plan plan = {
        .method = call->method,
        .url = calling->url,
        .headers = headers->list,
        .header_count = headers->count,
        .body = calling->body,
        .body_length = calling->body != NULL ? strlen(calling->body) : 0,
        .timeout_ms = call->timeout_ms,
    };
    bool good = session_exchange(calling->session, &plan, &calling->reply, err);
    wipe(headers->token, sizeof(headers->token));
    free(headers);
    return good;
}

/* How long to wait before it may be sent again; UINT64_MAX: never. `sent`: an answer came. */
static uint64_t wait_before_again(const struct calling *calling, bool sent, const struct error *err)
{
    const struct http_reply *reply = &calling->reply;
    bool safe = is_safe(calling->call->method);
    uint64_t backoff = clock_backoff_ms(calling->tries, 500, 8000) + 100;
    if (calling->call->once || calling->tries >= TRIES_MOST)
        return UINT64_MAX;
    if (!sent) /* not connected: surely not done */
        return err->fault == &FAULT_UNAVAILABLE || (safe && err->fault == &FAULT_IO) ? backoff
                                                                                     : UINT64_MAX;
    if (reply->status == 429 || (reply->status == 413 && reply->retry_after_s > 0)) {
        uint64_t asked = (uint64_t)reply->retry_after_s * 1000;
        return asked > RETRY_WAIT_MOST_MS ? UINT64_MAX : asked > 0 ? asked : backoff;
    }
    if (reply->status >= 502 && reply->status <= 504 && safe)
        return backoff;
    return UINT64_MAX;
}

static bool is_quota(const struct http_reply *reply)
{
    char message[320];
    answer_message(reply->body.data, reply->body.length, message, sizeof(message));
    return answer_is_quota(reply->status, message);
}

static bool may_renew(const struct calling *calling)
{
    bool renews = calling->session->settings.cloud->auth != CLOUD_AUTH_TOKEN;
    return calling->renewals < (renews ? 2 : 1);
}

static bool renew(struct calling *calling, bool *ret_again, struct error *err)
{
    openstack_forget_token(calling->session);
    if (calling->renewals++ > 0 && !session_wait(calling->session, REVOKED_SECOND_MS, err))
        return false;
    *ret_again = true;
    return error_set(err, &FAULT_DENIED, "%s: the token was refused", calling->what);
}

/* One try; *ret_again says that another may follow. */
static bool try_once(struct calling *calling, bool *ret_again, struct error *err)
{
    bool sent = send_once(calling, err);
    const struct http_reply *reply = &calling->reply;
    *ret_again = false;
    if (sent && reply->status >= 200 && reply->status < 300)
        return true;
    if (sent && reply->status == 401 && may_renew(calling))
        return renew(calling, ret_again, err);
    if (sent)
        answer_fail(reply, calling->call->method, calling->what, err);
    uint64_t wait_ms = wait_before_again(calling, sent, err);
    if (wait_ms == UINT64_MAX || clock_mono_ms() + wait_ms > calling->until_ms ||
        (sent && is_quota(reply)))
        return false;
    calling->tries++;
    struct error stopped = {0};
    *ret_again = session_wait(calling->session, wait_ms, &stopped);
    if (!*ret_again)
        *err = stopped;
    return false;
}

static void give_reply(struct calling *calling, struct openstack_reply *ret_reply)
{
    struct http_reply *reply = &calling->reply;
    if (ret_reply == NULL)
        return;
    openstack_reply_fini(ret_reply);
    ret_reply->status = reply->status;
    snprintf(ret_reply->request_id, sizeof(ret_reply->request_id), "%s", reply->request_id);
    if (reply->body.length > 0)
        ret_reply->json =
            json_loadb(reply->body.data, reply->body.length, JSON_REJECT_DUPLICATES, NULL);
}

bool openstack_call(struct openstack_session *session, const struct openstack_call *call,
                    struct openstack_reply *ret_reply, struct error *err)
{
    struct calling calling = {.session = session, .call = call};
    const char *base;
    uint64_t retry_ms = session->settings.retry_timeout_ms;
    if (!openstack_endpoint(session, call->service, &base, err))
        return false;
    CLEANUP(xfreep) char *url = xasprintf("%s%s", base, call->path);
    calling.url = url;
    snprintf(calling.what, sizeof(calling.what), "%s %s%.*s", call->method,
             catalogue_type(call->service), (int)strcspn(call->path, "?"), call->path);
    calling.until_ms = clock_mono_ms() + (retry_ms > 0 ? retry_ms : RETRY_TIMEOUT_MS);
    if (call->body != NULL)
        calling.body = json_dumps(call->body, JSON_COMPACT);
    bool again = true, good = false;
    while (again)
        good = try_once(&calling, &again, err);
    if (good)
        give_reply(&calling, ret_reply);
    if (calling.body != NULL)
        wipe(calling.body, strlen(calling.body));
    free(calling.body);
    http_reply_fini(&calling.reply);
    return good;
}

void openstack_reply_fini(struct openstack_reply *reply)
{
    json_decref(reply->json);
    *reply = (struct openstack_reply){0};
}

bool openstack_get(struct openstack_session *session, const char *service, const char *path,
                   const char *microversion, const char *name, json_t **ret_json, struct error *err)
{
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    struct openstack_call call = {
        .method = "GET", .service = service, .path = path, .microversion = microversion};
    if (!openstack_call(session, &call, &reply, err))
        return false;
    json_t *json = name != NULL ? json_object_get(reply.json, name) : reply.json;
    if (json == NULL)
        return error_set(err, &FAULT_UNAVAILABLE, "GET %s%.*s: answered without what was asked",
                         service, (int)strcspn(path, "?"), path);
    *ret_json = json_incref(json);
    return true;
}

/* -- pages --------------------------------------------------------------------------------------------- */

/* Each service has its own way to name the next page: {"servers_links": [{"rel": "next"}]}, Glance's
 * "next", Keystone's "links". NULL: it was the last. */
static const char *next_of(const json_t *page, const char *name)
{
    CLEANUP(xfreep) char *links_name = xasprintf("%s_links", name);
    const json_t *links = json_object_get(page, links_name), *each;
    const char *next = json_string_value(json_object_get(page, "next"));
    size_t i;
    json_array_foreach(links, i, each) {
        const char *rel = json_string_value(json_object_get(each, "rel"));
        if (rel != NULL && strcmp(rel, "next") == 0)
            return json_string_value(json_object_get(each, "href"));
    }
    if (next == NULL)
        next = json_string_value(json_object_get(json_object_get(page, "links"), "next"));
    return next;
}

/* Our own path with the query of the link: its host may be one that we cannot reach, or should not. */
static char *next_path(const char *path, const char *link)
{
    const char *query = strchr(link, '?');
    return query != NULL ? xasprintf("%.*s%s", (int)strcspn(path, "?"), path, query) : NULL;
}

bool openstack_each(struct openstack_session *session, const char *service, const char *path,
                    const char *microversion, const char *name, openstack_take *take, void *context,
                    struct error *err)
{
    CLEANUP(xfreep) char *here = xstrdup(path);
    size_t taken = 0;
    for (unsigned page = 0; page < PAGES_MOST; page++) {
        json_t *answer = NULL, *item;
        size_t i;
        if (!openstack_get(session, service, here, microversion, NULL, &answer, err))
            return false;
        const json_t *items = json_object_get(answer, name);
        bool good = true;
        json_array_foreach(items, i, item) {
            good = good && take(context, item, err);
        }
        taken += json_array_size(items);
        const char *link = json_array_size(items) > 0 ? next_of(answer, name) : NULL;
        char *next = link != NULL ? next_path(path, link) : NULL;
        bool end = !good || next == NULL || strcmp(next, here) == 0;
        free(here);
        here = next != NULL ? next : xstrdup("");
        json_decref(answer);
        if (end)
            return good;
        if (taken > OPENSTACK_ITEMS_MOST)
            break;
    }
    return error_set(err, &FAULT_TOO_LARGE, "%s%.*s: more than %u items", service,
                     (int)strcspn(path, "?"), path, OPENSTACK_ITEMS_MOST);
}

char *openstack_escape(struct arena *arena, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char *escaped = arena_alloc(arena, strlen(text) * 3 + 1), *at = escaped;
    for (; *text != '\0'; text++) {
        if (strchr(plain, *text) != NULL)
            *at++ = *text;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*text);
    }
    return escaped;
}
