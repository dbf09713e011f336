/* SPDX-License-Identifier: Apache-2.0
 *
 * What is known of tokens, by a hash that nobody outside can foresee: who they are, or that they are
 * good for nothing, or that nobody could say. A table of fixed size: four places a bucket, of which the one that ends first
 * gives way. It asks nobody.
 *
 * Threads: any; its mutex is held for a copy of one entry.
 */
#ifndef GUTS_API_AUTH_CACHE_H
#define GUTS_API_AUTH_CACHE_H

#include "api/call.h"

#define AUTH_HASH_BYTES ACCESS_TOKEN_HASH_BYTES
#define AUTH_NAME_SIZE 256
#define AUTH_PROJECT_SIZE 65

enum auth_kind {
    AUTH_UNKNOWN, /* it is no token, or no longer */
    AUTH_KNOWN,
    AUTH_UNSURE, /* nobody could say */
};

/* What was learned of one token. */
struct auth_fact {
    enum auth_kind kind;
    uint64_t
        expires_at; /* wall clock in us, which ends a known one before its time here; 0: never */
    enum access_role role;
    bool sees_all; /* rows of all projects */
    char name[AUTH_NAME_SIZE];
    char project[AUTH_PROJECT_SIZE]; /* "": of none */
};

struct auth_cache;
struct auth_cache *auth_cache_new(size_t entries_most);
void auth_cache_free(struct auth_cache *cache);
/* Whether something that still counts is known; copied into ret_fact. */
bool auth_cache_read(struct auth_cache *cache, const uint8_t hash[AUTH_HASH_BYTES],
                     struct auth_fact *ret_fact);
void auth_cache_write(struct auth_cache *cache, const uint8_t hash[AUTH_HASH_BYTES],
                      const struct auth_fact *fact, uint64_t keep_ms);

#endif
