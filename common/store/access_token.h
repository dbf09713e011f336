/* SPDX-License-Identifier: Apache-2.0
 *
 * Access tokens (table "tokens"): who may call the API, with which role, in which project. Only the
 * BLAKE2b-256 of a token is stored. Not to be mixed up with the token of a job (proto/words.h).
 *
 * Threads: as the store's; access_token_make and _hash from any.
 */
#ifndef GUTS_COMMON_STORE_ACCESS_TOKEN_H
#define GUTS_COMMON_STORE_ACCESS_TOKEN_H

#include "common/store/page.h"
#include "common/store/store.h"

enum access_role { ACCESS_NONE, ACCESS_READER, ACCESS_MEMBER, ACCESS_ADMIN };
const char *access_role_name(enum access_role role);  /* "reader", "member", "admin" */
enum access_role access_role_parse(const char *name); /* ACCESS_NONE for any other */

#define ACCESS_TOKEN_TEXT_SIZE 49 /* "guts_", 43 characters of base64url (32 random bytes), NUL */
#define ACCESS_TOKEN_HASH_BYTES 32
#define ACCESS_TOKEN_TEXT_MOST 256 /* longer ones are hashed by nobody: they are not ours */

struct access_token {
    struct uuid id;
    const char *name;
    enum access_role role;
    const char *project;
    uint64_t created_at;
    uint64_t expires_at; /* 0: never */
    uint64_t revoked_at; /* 0: not */
};
struct access_token_list {
    struct access_token *items;
    size_t count;
    const char *next;
};

/* A new secret text. The caller shows it once and wipes it. */
void access_token_make(char ret_text[ACCESS_TOKEN_TEXT_SIZE]);
void access_token_hash(const char *text, uint8_t ret_hash[ACCESS_TOKEN_HASH_BYTES]);

/* Of `token`: id, name, role, project, expires_at. FAULT_NAME_TAKEN while a token that is neither
 * revoked nor expired has the name. */
bool access_token_insert(struct store *store, const struct access_token *token,
                         const uint8_t hash[ACCESS_TOKEN_HASH_BYTES], struct error *err) MUST_CHECK;
/* The one that is valid now, by the database's clock; else FAULT_NOT_FOUND. */
bool access_token_find(struct store *store, struct arena *arena,
                       const uint8_t hash[ACCESS_TOKEN_HASH_BYTES], struct access_token *ret_token,
                       struct error *err) MUST_CHECK;
bool access_token_list(struct store *store, struct arena *arena, const struct page *page,
                       struct access_token_list *ret_list, struct error *err) MUST_CHECK;
/* By id, or by the name of the one that is valid. FAULT_NOT_FOUND. Revoking twice is no error. */
bool access_token_revoke(struct store *store, const char *name_or_id, struct error *err) MUST_CHECK;

#endif
