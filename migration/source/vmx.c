/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/vmx.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "migration/source/foreign.h"
#include "proto/fault.h"

#define KEY_MOST 256

struct vmx_entry {
    const char *key;
    const char *value;
    size_t line;
};
struct vmx {
    struct vmx_entry *entries; /* sorted by key, each once */
    size_t count;
};

/* One assignment as it stands in the text. */
struct line {
    const char *key;
    size_t key_length;
    const char *value;
    size_t value_length;
};

static size_t skip_spaces(const char *text, size_t at, size_t end)
{
    while (at < end && (text[at] == ' ' || text[at] == '\t'))
        at++;
    return at;
}

/* Splits `key = "value"`. Nothing to split (an empty line, a comment) leaves key NULL and is fine. */
static bool split_line(const char *text, size_t end, struct line *ret_line)
{
    struct line line = {0};
    while (end > 0 && isspace((unsigned char)text[end - 1]))
        end--;
    size_t at = skip_spaces(text, 0, end);
    if (at == end || text[at] == '#') {
        *ret_line = line;
        return true;
    }
    line.key = text + at;
    while (at < end && text[at] != '=' && text[at] != ' ' && text[at] != '\t')
        at++;
    line.key_length = (size_t)(text + at - line.key);
    at = skip_spaces(text, at, end);
    if (line.key_length == 0 || line.key_length > KEY_MOST || at == end || text[at] != '=')
        return false;
    at = skip_spaces(text, at + 1, end);
    if (at < end && text[at] == '"') {
        line.value = text + at + 1;
        const char *quote = memchr(line.value, '"', end - at - 1);
        if (quote == NULL)
            return false;
        line.value_length = (size_t)(quote - line.value);
        at = skip_spaces(text, at + line.value_length + 2, end);
        if (at < end && text[at] != '#')
            return false;
    } else {
        line.value = text + at;
        line.value_length = end - at;
    }
    *ret_line = line;
    return true;
}

