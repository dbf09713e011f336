/* SPDX-License-Identifier: Apache-2.0 */
#include "api/keystone.h"

#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/openstack/session.h"
#include "proto/fault.h"

#define LOOKUPS_MOST 512 /* tokens that are asked about or wait to be */
#define THREADS_MOST 16
#define UNSURE_MS 1000      /* how long what could not be learned is not asked again */
#define REFUSED_US_MS 10000 /* the same where Keystone refuses our own user */

struct waiter {
    struct http_later *later;
    struct waiter *next;
};

struct lookup {
    uint8_t hash[AUTH_HASH_BYTES];
    struct secret *token;
    struct waiter *waiters;
    bool taken; /* by a thread */
    struct lookup *next;
};

struct keystone {
    const struct keystone_settings *settings;
    struct cloud cloud; /* borrows all from the settings */
    struct auth_cache *cache;
    uint8_t hash_key[crypto_generichash_KEYBYTES];
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    struct lookup *lookups; /* oldest first */
    size_t lookup_count;
    uint64_t away_until_ms; /* until then nobody is asked */
    bool lost;              /* was told in the log */
    atomic_bool ending;
    pthread_t threads[THREADS_MOST];
    size_t thread_count;
};

/* -- lookups: the list, with the mutex held ----------------------------------------------------- */

static struct lookup *lookup_find(struct keystone *keystone, const uint8_t *hash)
{
    for (struct lookup *lookup = keystone->lookups; lookup != NULL; lookup = lookup->next)
        if (memcmp(lookup->hash, hash, AUTH_HASH_BYTES) == 0)
            return lookup;
    return NULL;
}

static struct lookup *lookup_add(struct keystone *keystone, const uint8_t *hash, const char *token)
{
    struct lookup *lookup = xcalloc(1, sizeof(*lookup)), **last = &keystone->lookups;
    memcpy(lookup->hash, hash, AUTH_HASH_BYTES);
    lookup->token = secret_new(token, strlen(token));
    while (*last != NULL)
        last = &(*last)->next;
    *last = lookup;
    keystone->lookup_count++;
    pthread_cond_signal(&keystone->wanted);
    return lookup;
}

static struct lookup *lookup_waiting(struct keystone *keystone)
{
    struct lookup *lookup = keystone->lookups;
    while (lookup != NULL && lookup->taken)
        lookup = lookup->next;
    return lookup;
}

static void lookup_unlink(struct keystone *keystone, struct lookup *lookup)
{
    struct lookup **place = &keystone->lookups;
    while (*place != lookup)
        place = &(*place)->next;
    *place = lookup->next;
    keystone->lookup_count--;
}

/* Those that no thread has begun with, taken out of the list. */
static struct lookup *lookups_take_waiting(struct keystone *keystone)
{
    struct lookup *taken = NULL, *lookup;
    while ((lookup = lookup_waiting(keystone)) != NULL) {
        lookup_unlink(keystone, lookup);
        lookup->next = taken;
        taken = lookup;
    }
    return taken;
}

/* Without the mutex: the requests are handled again, and find what was learned. */
static void lookup_release(struct lookup *lookup)
{
    struct waiter *waiter, *next;
    for (waiter = lookup->waiters; waiter != NULL; waiter = next) {
        next = waiter->next; /* it goes with its request */
        http_later_again(waiter->later);
    }
    secret_free(lookup->token);
    free(lookup);
}

/* -- asking Keystone: in a thread of ours --------------------------------------------------------- */

static bool go_on(void *context, struct error *err)
{
    const struct keystone *keystone = context;
    return !atomic_load(&keystone->ending) || error_set(err, &FAULT_CANCELLED, "the API ends");
}

static bool session_begin(struct keystone *keystone, struct openstack_session **session,
                          struct error *err)
{
    const struct openstack_settings settings = {.cloud = &keystone->cloud,
                                                .agent = "guts-api/" GUTS_VERSION,
                                                .go_on = go_on,
                                                .go_on_context = keystone,
                                                .call_timeout_ms = keystone->settings->timeout_ms,
                                                .retry_timeout_ms = 1};
    return *session != NULL || openstack_open(&settings, session, err);
}

static bool token_show(struct openstack_session *session, const char *token,
                       struct openstack_reply *ret_reply, struct error *err)
{
    static const char name[] = "X-Subject-Token: ";
    char header[sizeof(name) + KEYSTONE_TOKEN_MOST];
    const char *const headers[] = {header};
    const struct openstack_call call = {.method = "GET",
                                        .service = "identity",
                                        .path = "/auth/tokens?nocatalog",
                                        .headers = headers,
                                        .header_count = 1,
                                        .once = true};
    snprintf(header, sizeof(header), "%s%s", name, token);
    bool shown = openstack_call(session, &call, ret_reply, err);
    secret_wipe(header, sizeof(header));
    return shown;
}

