/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens of Keystone's: each is shown to Keystone once by a user of our own, and what it answered is
 * kept until the token ends, at most for the configured time; that a token is none is kept briefly.
 * Lookups happen in threads of their own, one for all calls that carry the same token, so that a
 * Keystone that is slow or away holds up nobody whose token is known. Once it did not answer, calls
 * that would need it fail at once for a second, then it is tried again.
 *
 * Threads: any.
 */
#ifndef GUTS_API_KEYSTONE_H
#define GUTS_API_KEYSTONE_H

#include "api/keystone_policy.h"
#include "common/base/secret.h"
#include "common/http/server.h"

#define KEYSTONE_TOKEN_MOST 8192

struct keystone_settings {
    const char *auth_url, *www_url;
    const char *user, *user_domain, *project, *project_domain;
    struct secret *password;
    const char *ca, *certificate, *key;
    bool insecure;
    uint64_t cache_ms, refused_ms, timeout_ms;
    int64_t entries_most, lookups;
    struct keystone_policy policy;
};
extern const struct conf_key keystone_conf_keys[];
extern const size_t keystone_conf_key_count;

/* FAULT_CONFIG names what is missing or wrong. */
bool keystone_settings_check(const struct keystone_settings *settings,
                             struct error *err) MUST_CHECK;

struct keystone;
struct keystone *keystone_new(const struct keystone_settings *settings);
/* Lets everybody go who waits. Then keystone_free, once no request is under way any more. */
void keystone_end(struct keystone *keystone);
void keystone_free(struct keystone *keystone);

enum keystone_outcome {
    KEYSTONE_KNOWN,  /* ret_fact */
    KEYSTONE_FAILED, /* err: FAULT_UNAUTHENTICATED, FAULT_KEYSTONE_UNAVAILABLE */
    KEYSTONE_LATER, /* the request is suspended; its handler is called once more. Touch it no more. */
};
enum keystone_outcome keystone_ask(struct keystone *keystone, const char *token,
                                   const struct http_request *request, struct auth_fact *ret_fact,
                                   struct error *err) MUST_CHECK;

#endif
