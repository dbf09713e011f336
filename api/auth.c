/* SPDX-License-Identifier: Apache-2.0 */
#include "api/auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/auth_cache.h"
#include "api/keystone.h"
#include "common/http/server.h"
#include "common/store/access_token.h"
#include "proto/fault.h"

#define CACHE_ENTRIES 512
#define CACHE_MS 3000

enum auth_way { AUTH_NONE, AUTH_TOKEN, AUTH_KEYSTONE };

struct auth {
    enum auth_way way;
    const char *project;          /* of everybody, with "none" */
    struct auth_cache *cache;     /* NULL but with "token" */
    struct keystone *keystone;    /* NULL but with "keystone" */
    const char *www_authenticate; /* heap */
};

static bool way_parse(const char *kind, enum auth_way *ret_way, struct error *err)
{
    static const char *const names[] = {"none", "token", "keystone"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(kind, names[i]) == 0) {
            *ret_way = (enum auth_way)i;
            return true;
        }
    return error_set(err, &FAULT_CONFIG,
                     "api.auth is \"%s\": not \"none\", \"token\" or \"keystone\"", kind);
}

static bool settings_parse(const struct auth_settings *settings, enum auth_way *ret_way,
                           struct error *err)
{
    if (!way_parse(settings->kind, ret_way, err))
        return false;
    if (*ret_way == AUTH_NONE && !http_server_is_loopback(settings->listen))
        return error_set(err, &FAULT_CONFIG,
                         "api.auth is \"none\", which is for loopback only, and http.listen is "
                         "\"%s\"",
                         settings->listen);
    return *ret_way != AUTH_KEYSTONE || keystone_settings_check(settings->keystone, err);
}

bool auth_check(const struct auth_settings *settings, struct error *err)
{
    enum auth_way way;
    return settings_parse(settings, &way, err);
}

static char *challenge_of(const struct auth_settings *settings, enum auth_way way)
{
    const struct keystone_settings *keystone = settings->keystone;
    if (way != AUTH_KEYSTONE)
        return xstrdup("Bearer");
    return xasprintf("Keystone uri=\"%s\"",
                     keystone->www_url[0] != '\0' ? keystone->www_url : keystone->auth_url);
}

bool auth_new(const struct auth_settings *settings, struct auth **ret_auth, struct error *err)
{
    enum auth_way way;
    if (!settings_parse(settings, &way, err))
        return false;
    struct auth *auth = xcalloc(1, sizeof(*auth));
    auth->way = way;
    auth->project = settings->project;
    auth->www_authenticate = challenge_of(settings, way);
    if (way == AUTH_TOKEN)
        auth->cache = auth_cache_new(CACHE_ENTRIES);
    if (way == AUTH_KEYSTONE)
        auth->keystone = keystone_new(settings->keystone);
    *ret_auth = auth;
    return true;
}

void auth_end(struct auth *auth)
{
    keystone_end(auth->keystone);
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    keystone_free(auth->keystone);
    auth_cache_free(auth->cache);
    free((char *)auth->www_authenticate);
    free(auth);
}

const char *auth_challenge(const struct auth *auth)
{
    return auth->www_authenticate;
}

static void identity_set(struct call *call, const struct auth_fact *fact)
{
    call->identity.name = arena_strdup(call->arena, fact->name);
    call->identity.project = arena_strdup(call->arena, fact->project);
    call->identity.role = fact->role;
    call->scope = fact->sees_all ? NULL : call->identity.project;
}

/* "Authorization: Bearer TOKEN" or "X-Auth-Token: TOKEN". */
static const char *token_of(const struct http_request *request)
{
    static const char bearer[] = "Bearer ";
    const char *text = http_request_header(request, "Authorization");
    if (text != NULL && strncasecmp(text, bearer, sizeof(bearer) - 1) == 0)
        return text + sizeof(bearer) - 1;
    return http_request_header(request, "X-Auth-Token");
}

static bool fact_from_store(struct call *call, const uint8_t *hash, struct auth_fact *ret_fact,
                            struct error *err)
{
    struct access_token token;
    if (!access_token_find(call->store, call->arena, hash, &token, err)) {
        if (err->fault == &FAULT_NOT_FOUND)
            error_set(err, &FAULT_UNAUTHENTICATED, "the token is not valid");
        return false;
    }
    *ret_fact = (struct auth_fact){.kind = AUTH_KNOWN,
                                   .expires_at = token.expires_at,
                                   .role = token.role,
                                   .sees_all = token.role == ACCESS_ADMIN};
    snprintf(ret_fact->name, sizeof(ret_fact->name), "%s", token.name);
    snprintf(ret_fact->project, sizeof(ret_fact->project), "%s", token.project);
    return true;
}

static bool identify_by_token(struct auth *auth, struct call *call, const char *text,
                              struct error *err)
{
    uint8_t hash[ACCESS_TOKEN_HASH_BYTES];
    struct auth_fact fact;
    if (text[0] == '\0' || strlen(text) > ACCESS_TOKEN_TEXT_MOST)
        return error_set(err, &FAULT_UNAUTHENTICATED, "the token is not valid");
    access_token_hash(text, hash);
    if (!auth_cache_read(auth->cache, hash, &fact)) {
        if (!fact_from_store(call, hash, &fact, err))
            return false;
        auth_cache_write(auth->cache, hash, &fact, CACHE_MS);
    }
    identity_set(call, &fact);
    return true;
}

static bool identify_by_keystone(struct auth *auth, struct call *call, const char *text,
                                 struct error *err)
{
    struct auth_fact fact;
    switch (keystone_ask(auth->keystone, text, call->request, &fact, err)) {
    case KEYSTONE_FAILED:
        return false;
    case KEYSTONE_LATER:
        call->later = true;
        return false;
    case KEYSTONE_KNOWN:
        break;
    }
    if (fact.project[0] == '\0')
        return error_set(err, &FAULT_FORBIDDEN, "the token is of no project");
    identity_set(call, &fact);
    return true;
}

/* A name that was made to point at loopback (DNS rebinding) must not open an API without tokens. */
static bool host_is_loopback(const struct http_request *request)
{
    char address[300];
    const char *host = http_request_header(request, "Host");
    if (host == NULL || strlen(host) > 256)
        return false;
    const char *bracket = strrchr(host, ']');
    bool has_port = strchr(bracket != NULL ? bracket : host, ':') != NULL;
    snprintf(address, sizeof(address), has_port ? "%s" : "%s:80", host);
    return http_server_is_loopback(address);
}

static bool identify_without_token(struct auth *auth, struct call *call, struct error *err)
{
    if (!host_is_loopback(call->request))
        return error_set(err, &FAULT_FORBIDDEN, "without authentication only loopback is served");
    call->identity = (struct identity){"local", ACCESS_ADMIN, auth->project};
    call->scope = NULL;
    return true;
}

bool auth_identify(struct auth *auth, struct call *call, struct error *err)
{
    if (auth->way == AUTH_NONE)
        return identify_without_token(auth, call, err);
    const char *text = token_of(call->request);
    if (text == NULL)
        return error_set(err, &FAULT_UNAUTHENTICATED, "no token was sent");
    return auth->way == AUTH_TOKEN ? identify_by_token(auth, call, text, err)
                                   : identify_by_keystone(auth, call, text, err);
}

bool auth_permit(const struct call *call, struct error *err)
{
    if (call->identity.role >= call->route->role)
        return true;
    return error_set(err, &FAULT_FORBIDDEN, "%s takes the role \"%s\", and yours is \"%s\"",
                     call->route->pattern, access_role_name(call->route->role),
                     access_role_name(call->identity.role));
}
