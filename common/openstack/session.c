/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/session.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/openstack/inside.h"

#define CALL_TIMEOUT_MS 60000u

#define TOKEN_MARGIN_MS 60000u
#define ANSWER_MOST_BYTES (64u << 20)

/* -- whether to go on ----------------------------------------------------------------------------------- */

bool session_goes_on(struct openstack_session *session, struct error *err)
{
    const struct openstack_settings *settings = &session->settings;
    return settings->go_on == NULL || settings->go_on(settings->go_on_context, err);
}

static bool goes_on(void *context)
{
    struct openstack_session *session = context;
    return session_goes_on(session, &session->stopped);
}

bool session_wait(struct openstack_session *session, uint64_t duration_ms, struct error *err)
{
    while (duration_ms > 0) {
        uint64_t step = duration_ms < 250 ? duration_ms : 250;
        if (!session_goes_on(session, err))
            return false;
        clock_sleep_ms(step);
        duration_ms -= step;
    }
    return session_goes_on(session, err);
}

/* -- the wire ------------------------------------------------------------------------------------------- */

static bool allows(void *context, const struct sockaddr *address)
{
    const struct openstack_session *session = context;
    return openstack_allows(session, session->asked_url, address);
}

bool openstack_allows(const struct openstack_session *session, const char *url,
                      const struct sockaddr *address)
{
    const struct openstack_settings *settings = &session->settings;
    return settings->allow_address == NULL ||
           settings->allow_address(settings->allow_context, url, address);
}

bool session_exchange(struct openstack_session *session, const struct exchange_plan *plan,
                      struct http_reply *ret_reply, struct error *err)
{
    const struct openstack_settings *settings = &session->settings;
    struct http_call call = {
        .method = plan->method,
        .url = plan->url,
        .headers = plan->headers,
        .header_count = plan->header_count,
        .body = plan->body,
        .body_length = plan->body_length,
        .answer_most = ANSWER_MOST_BYTES,
        .total_timeout_ms = plan->timeout_ms > 0            ? plan->timeout_ms
                            : settings->call_timeout_ms > 0 ? settings->call_timeout_ms
                                                            : CALL_TIMEOUT_MS,
        .want_header = plan->want_header,
        .go_on = settings->go_on != NULL ? goes_on : NULL,
        .go_on_context = session,
    };
    session->asked_url = plan->url;
    if (http_client_call(session->client, &call, ret_reply, err))
        return true;
    if (err->fault == &FAULT_CANCELLED && session->stopped.fault != NULL)
        *err = session->stopped;
    return false;
}

/* -- life ------------------------------------------------------------------------------------------------ */

bool openstack_open(const struct openstack_settings *settings,
                    struct openstack_session **ret_session, struct error *err)
{
    const struct cloud *cloud = settings->cloud;
    if (!cloud_check(cloud, err))
        return false;
    struct openstack_session *session = xcalloc(1, sizeof(*session));
    session->settings = *settings;
    session->arena = arena_new();
    struct http_client_settings client = {
        .agent = settings->agent,
        .ca = cloud->cacert,
        .certificate = cloud->cert,
        .key = cloud->key,
        .insecure = cloud->insecure,
        .allow_address = settings->allow_address != NULL ? allows : NULL,
        .allow_context = session,
    };
    session->client = http_client_new(&client);
    size_t length = strlen(cloud->auth_url);
    while (length > 0 && cloud->auth_url[length - 1] == '/')
        length--;
    const char *base = arena_strndup(session->arena, cloud->auth_url, length);
    session->identity_url =
        catalogue_has_version(base) ? base : arena_printf(session->arena, "%s/v3", base);
    session->tokens_url = arena_printf(session->arena, "%s/auth/tokens", session->identity_url);
    *ret_session = session;
    return true;
}

void openstack_close(struct openstack_session *session)
{
    if (session == NULL)
        return;
    http_client_free(session->client);
    secret_free(session->token);
    json_decref(session->token_body);
    arena_free(session->arena);
    free(session);
}

void openstack_closep(struct openstack_session **session)
{
    openstack_close(*session);
    *session = NULL;
}

/* -- the token --------------------------------------------------------------------------------------------- */

void openstack_forget_token(struct openstack_session *session)
{
    secret_free(session->token);
    session->token = NULL;
}

/* Renewed before its end: a minute, or a tenth of its life where that is shorter. Where more is wanted than
 * Keystone gives, one that is as young as that. */
static bool is_good(const struct openstack_session *session, uint64_t valid_ms)
{
    uint64_t life_ms = auth_lifetime_s(session->token_body) * 1000;
    uint64_t margin = life_ms / 10 < TOKEN_MARGIN_MS ? life_ms / 10 : TOKEN_MARGIN_MS;
    if (valid_ms > life_ms - margin)
        valid_ms = life_ms - margin;
    if (valid_ms < margin)
        valid_ms = margin;
    return clock_mono_ms() + valid_ms < session->expires_ms;
}

bool openstack_token(struct openstack_session *session, uint64_t valid_ms, const char **ret_token,
                     struct error *err)
{
    bool known = session->token != NULL;
    bool renews = session->settings.cloud->auth != CLOUD_AUTH_TOKEN;
    if ((!known || (renews && !is_good(session, valid_ms))) && !session_authenticate(session, err))
        return false;
    *ret_token = secret_reveal(session->token);
    return true;
}

const char *openstack_project_id(const struct openstack_session *session)
{
    const json_t *project = json_object_get(session->token_body, "project");
    return json_string_value(json_object_get(project, "id"));
}
