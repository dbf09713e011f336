/* SPDX-License-Identifier: Apache-2.0
 *
 * Fields of answers as text: the looks of columns, readable sizes and durations, harmless text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/output.h"
#include "common/base/memory.h"

void format_bytes(uint64_t bytes, char *ret_text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes;
    size_t unit = 0;
    while (amount >= 1024.0 && unit + 1 < COUNT_OF(units)) {
        amount /= 1024.0;
        unit++;
    }
    snprintf(ret_text, size, unit == 0 || amount >= 100.0 ? "%.0f %s" : "%.1f %s", amount,
             units[unit]);
}

void format_duration(uint64_t duration_s, char *ret_text, size_t size)
{
    uint64_t hours = duration_s / 3600, minutes = duration_s / 60 % 60, seconds = duration_s % 60;
    if (hours > 0)
        snprintf(ret_text, size, "%" PRIu64 "h%02" PRIu64 "m", hours, minutes);
    else if (minutes > 0)
        snprintf(ret_text, size, "%" PRIu64 "m%02" PRIu64 "s", minutes, seconds);
    else
        snprintf(ret_text, size, "%" PRIu64 "s", seconds);
}

/* The bytes of a character of UTF-8 that drives a terminal or turns the direction of a line around
 * (C1 controls, U+200E/F, U+202A–E, U+2066–9); 0: it does neither. */
static size_t unruly(const unsigned char *p)
{
    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
        return 2;
    if (p[0] != 0xe2)
        return 0;
    bool mark = p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xaa && p[2] <= 0xae));
    bool isolate = p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
    return mark || isolate ? 3 : 0;
}

static char *clean_but(const char *text, const char *kept)
{
    char *clean = xstrdup(text);
    for (unsigned char *p = (unsigned char *)clean; *p != '\0'; p++) {
        size_t length = unruly(p);
        if ((*p < 0x20 || *p == 0x7f) && strchr(kept, *p) == NULL)
            *p = *p == '\n' || *p == '\t' ? ' ' : '?';
        memset(p, '?', length);
    }
    return clean;
}

char *output_clean(const char *text)
{
    return clean_but(text, "");
}

char *output_clean_lines(const char *text)
{
    return clean_but(text, "\n");
}

const json_t *output_field(const json_t *object, const char *field)
{
    const json_t *whole = json_object_get(object, field);
    if (whole != NULL)
        return whole;
    char name[128];
    const char *dot = strchr(field, '.');
    if (dot == NULL || (size_t)(dot - field) >= sizeof(name))
        return NULL;
    memcpy(name, field, (size_t)(dot - field));
    name[dot - field] = '\0';
    const json_t *inner = json_object_get(object, name);
    return inner == NULL ? NULL : output_field(inner, dot + 1);
}

const char *output_text(const json_t *object, const char *field)
{
    const char *text = json_string_value(output_field(object, field));
    return text != NULL ? text : "";
}

static char *number_text(uint64_t number, enum column_look look)
{
    char text[64];
    if (look == LOOK_BYTES)
        format_bytes(number, text, sizeof(text));
    else if (look == LOOK_MIB)
        format_bytes(number << 20, text, sizeof(text));
    else
        snprintf(text, sizeof(text), "%" PRIu64, number);
    return xstrdup(text);
}

/* "2026-01-31T23:59:59.123Z" as "2026-01-31 23:59:59". */
static char *time_text(const char *text)
{
    char *pretty = output_clean(text);
    if (strlen(pretty) >= 20 && pretty[10] == 'T') {
        pretty[10] = ' ';
        pretty[19] = '\0';
    }
    return pretty;
}

static char *value_text(const json_t *value, enum column_look look, bool pretty)
{
    if (value == NULL || json_is_null(value))
        return xstrdup("");
    if (json_is_string(value)) {
        if (pretty && look == LOOK_TIME)
            return time_text(json_string_value(value));
        return pretty ? output_clean(json_string_value(value)) : xstrdup(json_string_value(value));
    }
    if (json_is_boolean(value))
        return xstrdup(json_is_true(value) ? "true" : "false");
    if (pretty && json_is_integer(value) && json_integer_value(value) >= 0)
        return number_text((uint64_t)json_integer_value(value), look);
    CLEANUP(xfreep) char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text == NULL)
        return xstrdup("");
    return pretty ? output_clean(text) : xstrdup(text);
}

char *output_field_text(const json_t *object, const struct column *column, bool pretty)
{
    if (column->field[0] == '#')
        return number_text(json_array_size(output_field(object, column->field + 1)), LOOK_PLAIN);
    return value_text(output_field(object, column->field), column->look, pretty);
}
