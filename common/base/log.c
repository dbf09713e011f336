/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/utf8.h"

#define LINE_BYTES 8192
#define SCOPES_MOST 8
#define SCOPE_KEY_BYTES 24
#define SCOPE_VALUE_BYTES 64
/* Scopes as JSON: each byte of a value may take six. */
#define TAIL_BYTES (SCOPES_MOST * (SCOPE_KEY_BYTES + 6 * SCOPE_VALUE_BYTES + 8))

static struct {
    char daemon[64];
    enum log_level least;
    int fd;
} settings = {"guts", LOG_INFO_LEVEL, STDERR_FILENO};

struct scope {
    char key[SCOPE_KEY_BYTES];
    char value[SCOPE_VALUE_BYTES];
};
static _Thread_local struct scope scopes[SCOPES_MOST];
static _Thread_local size_t scope_count;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* A line in the making: what does not fit is dropped, so that its end always fits. */
struct line {
    char *data;
    size_t size;
    size_t length;
};

static bool line_put(struct line *line, const char *data, size_t length)
{
    if (length > line->size - line->length)
        return false;
    memcpy(line->data + line->length, data, length);
    line->length += length;
    return true;
}

/* One character as JSON wants it (RFC 8259, section 7); returns the bytes read, 0: no room. */
static size_t line_put_character(struct line *line, const char *text, size_t length)
{
    unsigned char first = (unsigned char)text[0];
    size_t size = utf8_character(text, length);
    if (size == 0)
        return line_put(line, "\xEF\xBF\xBD", 3) ? 1 : 0; /* U+FFFD */
    if (first >= 0x20 && first != '"' && first != '\\' && first != 0x7F)
        return line_put(line, text, size) ? size : 0;
    char escape[8];
    if (first == '"' || first == '\\')
        snprintf(escape, sizeof(escape), "\\%c", first);
    else
        snprintf(escape, sizeof(escape), "\\u%04x", first);
    return line_put(line, escape, strlen(escape)) ? 1 : 0;
}

static void line_put_text(struct line *line, const char *text)
{
    size_t length = strlen(text);
    while (length > 0) {
        size_t read = line_put_character(line, text, length);
        if (read == 0)
            return;
        text += read;
        length -= read;
    }
}

/* ,"key":"value" with `reserved` bytes kept free behind it. The key is ours: not escaped. */
static void line_put_member(struct line *line, const char *key, const char *value, size_t reserved)
{
    size_t whole = line->size;
    if (line->size - line->length < reserved + strlen(key) + 8)
        return;
    line->size -= reserved + 1;
    line_put(line, ",\"", 2);
    line_put(line, key, strlen(key));
    line_put(line, "\":\"", 3);
    line_put_text(line, value);
    line->size = whole;
    line_put(line, "\"", 1);
}

static void line_put_scopes(struct line *line)
{
    for (size_t i = 0; i < scope_count; i++)
        line_put_member(line, scopes[i].key, scopes[i].value, 0);
}

static void line_send(const struct line *line)
{
    ssize_t written;
    do {
        written = write(settings.fd, line->data, line->length);
    } while (written < 0 && errno == EINTR);
    /* A log that cannot be written has nowhere to say so. */
}

static void log_write(enum log_level level, const char *event, const struct fault *fault,
                      const char *text)
{
    char data[LINE_BYTES];
    char tail_data[TAIL_BYTES];
    char at[CLOCK_TEXT_SIZE];
    struct line line = {data, sizeof(data) - 2, 0};
    struct line tail = {tail_data, sizeof(tail_data), 0};
    line_put_scopes(&tail);
    clock_format(clock_wall_us(), at);
    line_put(&line, "{\"at\":\"", 7);
    line_put(&line, at, strlen(at));
    line_put(&line, "\"", 1);
    line_put_member(&line, "level", level_names[level], tail.length);
    line_put_member(&line, "daemon", settings.daemon, tail.length);
    line_put_member(&line, "event", event, tail.length);
    if (fault != NULL)
        line_put_member(&line, "fault", fault->code, tail.length);
    line_put_member(&line, "text", text, tail.length);
    line_put(&line, tail.data, tail.length);
    line.size = sizeof(data);
    line_put(&line, "}\n", 2);
    line_send(&line);
}

void log_open(const char *daemon, enum log_level least)
{
    snprintf(settings.daemon, sizeof(settings.daemon), "%s", daemon);
    settings.least = least;
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; i < COUNT_OF(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_to_fd(int fd)
{
    settings.fd = fd;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    if (level < settings.least)
        return;
    char text[LINE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_write(level, event, NULL, text);
}

void log_fault(enum log_level level, const char *event, const struct error *err)
{
    if (level >= settings.least)
        log_write(level, event, err->fault != NULL ? err->fault : &FAULT_INTERNAL, err->text);
}

struct log_scope log_scope_begin(const char *key, const char *value)
{
    if (scope_count == SCOPES_MOST)
        return (struct log_scope){false};
    struct scope *scope = &scopes[scope_count++];
    snprintf(scope->key, sizeof(scope->key), "%s", key);
    size_t length = utf8_cut(value, strlen(value), sizeof(scope->value) - 1);
    memcpy(scope->value, value, length);
    scope->value[length] = '\0';
    return (struct log_scope){true};
}

void log_scope_end(struct log_scope *scope)
{
    if (scope->pushed)
        scope_count--;
    scope->pushed = false;
}
