/* SPDX-License-Identifier: Apache-2.0
 *
 * Prepared statements of one connection: a hash table by what makes their text, and a list by age of
 * use. They die with the connection.
 */
#include "common/db/inside.h"

#include <assert.h>
#include <string.h>

#define LIST_MARK "%LIST%"

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3ull;
    return hash;
}

static uint64_t key_hash(const struct statement_key *key)
{
    uint64_t hash = 0xcbf29ce484222325ull;
    hash = hash_bytes(hash, key->head, strlen(key->head));
    hash = hash_bytes(hash, text_or_empty(key->row), strlen(text_or_empty(key->row)));
    hash = hash_bytes(hash, text_or_empty(key->tail), strlen(text_or_empty(key->tail)));
    return hash_bytes(hash, &key->repeat, sizeof(key->repeat)) ^ (uint64_t)key->form;
}

static bool key_equal(const struct statement_key *a, const struct statement_key *b)
{
    return a->form == b->form && a->repeat == b->repeat && strcmp(a->head, b->head) == 0 &&
           strcmp(text_or_empty(a->row), text_or_empty(b->row)) == 0 &&
           strcmp(text_or_empty(a->tail), text_or_empty(b->tail)) == 0;
}

static void append_repeated(struct buffer *text, const char *item, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append(text, ",", 1);
        buffer_append_text(text, item);
    }
}

size_t statement_key_lists(const struct statement_key *key)
{
    size_t count = 0;
    if (key->form != STATEMENT_LIST)
        return 0;
    for (const char *at = key->head; (at = strstr(at, LIST_MARK)) != NULL; at += strlen(LIST_MARK))
        count++;
    return count;
}

void statement_key_text(const struct statement_key *key, struct buffer *ret_text)
{
    const char *at = key->head;
    if (key->form == STATEMENT_LIST) {
        for (const char *mark; (mark = strstr(at, LIST_MARK)) != NULL;) {
            buffer_append(ret_text, at, (size_t)(mark - at));
            append_repeated(ret_text, "?", key->repeat);
            at = mark + strlen(LIST_MARK);
        }
    }
    buffer_append_text(ret_text, at);
    if (key->form == STATEMENT_ROWS || key->form == STATEMENT_BULK) {
        append_repeated(ret_text, key->row, key->repeat);
        buffer_append_text(ret_text, text_or_empty(key->tail));
    }
}

struct statement *statement_new(const struct statement_key *key)
{
    struct statement *statement = xcalloc(1, sizeof(*statement));
    statement->hash = key_hash(key);
    statement->key = *key;
    statement->key.head = xstrdup(key->head);
    statement->key.row = key->row != NULL ? xstrdup(key->row) : NULL;
    statement->key.tail = key->tail != NULL ? xstrdup(key->tail) : NULL;
    return statement;
}

void statement_free(struct statement *statement)
{
    if (statement == NULL)
        return;
    if (statement->handle != NULL)
        mysql_stmt_close(statement->handle);
    statement_columns_free(statement);
    free(statement->params);
    free((char *)statement->key.head);
    free((char *)statement->key.row);
    free((char *)statement->key.tail);
    free(statement);
}

static void age_unlink(struct statement_cache *cache, struct statement *statement)
{
    if (statement->newer != NULL)
        statement->newer->older = statement->older;
    else
        cache->newest = statement->older;
    if (statement->older != NULL)
        statement->older->newer = statement->newer;
    else
        cache->oldest = statement->newer;
}

static void age_push(struct statement_cache *cache, struct statement *statement)
{
    statement->newer = NULL;
    statement->older = cache->newest;
    if (cache->newest != NULL)
        cache->newest->newer = statement;
    cache->newest = statement;
    if (cache->oldest == NULL)
        cache->oldest = statement;
}

static void cache_drop(struct statement_cache *cache, struct statement *statement)
{
    struct statement **link = &cache->buckets[statement->hash % STATEMENT_BUCKETS];
    while (*link != statement)
        link = &(*link)->next_in_bucket;
    *link = statement->next_in_bucket;
    age_unlink(cache, statement);
    cache->count--;
    statement_free(statement);
}

