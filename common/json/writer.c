/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/writer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"

/* For each byte: 0 is written as it is, 1 needs "\u00xx", 2 may begin a longer character, any other
 * is the letter behind a backslash. */
#define CONTROL_BYTES 1, 1, 1, 1, 1, 1, 1, 1
static const char escapes[256] = {
    1,
    1,
    1,
    1,
    1,
    1,
    1,
    1,
    'b',
    't',
    'n',
    1,
    'f',
    'r',
    1,
    1,
    CONTROL_BYTES,
    CONTROL_BYTES,
    ['"'] = '"',
    ['\\'] = '\\',
    [0x7F] = 1,
    [0x80 ... 0xFF] = 2,
};

static void put(struct writer *writer, const char *data, size_t length)
{
    struct buffer *buffer = writer->buffer;
    if (buffer->capacity - buffer->length <= length)
        buffer_reserve(buffer, length);
    memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = '\0';
}

static void put_control(struct writer *writer, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 0x0F]};
    put(writer, escape, sizeof(escape));
}

/* Writes the one character that the table stopped at; returns the bytes read. */
static size_t put_special(struct writer *writer, const char *text, size_t length)
{
    char escape = escapes[(unsigned char)text[0]];
    if (escape == 2) {
        size_t size = utf8_character(text, length);
        if (size == 0)
            put(writer, "\xEF\xBF\xBD", 3);
        else
            put(writer, text, size);
        return size > 0 ? size : 1;
    }
    if (escape == 1) {
        put_control(writer, (unsigned char)text[0]);
    } else {
        const char pair[2] = {'\\', escape};
        put(writer, pair, sizeof(pair));
    }
    return 1;
}

static void put_quoted(struct writer *writer, const char *text, size_t length)
{
    size_t at = 0;
    buffer_reserve(writer->buffer, length + 2);
    put(writer, "\"", 1);
    while (at < length) {
        size_t start = at;
        while (at < length && escapes[(unsigned char)text[at]] == 0)
            at++;
        put(writer, text + start, at - start);
        if (at < length)
            at += put_special(writer, text + at, length - at);
    }
    put(writer, "\"", 1);
}

/* The comma and the key that stand before a value. */
static void put_before(struct writer *writer, const char *key)
{
    if (writer->comma)
        put(writer, ",", 1);
    writer->comma = true;
    if (key == NULL)
        return;
    put_quoted(writer, key, strlen(key));
    put(writer, ":", 1);
}

void writer_init(struct writer *writer, struct buffer *buffer)
{
    *writer = (struct writer){.buffer = buffer};
    buffer_reserve(buffer, 0);
}

static void begin(struct writer *writer, const char *key, const char *bracket)
{
    put_before(writer, key);
    put(writer, bracket, 1);
    writer->comma = false;
    writer->depth++;
}

static void end(struct writer *writer, const char *bracket)
{
    assert(writer->depth > 0);
    put(writer, bracket, 1);
    writer->comma = true;
    writer->depth--;
}

void writer_object_begin(struct writer *writer, const char *key)
{
    begin(writer, key, "{");
}

void writer_object_end(struct writer *writer)
{
    end(writer, "}");
}

void writer_array_begin(struct writer *writer, const char *key)
{
    begin(writer, key, "[");
}

void writer_array_end(struct writer *writer)
{
    end(writer, "]");
}

void writer_text_length(struct writer *writer, const char *key, const char *text, size_t length)
{
    put_before(writer, key);
    if (text == NULL)
        put(writer, "null", 4);
    else
        put_quoted(writer, text, length);
}

void writer_text(struct writer *writer, const char *key, const char *text)
{
    writer_text_length(writer, key, text, text != NULL ? strlen(text) : 0);
}

static void put_number(struct writer *writer, uint64_t number, bool negative)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    if (negative)
        *--at = '-';
    put(writer, at, (size_t)(digits + sizeof(digits) - at));
}

void writer_integer(struct writer *writer, const char *key, int64_t number)
{
    put_before(writer, key);
    put_number(writer, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, number < 0);
}

void writer_unsigned(struct writer *writer, const char *key, uint64_t number)
{
    put_before(writer, key);
    put_number(writer, number, false);
}

/* The shortest text that reads back as the same number; JSON knows no infinities. */
void writer_double(struct writer *writer, const char *key, double number)
{
    char text[40];
    if (!isfinite(number)) {
        writer_null(writer, key);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            break;
    }
    for (char *at = text; *at != '\0'; at++)
        if (*at == ',') /* of the locale */
            *at = '.';
    put_before(writer, key);
    put(writer, text, strlen(text));
}

void writer_bool(struct writer *writer, const char *key, bool value)
{
    put_before(writer, key);
    put(writer, value ? "true" : "false", value ? 4 : 5);
}

void writer_null(struct writer *writer, const char *key)
{
    put_before(writer, key);
    put(writer, "null", 4);
}

void writer_uuid(struct writer *writer, const char *key, const struct uuid *id)
{
    if (uuid_is_nil(id)) {
        writer_null(writer, key);
        return;
    }
    char text[UUID_TEXT_SIZE + 2] = "\"";
    uuid_format(id, text + 1);
    text[UUID_TEXT_SIZE] = '"';
    put_before(writer, key);
    put(writer, text, UUID_TEXT_SIZE + 1);
}

void writer_time(struct writer *writer, const char *key, uint64_t wall_us)
{
    char text[CLOCK_TEXT_SIZE];
    if (wall_us == 0) {
        writer_null(writer, key);
        return;
    }
    clock_format(wall_us, text);
    writer_text_length(writer, key, text, sizeof(text) - 1);
}

void writer_raw(struct writer *writer, const char *key, const char *json)
{
    put_before(writer, key);
    if (json == NULL || json[0] == '\0')
        put(writer, "null", 4);
    else
        put(writer, json, strlen(json));
}
