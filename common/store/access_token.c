/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "tokens".
 */
#include "common/store/access_token.h"

#include <sodium.h>
#include <string.h>

#include "common/store/query.h"
#include "proto/fault.h"

#define PREFIX "guts_"
#define RANDOM_BYTES 32
#define VALID " AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > " STORE_NOW ")"

const char *access_role_name(enum access_role role)
{
    static const char *const names[] = {"none", "reader", "member", "admin"};
    return names[role];
}

enum access_role access_role_parse(const char *name)
{
    for (enum access_role role = ACCESS_READER; role <= ACCESS_ADMIN; role++)
        if (strcmp(name, access_role_name(role)) == 0)
            return role;
    return ACCESS_NONE;
}

void access_token_make(char ret_text[ACCESS_TOKEN_TEXT_SIZE])
{
    uint8_t random[RANDOM_BYTES];
    const size_t prefix = strlen(PREFIX);
    if (sodium_init() < 0)
        abort(); /* no source of randomness */
    randombytes_buf(random, sizeof(random));
    memcpy(ret_text, PREFIX, prefix);
    sodium_bin2base64(ret_text + prefix, ACCESS_TOKEN_TEXT_SIZE - prefix, random, sizeof(random),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(random, sizeof(random));
}

void access_token_hash(const char *text, uint8_t ret_hash[ACCESS_TOKEN_HASH_BYTES])
{
    if (sodium_init() < 0)
        abort(); /* no source of randomness */
    crypto_generichash(ret_hash, ACCESS_TOKEN_HASH_BYTES, (const uint8_t *)text, strlen(text), NULL,
                       0);
}

/* The name of a token that has expired is free again. */
static bool free_name(struct store *store, const char *name, struct error *err)
{
    struct db_value value = db_text(name);
    return db_execute(
        store_db(store),
        "UPDATE tokens SET valid_name = NULL WHERE valid_name = ? AND expires_at <= " STORE_NOW,
        &value, 1, NULL, err);
}

bool access_token_insert(struct store *store, const struct access_token *token,
                         const uint8_t hash[ACCESS_TOKEN_HASH_BYTES], struct error *err)
{
    struct db_value values[] = {db_uuid(&token->id),
                                db_text(token->name),
                                db_bytes(hash, ACCESS_TOKEN_HASH_BYTES),
                                db_text(access_role_name(token->role)),
                                db_text(token->project),
                                token->expires_at != 0 ? db_unsigned(token->expires_at) : db_null(),
                                db_text(token->name)};
    if (free_name(store, token->name, err) &&
        db_execute(store_db(store),
                   "INSERT INTO tokens (id, name, hash, role, project, expires_at, valid_name, "
                   "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, " STORE_NOW ")",
                   values, COUNT_OF(values), NULL, err))
        return true;
    if (err->fault == &FAULT_DB_DUPLICATE)
        error_set(err, &FAULT_NAME_TAKEN, "a valid token is named \"%.255s\"", token->name);
    return false;
}

#define COLUMNS "SELECT id, name, role, project, created_at, expires_at, revoked_at FROM tokens"

static void read_token(const struct db_rows *rows, size_t row, struct access_token *token)
{
    token->id = db_rows_uuid(rows, row, 0);
    token->name = db_rows_text(rows, row, 1);
    token->role = access_role_parse(db_rows_text(rows, row, 2));
    token->project = db_rows_text(rows, row, 3);
    token->created_at = db_rows_unsigned(rows, row, 4);
    token->expires_at = db_rows_unsigned(rows, row, 5);
    token->revoked_at = db_rows_unsigned(rows, row, 6);
}

bool access_token_find(struct store *store, struct arena *arena,
                       const uint8_t hash[ACCESS_TOKEN_HASH_BYTES], struct access_token *ret_token,
                       struct error *err)
{
    struct db_value value = db_bytes(hash, ACCESS_TOKEN_HASH_BYTES);
    struct db_rows *rows;
    if (!db_query(store_db(store), arena, COLUMNS " WHERE hash = ?" VALID, &value, 1, &rows, err))
        return false;
    if (db_rows_count(rows) == 0)
        return error_set(err, &FAULT_NOT_FOUND, "the token is unknown, expired or revoked");
    read_token(rows, 0, ret_token);
    return true;
}

bool access_token_list(struct store *store, struct arena *arena, const struct page *page,
                       struct access_token_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_add(&query, COLUMNS " WHERE 1 = 1");
    if (!query_page_by_id(&query, "id", page, err) || !query_run(&query, store, &rows, err))
        return false;
    struct access_token_list list = {.count = query_page_count(&query, rows)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++)
        read_token(rows, i, &list.items[i]);
    if (list.count > 0)
        list.next = query_page_next(&query, rows, &list.items[list.count - 1].id, "");
    *ret_list = list;
    return true;
}

bool access_token_revoke(struct store *store, const char *name_or_id, struct error *err)
{
    static const char by_id[] = "UPDATE tokens SET revoked_at = COALESCE(revoked_at, " STORE_NOW
                                "), valid_name = NULL WHERE id = ?";
    static const char by_name[] = "UPDATE tokens SET revoked_at = " STORE_NOW
                                  ", valid_name = NULL WHERE valid_name = ?" VALID;
    struct uuid id;
    uint64_t affected = 0;
    struct db_value value;
    if (uuid_parse(name_or_id, &id)) {
        value = db_uuid(&id);
        if (!db_execute(store_db(store), by_id, &value, 1, &affected, err))
            return false;
    }
    value = db_text(name_or_id);
    if (affected == 0 && !db_execute(store_db(store), by_name, &value, 1, &affected, err))
        return false;
    if (affected == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no valid token \"%.255s\"", name_or_id);
    return true;
}