struct statement *statement_cache_find(struct statement_cache *cache,
                                       const struct statement_key *key)
{
    uint64_t hash = key_hash(key);
    struct statement *found = cache->buckets[hash % STATEMENT_BUCKETS];
    while (found != NULL && (found->hash != hash || !key_equal(&found->key, key)))
        found = found->next_in_bucket;
    if (found != NULL && found != cache->newest) {
        age_unlink(cache, found);
        age_push(cache, found);
    }
    return found;
}

void statement_cache_add(struct statement_cache *cache, struct statement *statement)
{
    if (cache->count >= STATEMENTS_MOST)
        cache_drop(cache, cache->oldest);
    struct statement **bucket = &cache->buckets[statement->hash % STATEMENT_BUCKETS];
    statement->next_in_bucket = *bucket;
    *bucket = statement;
    age_push(cache, statement);
    cache->count++;
}

void statement_cache_clear(struct statement_cache *cache)
{
    while (cache->oldest != NULL)
        cache_drop(cache, cache->oldest);
}

static void statement_bindings_make(struct statement *statement)
{
    MYSQL_RES *metadata = mysql_stmt_result_metadata(statement->handle);
    statement->param_count = mysql_stmt_param_count(statement->handle);
    statement->params = xcalloc(statement->param_count + 1, sizeof(MYSQL_BIND));
    if (metadata == NULL)
        return;
    statement_columns_make(statement, metadata);
    mysql_free_result(metadata);
}

struct statement *db_prepare(struct db *db, const struct statement_key *key, struct error *err)
{
    struct statement *statement = statement_cache_find(&db->statements, key);
    if (statement != NULL)
        return statement;
    CLEANUP(buffer_fini) struct buffer text = {0};
    statement_key_text(key, &text);
    statement = statement_new(key);
    statement->handle = mysql_stmt_init(db->mysql);
    if (statement->handle == NULL)
        abort(); /* out of memory */
    if (mysql_stmt_prepare(statement->handle, text.data, text.length) != 0) {
        unsigned number = mysql_stmt_errno(statement->handle);
        db_fail(db, number, mysql_stmt_error(statement->handle), DB_DEED_HARMLESS, err);
        statement_free(statement);
        return NULL;
    }
    statement_bindings_make(statement);
    statement_cache_add(&db->statements, statement);
    return statement;
}

static void bind_value(MYSQL_BIND *bind, const struct db_value *value)
{
    *bind = (MYSQL_BIND){0};
    switch (value->type) {
    case DB_NULL:
        bind->buffer_type = MYSQL_TYPE_NULL;
        return;
    case DB_UNSIGNED:
    case DB_SIGNED:
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->is_unsigned = value->type == DB_UNSIGNED;
        bind->buffer = (void *)&value->number;
        bind->buffer_length = sizeof(value->number);
        return;
    case DB_TEXT:
    case DB_BYTES:
        bind->buffer_type = value->type == DB_TEXT ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
        bind->buffer = (void *)(value->length > 0 ? value->data : "");
        bind->buffer_length = value->length;
        return;
    }
    abort();
}

static void bind_values(struct statement *statement, const struct db_value *values,
                        size_t value_count, const struct db_value *list, size_t list_count)
{
    static const struct db_value nothing = {.type = DB_NULL};
    size_t next = 0, each = statement->key.repeat;
    for (; next < value_count; next++)
        bind_value(&statement->params[next], &values[next]);
    for (; next < statement->param_count; next++) {
        size_t item = (next - value_count) % each;
        const struct db_value *value = list_count == 0     ? &nothing
                                       : item < list_count ? &list[item]
                                                           : &list[list_count - 1];
        bind_value(&statement->params[next], value);
    }
}

bool db_send(struct db *db, struct statement *statement, const struct db_value *values,
             size_t value_count, const struct db_value *list, size_t list_count, enum db_deed deed,
             struct error *err)
{
    size_t listed = statement_key_lists(&statement->key) * statement->key.repeat;
    if (value_count + listed != statement->param_count)
        return error_set(err, &FAULT_INTERNAL, "%zu values for %zu parameters of \"%.100s\"",
                         value_count + listed, statement->param_count, statement->key.head);
    bind_values(statement, values, value_count, list, list_count);
    if ((statement->param_count > 0 &&
         mysql_stmt_bind_param(statement->handle, statement->params) != 0) ||
        mysql_stmt_execute(statement->handle) != 0)
        return db_fail(db, mysql_stmt_errno(statement->handle), mysql_stmt_error(statement->handle),
                       deed, err);
    return true;
}