static int hex_digit(char letter)
{
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    letter = (char)tolower((unsigned char)letter);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* |22 stands for '"', |0A for a new line, |7C for '|'. Anything else behind '|' stays as it is. */
static const char *unescape(struct arena *arena, const char *value, size_t length)
{
    char *text = arena_alloc(arena, length + 1);
    size_t kept = 0;
    for (size_t i = 0; i < length; i++) {
        int high = i + 2 < length && value[i] == '|' ? hex_digit(value[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(value[i + 2]) : -1;
        if (low >= 0 && (high > 0 || low > 0)) {
            text[kept++] = (char)(high * 16 + low);
            i += 2;
        } else {
            text[kept++] = value[i];
        }
    }
    text[kept] = '\0';
    return text;
}

static size_t line_end(const char *data, size_t length)
{
    const char *newline = memchr(data, '\n', length);
    return newline != NULL ? (size_t)(newline - data) : length;
}

/* The value of .encoding, which is ASCII in every character set that VMware writes. */
static bool find_charset(const char *data, size_t length, char *ret_name, size_t size)
{
    static const char key[] = ".encoding";
    while (length > 0) {
        size_t end = line_end(data, length);
        struct line line;
        if (split_line(data, end, &line) && line.key_length == strlen(key) &&
            strncasecmp(line.key, key, line.key_length) == 0) {
            snprintf(ret_name, size, "%.*s",
                     (int)(line.value_length < size ? line.value_length : size - 1), line.value);
            return true;
        }
        data += end + (end < length);
        length -= end + (end < length);
    }
    return false;
}

static bool to_utf8(const char *data, size_t length, struct buffer *ret_text, struct error *err)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (length >= 3 && memcmp(data, mark, 3) == 0) {
        data += 3;
        length -= 3;
    }
    char charset[64];
    if (find_charset(data, length, charset, sizeof(charset)))
        return foreign_convert(charset, data, length, ret_text, err);
    /* Before Workstation 5.5 files named no character set: that of the host, most often this. */
    return foreign_convert(foreign_is_utf8(data, length) ? "UTF-8" : "windows-1252", data, length,
                           ret_text, err);
}

static int compare_entries(const void *a, const void *b)
{
    const struct vmx_entry *left = a, *right = b;
    int order = strcasecmp(left->key, right->key);
    if (order == 0)
        order = left->line < right->line ? -1 : left->line > right->line;
    return order;
}

/* A key twice with one value is harmless; with two, VMware itself refuses to start the machine. */
static bool drop_doubles(struct vmx *vmx, struct error *err)
{
    qsort(vmx->entries, vmx->count, sizeof(*vmx->entries), compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < vmx->count; i++) {
        const struct vmx_entry *last = kept > 0 ? &vmx->entries[kept - 1] : NULL;
        if (last == NULL || strcasecmp(last->key, vmx->entries[i].key) != 0)
            vmx->entries[kept++] = vmx->entries[i];
        else if (strcmp(last->value, vmx->entries[i].value) != 0)
            return error_set(err, &FAULT_VM_CONFIG_INVALID,
                             "lines %zu and %zu both set \"%.100s\", to different values",
                             last->line, vmx->entries[i].line, last->key);
    }
    vmx->count = kept;
    return true;
}

static bool take_lines(struct vmx *vmx, const struct buffer *text, struct arena *arena,
                       struct error *err)
{
    const char *rest = text->data;
    size_t left = text->length;
    for (size_t number = 1; left > 0; number++) {
        size_t end = line_end(rest, left);
        struct line line;
        if (number > VMX_LINES_MOST)
            return error_set(err, &FAULT_TOO_LARGE, "it has more than %d lines", VMX_LINES_MOST);
        if (!split_line(rest, end, &line))
            return error_set(err, &FAULT_VM_CONFIG_INVALID, "line %zu is no assignment", number);
        if (line.key != NULL)
            vmx->entries[vmx->count++] = (struct vmx_entry){
                .key = arena_strndup(arena, line.key, line.key_length),
                .value = unescape(arena, line.value, line.value_length),
                .line = number,
            };
        rest += end + (end < left);
        left -= end + (end < left);
    }
    return true;
}

static size_t count_lines(const struct buffer *text)
{
    size_t count = 1;
    for (size_t i = 0; i < text->length; i++)
        count += text->data[i] == '\n';
    return count < VMX_LINES_MOST ? count : VMX_LINES_MOST;
}

static void buffer_finip(struct buffer *buffer)
{
    buffer_fini(buffer);
}

bool vmx_parse(const char *data, size_t length, struct arena *arena, struct vmx **ret_vmx,
               struct error *err)
{
    if (length > VMX_BYTES_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "it has %zu bytes, more than %u", length,
                         VMX_BYTES_MOST);
    if (memchr(data, '\0', length) != NULL)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "it is no text");
    CLEANUP(buffer_finip) struct buffer text = {0};
    if (!to_utf8(data, length, &text, err))
        return false;
    struct vmx *vmx = arena_alloc(arena, sizeof(*vmx));
    vmx->entries = arena_calloc(arena, count_lines(&text), sizeof(*vmx->entries));
    if (!take_lines(vmx, &text, arena, err) || !drop_doubles(vmx, err))
        return false;
    if (vmx->count == 0)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "it is empty");
    *ret_vmx = vmx;
    return true;
}

static int compare_key(const void *key, const void *entry)
{
    return strcasecmp(key, ((const struct vmx_entry *)entry)->key);
}

const char *vmx_find(const struct vmx *vmx, const char *key)
{
    const struct vmx_entry *found =
        bsearch(key, vmx->entries, vmx->count, sizeof(*vmx->entries), compare_key);
    return found != NULL ? found->value : NULL;
}

const char *vmx_findf(const struct vmx *vmx, const char *format, ...)
{
    char key[KEY_MOST];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(key, sizeof(key), format, args);
    va_end(args);
    return length > 0 && length < KEY_MOST ? vmx_find(vmx, key) : NULL;
}

bool vmx_is_true(const char *value, bool standard)
{
    if (value == NULL || value[0] == '\0')
        return standard;
    return strcasecmp(value, "true") == 0 || strcmp(value, "1") == 0 ||
           strcasecmp(value, "yes") == 0 || strcasecmp(value, "on") == 0;
}

bool vmx_has_prefix(const struct vmx *vmx, const char *prefix)
{
    for (size_t i = 0; i < vmx->count; i++) {
        if (strncasecmp(vmx->entries[i].key, prefix, strlen(prefix)) == 0)
            return true;
    }
    return false;
}
