/* SPDX-License-Identifier: Apache-2.0 */
#include "api/auth.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/clock.h"
#include "common/http/server.h"
#include "common/store/access_token.h"
#include "proto/fault.h"

#define CACHE_SLOTS 512 /* a slot that two tokens share is just read more often */

struct slot {
    uint8_t hash[ACCESS_TOKEN_HASH_BYTES];
    uint64_t until_ms;
    uint64_t expires_at; /* wall clock; 0: never */
    enum access_role role;
    char name[256];
    char project[65];
};

struct auth {
    bool open; /* "none" */
    const char *project;
    pthread_mutex_t mutex;
    struct slot *slots; /* NULL with "none" */
};

bool auth_new(const char *kind, const char *project, const char *listen, struct auth **ret_auth,
              struct error *err)
{
    bool open = strcmp(kind, "none") == 0;
    if (!open && strcmp(kind, "token") != 0)
        return error_set(err, &FAULT_CONFIG, "api.auth is \"%s\": not \"none\" or \"token\"", kind);
    if (open && !http_server_is_loopback(listen))
        return error_set(err, &FAULT_CONFIG,
                         "api.auth is \"none\", which is for loopback only, and http.listen is "
                         "\"%s\"",
                         listen);
    struct auth *auth = xcalloc(1, sizeof(*auth));
    auth->open = open;
    auth->project = project;
    auth->slots = open ? NULL : xcalloc(CACHE_SLOTS, sizeof(*auth->slots));
    pthread_mutex_init(&auth->mutex, NULL);
    *ret_auth = auth;
    return true;
}

void auth_free(struct auth *auth)
{
    if (auth == NULL)
        return;
    pthread_mutex_destroy(&auth->mutex);
    free(auth->slots);
    free(auth);
}

static struct slot *slot_of(struct auth *auth, const uint8_t *hash)
{
    uint32_t number;
    memcpy(&number, hash, sizeof(number));
    return &auth->slots[number % CACHE_SLOTS];
}

static bool slot_is_good(const struct slot *slot, const uint8_t *hash)
{
    return slot->until_ms > clock_mono_ms() &&
           (slot->expires_at == 0 || slot->expires_at > clock_wall_us()) &&
           memcmp(slot->hash, hash, sizeof(slot->hash)) == 0;
}

static bool cache_read(struct auth *auth, struct call *call, const uint8_t *hash)
{
    pthread_mutex_lock(&auth->mutex);
    const struct slot *slot = slot_of(auth, hash);
    bool good = slot_is_good(slot, hash);
    if (good) {
        call->identity.name = arena_strdup(call->arena, slot->name);
        call->identity.project = arena_strdup(call->arena, slot->project);
        call->identity.role = slot->role;
    }
    pthread_mutex_unlock(&auth->mutex);
    return good;
}

static void cache_write(struct auth *auth, const uint8_t *hash, const struct access_token *token)
{
    pthread_mutex_lock(&auth->mutex);
    struct slot *slot = slot_of(auth, hash);
    memcpy(slot->hash, hash, sizeof(slot->hash));
    slot->until_ms = clock_mono_ms() + AUTH_CACHE_MS;
    slot->expires_at = token->expires_at;
    slot->role = token->role;
    snprintf(slot->name, sizeof(slot->name), "%s", token->name);
    snprintf(slot->project, sizeof(slot->project), "%s", token->project);
    pthread_mutex_unlock(&auth->mutex);
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

static bool identify_by_token(struct auth *auth, struct call *call, struct error *err)
{
    uint8_t hash[ACCESS_TOKEN_HASH_BYTES];
    struct access_token token;
    const char *text = token_of(call->request);
    if (text == NULL)
        return error_set(err, &FAULT_UNAUTHENTICATED, "no token was sent");
    if (text[0] == '\0' || strlen(text) > ACCESS_TOKEN_TEXT_MOST)
        return error_set(err, &FAULT_UNAUTHENTICATED, "the token is not valid");
    access_token_hash(text, hash);
    if (cache_read(auth, call, hash))
        return true;
    if (!access_token_find(call->store, call->arena, hash, &token, err)) {
        if (err->fault == &FAULT_NOT_FOUND)
            error_set(err, &FAULT_UNAUTHENTICATED, "the token is not valid");
        return false;
    }
    cache_write(auth, hash, &token);
    call->identity = (struct identity){token.name, token.role, token.project};
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

bool auth_identify(struct auth *auth, struct call *call, struct error *err)
{
    if (!auth->open) {
        if (!identify_by_token(auth, call, err))
            return false;
    } else if (host_is_loopback(call->request)) {
        call->identity = (struct identity){"local", ACCESS_ADMIN, auth->project};
    } else {
        return error_set(err, &FAULT_FORBIDDEN, "without authentication only loopback is served");
    }
    call->scope = call->identity.role == ACCESS_ADMIN ? NULL : call->identity.project;
    return true;
}

bool auth_permit(const struct call *call, struct error *err)
{
    if (call->identity.role >= call->route->role)
        return true;
    return error_set(err, &FAULT_FORBIDDEN, "%s takes the role \"%s\", and yours is \"%s\"",
                     call->route->pattern, access_role_name(call->route->role),
                     access_role_name(call->identity.role));
}
