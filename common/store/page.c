/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/page.h"

#include <sodium.h>
#include <string.h>

#include "common/base/utf8.h"

#define CURSOR_KEY_MOST 1024
#define CURSOR_VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

const char *page_cursor_format(struct arena *arena, const struct page_cursor *cursor)
{
    size_t key = cursor->key != NULL ? strlen(cursor->key) : 0;
    size_t length = UUID_BYTES + key;
    uint8_t *bytes = arena_alloc(arena, length);
    memcpy(bytes, cursor->id.bytes, UUID_BYTES);
    if (key > 0)
        memcpy(bytes + UUID_BYTES, cursor->key, key);
    size_t size = sodium_base64_encoded_len(length, CURSOR_VARIANT);
    return sodium_bin2base64(arena_alloc(arena, size), size, bytes, length, CURSOR_VARIANT);
}

static bool is_text(const uint8_t *bytes, size_t length)
{
    size_t at = 0, size = 1;
    while (at < length && size > 0) {
        size = bytes[at] == '\0' ? 0 : utf8_character((const char *)bytes + at, length - at);
        at += size;
    }
    return at == length;
}

bool page_cursor_parse(struct arena *arena, const char *text, struct page_cursor *ret_cursor,
                       struct error *err)
{
    uint8_t bytes[UUID_BYTES + CURSOR_KEY_MOST];
    size_t length = 0;
    struct page_cursor cursor;
    if (sodium_base642bin(bytes, sizeof(bytes), text, strlen(text), NULL, &length, NULL,
                          CURSOR_VARIANT) != 0 ||
        length < UUID_BYTES || !is_text(bytes + UUID_BYTES, length - UUID_BYTES) ||
        !uuid_from_bytes(bytes, UUID_BYTES, &cursor.id))
        return error_set(err, &FAULT_INVALID, "\"%.64s\" is no cursor of a page", text);
    cursor.key = arena_strndup(arena, (const char *)bytes + UUID_BYTES, length - UUID_BYTES);
    *ret_cursor = cursor;
    return true;
}

bool page_limit(const struct page *page, size_t *ret_most, struct error *err)
{
    if (page->most > PAGE_MOST)
        return error_set(err, &FAULT_INVALID, "a page holds at most %d rows, not %zu", PAGE_MOST,
                         page->most);
    *ret_most = (page->most == 0 ? PAGE_STANDARD : page->most) + 1;
    return true;
}