/* A token may be such that Keystone fails over it; that must not count against all others. */
static bool keystone_fails_for_all(struct openstack_session *session, const struct error *err)
{
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    struct error own = {0};
    const char *token = NULL;
    if (err->fault != &FAULT_UNAVAILABLE && err->fault != &FAULT_IO)
        return true;
    return !openstack_token(session, 1000, &token, &own) ||
           !token_show(session, token, &reply, &own);
}

static bool fact_learn(struct keystone *keystone, struct openstack_session *session,
                       const char *token, struct auth_fact *ret_fact, struct error *err)
{
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    *ret_fact = (struct auth_fact){.kind = AUTH_UNKNOWN};
    if (token_show(session, token, &reply, err))
        return keystone_policy_apply(&keystone->settings->policy,
                                     json_object_get(reply.json, "token"), ret_fact, err);
    return err->fault == &FAULT_NOT_FOUND || err->fault == &FAULT_INVALID;
}

static uint64_t keep_ms_of(const struct keystone *keystone, enum auth_kind kind)
{
    return kind == AUTH_KNOWN     ? keystone->settings->cache_ms
           : kind == AUTH_UNKNOWN ? keystone->settings->refused_ms
                                  : UNSURE_MS;
}

/* How long Keystone is left in peace: 0 while it answers. */
static uint64_t look_up(struct keystone *keystone, struct openstack_session **session,
                        const struct lookup *lookup, struct error *err)
{
    struct auth_fact fact;
    uint64_t away_ms = 0;
    if (!session_begin(keystone, session, err) ||
        !fact_learn(keystone, *session, secret_reveal(lookup->token), &fact, err)) {
        fact = (struct auth_fact){.kind = AUTH_UNSURE};
        log_fault(LOG_DEBUG_LEVEL, "keystone_lookup_failed", err);
        if (*session == NULL || keystone_fails_for_all(*session, err))
            away_ms = err->fault == &FAULT_DENIED ? REFUSED_US_MS : UNSURE_MS;
    }
    auth_cache_write(keystone->cache, lookup->hash, &fact, keep_ms_of(keystone, fact.kind));
    return away_ms;
}

static struct lookup *lookup_take(struct keystone *keystone)
{
    struct lookup *lookup;
    pthread_mutex_lock(&keystone->mutex);
    while ((lookup = lookup_waiting(keystone)) == NULL && !atomic_load(&keystone->ending))
        pthread_cond_wait(&keystone->wanted, &keystone->mutex);
    if (lookup != NULL)
        lookup->taken = true;
    pthread_mutex_unlock(&keystone->mutex);
    return lookup;
}

/* Logs the changes only. */
static void keystone_tell(const struct keystone *keystone, bool lost, const struct error *err)
{
    if (lost && !atomic_load(&keystone->ending))
        log_fault(LOG_WARN_LEVEL, "keystone_lost", err);
    else if (!lost)
        log_info("keystone_reached", "Keystone answers");
}

/* With Keystone away, those that wait their turn need not try for themselves. */
static void lookup_end(struct keystone *keystone, struct lookup *lookup, uint64_t away_ms,
                       const struct error *err)
{
    struct lookup *others = NULL, *next;
    pthread_mutex_lock(&keystone->mutex);
    lookup_unlink(keystone, lookup);
    bool changed = keystone->lost != (away_ms > 0);
    keystone->lost = away_ms > 0;
    if (away_ms > 0) {
        keystone->away_until_ms = clock_mono_ms() + away_ms;
        others = lookups_take_waiting(keystone);
    }
    pthread_mutex_unlock(&keystone->mutex);
    if (changed)
        keystone_tell(keystone, away_ms > 0, err);
    lookup_release(lookup);
    for (; others != NULL; others = next) {
        next = others->next;
        lookup_release(others);
    }
}

static void *lookups_run(void *context)
{
    struct keystone *keystone = context;
    CLEANUP(openstack_closep) struct openstack_session *session = NULL;
    struct lookup *lookup;
    while ((lookup = lookup_take(keystone)) != NULL) {
        struct error err = {0};
        uint64_t away_ms = look_up(keystone, &session, lookup, &err);
        lookup_end(keystone, lookup, away_ms, &err);
    }
    return NULL;
}

/* -- a call ------------------------------------------------------------------------------------------ */

static enum keystone_outcome unavailable(struct error *err, const char *why)
{
    error_set(err, &FAULT_KEYSTONE_UNAVAILABLE, "%s", why);
    return KEYSTONE_FAILED;
}

static enum keystone_outcome outcome_of(const struct auth_fact *fact, struct error *err)
{
    if (fact->kind == AUTH_KNOWN)
        return KEYSTONE_KNOWN;
    if (fact->kind == AUTH_UNSURE)
        return unavailable(err, "Keystone could not say whether the token is valid");
    error_set(err, &FAULT_UNAUTHENTICATED, "Keystone does not know the token, or no longer");
    return KEYSTONE_FAILED;
}

