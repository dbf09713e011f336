/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/seals.h"

#include <assert.h>
#include <string.h>

#define SEALS_VERSION 1

/* A text behind its length byte. */
static bool read_text(const unsigned char *bytes, size_t length, size_t *position, char *ret_text,
                      size_t size)
{
    size_t most = length - *position;
    if (most == 0 || bytes[*position] == 0 || bytes[*position] >= size ||
        bytes[*position] > most - 1)
        return false;
    size_t text_length = bytes[(*position)++];
    memcpy(ret_text, bytes + *position, text_length);
    ret_text[text_length] = '\0';
    *position += text_length;
    return strlen(ret_text) == text_length;
}

bool seals_next(const void *seals, size_t length, size_t *position, struct seals_item *ret_item)
{
    const unsigned char *bytes = seals;
    size_t at = *position;
    if (at == 0 && (length == 0 || bytes[at++] != SEALS_VERSION))
        return false;
    if (!read_text(bytes, length, &at, ret_item->name, sizeof(ret_item->name)) ||
        !read_text(bytes, length, &at, ret_item->key_id, sizeof(ret_item->key_id)) ||
        length - at < 4)
        return false;
    size_t count = 0;
    for (size_t i = 0; i < 4; i++)
        count = count << 8 | bytes[at++];
    if (count > length - at)
        return false;
    ret_item->seal = bytes + at;
    ret_item->length = count;
    *position = at + count;
    return true;
}

static void put_text(struct buffer *seals, const char *text, size_t size)
{
    size_t length = strlen(text);
    assert(length > 0 && length < size);
    buffer_append(seals, &(char){(char)length}, 1);
    buffer_append(seals, text, length);
}

void seals_add(struct buffer *seals, const struct seals_item *item)
{
    if (seals->length == 0)
        buffer_append(seals, &(char){SEALS_VERSION}, 1);
    put_text(seals, item->name, sizeof(item->name));
    put_text(seals, item->key_id, sizeof(item->key_id));
    for (int shift = 24; shift >= 0; shift -= 8)
        buffer_append(seals, &(char){(char)(item->length >> shift & 0xff)}, 1);
    buffer_append(seals, item->seal, item->length);
}

/* -- opening ------------------------------------------------------------------------------------- */

struct opened {
    struct secret *items[SEALS_MOST];
    size_t count, bytes;
};

static void opened_fini(struct opened *opened)
{
    for (size_t i = 0; i < opened->count; i++)
        secret_free(opened->items[i]);
}

static bool open_each(const struct seal_private *key, const void *seals, size_t length,
                      const struct uuid *owner, const char *address, struct opened *opened,
                      struct error *err)
{
    struct seals_item item;
    size_t position = 0;
    while (opened->count < SEALS_MOST && seals_next(seals, length, &position, &item)) {
        struct secret *secret;
        if (!seal_open(key, item.key_id, item.seal, item.length, owner, address, &secret, err))
            return false;
        opened->items[opened->count++] = secret;
        const char *text = secret_reveal(secret);
        size_t bytes = secret_length(secret);
        if (bytes < 2 || text[0] != '{' || text[bytes - 1] != '}')
            return error_set(err, &FAULT_DENIED, "seal: \"%s\" holds no object", item.name);
        opened->bytes += bytes;
    }
    return position == length ||
           error_set(err, &FAULT_DENIED, "seal: the seals cannot be told apart");
}

/* "{…}" and "{…}" become "{…,…}". The memory is wiped by whoever gets it. */
static size_t join(const struct opened *opened, char *into)
{
    size_t at = 0;
    into[at++] = '{';
    for (size_t i = 0; i < opened->count; i++) {
        size_t bytes = secret_length(opened->items[i]) - 2;
        if (bytes > 0 && at > 1)
            into[at++] = ',';
        memcpy(into + at, secret_reveal(opened->items[i]) + 1, bytes);
        at += bytes;
    }
    into[at++] = '}';
    return at;
}

bool seals_open(const struct seal_private *key, const void *seals, size_t length,
                const struct uuid *owner, const char *address, struct secret **ret_object,
                struct error *err)
{
    CLEANUP(opened_fini) struct opened opened = {.count = 0};
    if (!open_each(key, seals, length, owner, address, &opened, err))
        return false;
    size_t size = opened.bytes + SEALS_MOST + 2;
    CLEANUP(xfreep) char *joined = xcalloc(size, 1);
    *ret_object = secret_new(joined, join(&opened, joined));
    secret_wipe(joined, size);
    return true;
}
