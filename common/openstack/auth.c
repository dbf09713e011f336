/* SPDX-License-Identifier: Apache-2.0
 *
 * Keystone's tokens, version 3 (Identity API v3, "Authentication and token management").
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/openstack/inside.h"

#define TOKEN_MOST_BYTES 16384u

static json_t *domain_of(const char *id, const char *name)
{
    if (id != NULL)
        return json_pack("{s:s}", "id", id);
    if (name != NULL)
        return json_pack("{s:s}", "name", name);
    return json_pack("{s:s}", "id", "default");
}

static json_t *user_of(const struct cloud *cloud)
{
    if (cloud->user_id != NULL)
        return json_pack("{s:s}", "id", cloud->user_id);
    return json_pack("{s:s, s:o}", "name", cloud->username, "domain",
                     domain_of(cloud->user_domain_id, cloud->user_domain_name));
}

static json_t *identity_by_credential(const struct cloud *cloud)
{
    json_t *credential =
        json_pack("{s:s}", "secret", secret_reveal(cloud->application_credential_secret));
    if (cloud->application_credential_id != NULL) {
        json_object_set_new(credential, "id", json_string(cloud->application_credential_id));
    } else {
        json_object_set_new(credential, "name", json_string(cloud->application_credential_name));
        json_object_set_new(credential, "user", user_of(cloud));
    }
    return json_pack("{s:[s], s:o}", "methods", "application_credential", "application_credential",
                     credential);
}

static json_t *identity_of(const struct cloud *cloud)
{
    switch (cloud->auth) {
    case CLOUD_AUTH_APPLICATION_CREDENTIAL:
        return identity_by_credential(cloud);
    case CLOUD_AUTH_TOKEN:
        return json_pack("{s:[s], s:{s:s}}", "methods", "token", "token", "id",
                         secret_reveal(cloud->token));
    case CLOUD_AUTH_PASSWORD:
        break;
    }
    json_t *user = user_of(cloud);
    json_object_set_new(user, "password", json_string(secret_reveal(cloud->password)));
    return json_pack("{s:[s], s:{s:o}}", "methods", "password", "password", "user", user);
}

/* NULL: none is asked for. An application credential has its own. */
static json_t *scope_of(const struct cloud *cloud)
{
    if (cloud->auth == CLOUD_AUTH_APPLICATION_CREDENTIAL)
        return NULL;
    if (cloud->project_id != NULL)
        return json_pack("{s:{s:s}}", "project", "id", cloud->project_id);
    if (cloud->project_name == NULL)
        return NULL;
    const char *id = cloud->project_domain_id, *name = cloud->project_domain_name;
    if (id == NULL && name == NULL) {
        id = cloud->user_domain_id;
        name = cloud->user_domain_name;
    }
    return json_pack("{s:{s:s, s:o}}", "project", "name", cloud->project_name, "domain",
                     domain_of(id, name));
}

json_t *auth_request(const struct cloud *cloud)
{
    json_t *auth = json_pack("{s:o}", "identity", identity_of(cloud)), *scope = scope_of(cloud);
    if (scope != NULL)
        json_object_set_new(auth, "scope", scope);
    return json_pack("{s:o}", "auth", auth);
}

static time_t time_of(const json_t *token, const char *name)
{
    struct tm parts = {0};
    const char *text = json_string_value(json_object_get(token, name));
    return text != NULL && strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) != NULL ? timegm(&parts) : 0;
}

/* Its clock and ours may differ: only the span counts. */
uint64_t auth_lifetime_s(const json_t *token)
{
    time_t from = time_of(token, "issued_at"), to = time_of(token, "expires_at");
    return from > 0 && to > from ? (uint64_t)(to - from) : 0;
}

static void wipe(char **text)
{
    if (*text != NULL)
        secret_wipe(*text, strlen(*text));
    free(*text);
}

static bool take_token(struct openstack_session *session, const struct http_reply *reply,
                       uint64_t asked_ms, struct error *err)
{
    json_t *answer =
        json_loadb(reply->body.data != NULL ? reply->body.data : "", reply->body.length, 0, NULL);
    json_t *body = json_object_get(answer, "token");
    size_t length = reply->wanted.length;
    if (length == 0 || length > TOKEN_MOST_BYTES || !json_is_object(body)) {
        json_decref(answer);
        return error_set(err, &FAULT_UNAVAILABLE, "\"%s\": answered without a token",
                         session->identity_url);
    }
    openstack_forget_token(session);
    json_decref(session->token_body);
    session->token = secret_new(reply->wanted.data, length);
    session->token_body = json_incref(body);
    session->expires_ms = asked_ms + auth_lifetime_s(body) * 1000;
    json_decref(answer);
    return true;
}

static bool fail(struct openstack_session *session, const struct http_reply *reply,
                 struct error *err)
{
    char what[600];
    if (reply->status == 300 || reply->status == 404)
        return error_set(err, &FAULT_NOT_FOUND, "\"%s\" is no Keystone of version 3",
                         session->identity_url);
    snprintf(what, sizeof(what), "POST \"%.500s\"", session->identity_url);
    answer_fail(reply, "GET", what, err); /* a token more or less does no harm */
    return false;
}

bool session_authenticate(struct openstack_session *session, struct error *err)
{
    const struct openstack_settings *settings = &session->settings;
    static const char *const headers[] = {"Content-Type: application/json",
                                          "Accept: application/json"};
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    if (settings->allow_url != NULL &&
        !settings->allow_url(settings->allow_context, session->identity_url, err))
        return false;
    json_t *request = auth_request(settings->cloud);
    CLEANUP(wipe) char *body = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (body == NULL)
        return error_set(err, &FAULT_CONFIG, "the credentials are no text");
    struct exchange_plan plan = {
        .method = "POST",
        .url = session->tokens_url,
        .headers = headers,
        .header_count = COUNT_OF(headers),
        .body = body,
        .body_length = strlen(body),
        .want_header = "X-Subject-Token",
    };
    uint64_t asked_ms = clock_mono_ms();
    if (!session_exchange(session, &plan, &reply, err)) {
        if (err->fault == &FAULT_UNCERTAIN)
            err->fault = &FAULT_UNAVAILABLE; /* a token more or less does no harm */
        return false;
    }
    if (reply.status < 200 || reply.status > 299)
        return fail(session, &reply, err);
    return take_token(session, &reply, asked_ms, err);
}