/* With the mutex held. */
static enum keystone_outcome lookup_join(struct keystone *keystone, const uint8_t *hash,
                                         const char *token, const struct http_request *request,
                                         struct error *err)
{
    struct lookup *lookup = lookup_find(keystone, hash);
    if (atomic_load(&keystone->ending))
        return unavailable(err, "the API ends");
    if (lookup == NULL && keystone->away_until_ms > clock_mono_ms())
        return unavailable(err, "Keystone did not answer a moment ago");
    if (lookup == NULL && keystone->lookup_count == LOOKUPS_MOST)
        return unavailable(err, "too many tokens wait to be looked up");
    if (lookup == NULL)
        lookup = lookup_add(keystone, hash, token);
    struct waiter *waiter = arena_alloc(request->arena, sizeof(*waiter));
    *waiter = (struct waiter){.later = http_request_later(request), .next = lookup->waiters};
    lookup->waiters = waiter;
    return KEYSTONE_LATER;
}

static bool token_is_sound(const char *token)
{
    size_t length = strlen(token);
    for (size_t i = 0; i < length && i <= KEYSTONE_TOKEN_MOST; i++)
        if (token[i] <= 0x20 || token[i] >= 0x7f)
            return false;
    return length > 0 && length <= KEYSTONE_TOKEN_MOST;
}

enum keystone_outcome keystone_ask(struct keystone *keystone, const char *token,
                                   const struct http_request *request, struct auth_fact *ret_fact,
                                   struct error *err)
{
    uint8_t hash[AUTH_HASH_BYTES];
    if (!token_is_sound(token)) {
        error_set(err, &FAULT_UNAUTHENTICATED, "the token is not valid");
        return KEYSTONE_FAILED;
    }
    crypto_generichash(hash, sizeof(hash), (const unsigned char *)token, strlen(token),
                       keystone->hash_key, sizeof(keystone->hash_key));
    if (auth_cache_read(keystone->cache, hash, ret_fact))
        return outcome_of(ret_fact, err);
    pthread_mutex_lock(&keystone->mutex);
    enum keystone_outcome outcome = lookup_join(keystone, hash, token, request, err);
    pthread_mutex_unlock(&keystone->mutex);
    return outcome;
}

/* -- life -------------------------------------------------------------------------------------------- */

static struct cloud cloud_of(const struct keystone_settings *settings)
{
    return (struct cloud){.auth = CLOUD_AUTH_PASSWORD,
                          .auth_url = settings->auth_url,
                          .username = settings->user,
                          .user_domain_name = settings->user_domain,
                          .project_name = settings->project,
                          .project_domain_name = settings->project_domain,
                          .cacert = settings->ca[0] != '\0' ? settings->ca : NULL,
                          .cert = settings->certificate[0] != '\0' ? settings->certificate : NULL,
                          .key = settings->key[0] != '\0' ? settings->key : NULL,
                          .password = settings->password,
                          .insecure = settings->insecure};
}

bool keystone_settings_check(const struct keystone_settings *settings, struct error *err)
{
    const struct cloud cloud = cloud_of(settings);
    if (settings->auth_url[0] == '\0')
        return error_set(err, &FAULT_CONFIG, "keystone.auth_url is missing");
    if (settings->password == NULL)
        return error_set(err, &FAULT_CONFIG, "keystone.password_file is missing");
    return cloud_check(&cloud, err);
}

struct keystone *keystone_new(const struct keystone_settings *settings)
{
    struct keystone *keystone = xcalloc(1, sizeof(*keystone));
    keystone->settings = settings;
    keystone->cloud = cloud_of(settings);
    keystone->cache = auth_cache_new((size_t)settings->entries_most);
    randombytes_buf(keystone->hash_key, sizeof(keystone->hash_key));
    pthread_mutex_init(&keystone->mutex, NULL);
    pthread_cond_init(&keystone->wanted, NULL);
    for (int64_t i = 0; i < settings->lookups && i < THREADS_MOST; i++) {
        if (pthread_create(&keystone->threads[i], NULL, lookups_run, keystone) != 0)
            abort(); /* at the start, before anything depends on us */
        keystone->thread_count++;
    }
    return keystone;
}

void keystone_end(struct keystone *keystone)
{
    struct lookup *waiting, *next;
    if (keystone == NULL)
        return;
    pthread_mutex_lock(&keystone->mutex);
    atomic_store(&keystone->ending, true);
    waiting = lookups_take_waiting(keystone);
    pthread_cond_broadcast(&keystone->wanted);
    pthread_mutex_unlock(&keystone->mutex);
    for (; waiting != NULL; waiting = next) {
        next = waiting->next;
        lookup_release(waiting);
    }
}

void keystone_free(struct keystone *keystone)
{
    if (keystone == NULL)
        return;
    keystone_end(keystone);
    for (size_t i = 0; i < keystone->thread_count; i++)
        pthread_join(keystone->threads[i], NULL);
    auth_cache_free(keystone->cache);
    pthread_cond_destroy(&keystone->wanted);
    pthread_mutex_destroy(&keystone->mutex);
    secret_wipe(keystone->hash_key, sizeof(keystone->hash_key));
    free(keystone);
}
