/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of an answer's head that matter here.
 * Source: RFC 9110, 8.8 (validators), 14.4 (Content-Range) and 15.3.7 (what a 206 has to repeat).
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "migration/disk/http_inner.h"

/* The value of the line if it is `name`'s, without spaces around it; too long a one counts as none. */
static bool value_of(const char *line, size_t length, const char *name, char *ret, size_t size)
{
    size_t at = strlen(name);
    if (length <= at || strncasecmp(line, name, at) != 0)
        return false;
    while (at < length && (line[at] == ' ' || line[at] == '\t'))
        at++;
    while (length > at && (unsigned char)line[length - 1] <= ' ')
        length--;
    ret[0] = 0;
    if (length - at >= size || memchr(line + at, 0, length - at) != NULL)
        return false;
    memcpy(ret, line + at, length - at);
    ret[length - at] = 0;
    return true;
}

static const char *number(const char *text, uint64_t *ret_number)
{
    uint64_t value = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (value > (UINT64_MAX - 9) / 10)
            return NULL;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *ret_number = value;
    return at > text ? at : NULL;
}

/* "bytes 0-99/1234"; what is not told whole is not told. */
static bool range_parse(const char *text, struct http_head *head)
{
    uint64_t first, last, total;
    const char *at = strncasecmp(text, "bytes ", 6) == 0 ? number(text + 6, &first) : NULL;
    at = at != NULL && *at == '-' ? number(at + 1, &last) : NULL;
    at = at != NULL && *at == '/' ? number(at + 1, &total) : NULL;
    if (at == NULL || *at != 0 || first > last || last >= total)
        return false;
    head->first = first;
    head->last = last;
    head->total = total;
    return true;
}

bool http_head_take(struct http_head *head, const char *line, size_t length)
{
    char text[256];
    size_t bytes = head->bytes + length;
    if (length > HTTP_HEAD_MOST || bytes > HTTP_HEAD_MOST)
        return false;
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0)
        memset(head, 0, sizeof(*head));
    head->bytes = bytes; /* interim answers count too */
    if (value_of(line, length, "Content-Range:", text, sizeof(text)))
        head->has_range = range_parse(text, head);
    if (value_of(line, length, "Content-Length:", text, sizeof(text))) {
        const char *end = number(text, &head->length);
        head->has_length = end != NULL && *end == 0;
    }
    value_of(line, length, "ETag:", head->etag, sizeof(head->etag));
    value_of(line, length, "Last-Modified:", head->modified, sizeof(head->modified));
    return true;
}

bool http_thing_is(const struct http_thing *thing, const struct http_head *head, bool guarded)
{
    const char *now = thing->is_etag ? head->etag : head->modified;
    if (head->total != thing->size_bytes)
        return false;
    if (thing->validator == NULL || (guarded && !thing->is_etag && now[0] == 0))
        return true;
    return strcmp(now, thing->validator) == 0;
}
