/* SPDX-License-Identifier: Apache-2.0 */
#include "common/json/reader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"

#define DEPTH_MOST 32
#define UNKNOWN_NAME_BYTES 64 /* of a field that nobody asked for, as it is shown */

/* -- parsing ------------------------------------------------------------------------------------ */

/* Counts brackets outside of strings: the parser below would recurse much deeper. */
static bool is_shallow(const char *text, size_t length)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        if (in_string) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                in_string = false;
            continue;
        }
        if (text[i] == '"')
            in_string = true;
        else if ((text[i] == '{' || text[i] == '[') && ++depth > DEPTH_MOST)
            return false;
        else if ((text[i] == '}' || text[i] == ']') && depth > 0)
            depth--;
    }
    return true;
}

json_t *reader_parse(const char *text, size_t length, size_t most, struct error *err)
{
    json_error_t reason;
    if (length > most) {
        error_set(err, &FAULT_TOO_LARGE, "%zu bytes of JSON, at most %zu are read", length, most);
        return NULL;
    }
    if (!is_shallow(text, length)) {
        error_set(err, &FAULT_INVALID, "JSON nested deeper than %d", DEPTH_MOST);
        return NULL;
    }
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &reason);
    if (value == NULL)
        error_set(err, &FAULT_INVALID, "not JSON: line %d, column %d: %s", reason.line,
                  reason.column, reason.text);
    return value;
}

/* -- errors ------------------------------------------------------------------------------------- */

static struct reader *outermost(struct reader *reader)
{
    while (reader->parent != NULL)
        reader = reader->parent;
    return reader;
}

static void complain_at(struct reader *reader, const char *pointer, const char *detail)
{
    struct reader *root = outermost(reader);
    if (root->error_count < READER_ERRORS_MOST)
        root->errors[root->error_count] = (struct reader_error){pointer, detail};
    root->error_count++;
}

static bool has_room(struct reader *reader)
{
    struct reader *root = outermost(reader);
    if (root->error_count < READER_ERRORS_MOST)
        return true;
    root->error_count++; /* counted and not kept: the texts of a hostile body stay bounded */
    return false;
}

void reader_complain(struct reader *reader, const char *field, const char *format, ...)
{
    char text[256];
    if (!has_room(reader))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const char *slash = field[0] != '\0' ? "/" : "";
    complain_at(reader, arena_printf(reader->arena, "%s%s%s", reader->prefix, slash, field),
                arena_strdup(reader->arena, text));
}

/* "a/b~" becomes "a~1b~0" (RFC 6901, section 3); a long name is cut. */
static const char *pointer_escape(struct arena *arena, const char *name)
{
    size_t length = utf8_cut(name, strlen(name), UNKNOWN_NAME_BYTES);
    char *escaped = arena_alloc(arena, 2 * length + 1);
    char *at = escaped;
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '~' || name[i] == '/')
            *at++ = '~';
        *at++ = name[i] == '~' ? '0' : name[i] == '/' ? '1' : name[i];
    }
    return escaped;
}

/* -- readers ------------------------------------------------------------------------------------ */

static void reader_begin(struct reader *reader, struct arena *arena, const json_t *object)
{
    *reader = (struct reader){.arena = arena, .prefix = ""};
    reader->object = json_is_object(object) ? object : NULL;
}

void reader_init(struct reader *reader, struct arena *arena, const json_t *object)
{
    reader_begin(reader, arena, object);
    if (object != NULL && reader->object == NULL)
        reader_complain(reader, "", "must be an object");
}

void reader_child(struct reader *child, struct reader *parent, const char *field,
                  const json_t *object)
{
    reader_begin(child, parent->arena, object);
    child->parent = parent;
    child->prefix = arena_printf(parent->arena, "%s/%s", parent->prefix, field);
    if (object != NULL && child->object == NULL)
        reader_complain(child, "", "must be an object");
}

static bool was_asked_for(const struct reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->seen_count; i++)
        if (strcmp(reader->seen[i], name) == 0)
            return true;
    return false;
}

void reader_finish(struct reader *reader)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)reader->object, name, value) {
        if (!was_asked_for(reader, name) && has_room(reader))
            reader_complain(reader, pointer_escape(reader->arena, name), "is not known");
    }
}

/* The field's value; NULL when it is absent, which is complained of where it is required. A child
 * whose whole object is absent stays silent: its parent has said so. */
static const json_t *field_find(struct reader *reader, const char *field, bool required)
{
    assert(reader->seen_count < COUNT_OF(reader->seen));
    reader->seen[reader->seen_count++] = field;
    const json_t *value = json_object_get(reader->object, field);
    if (value != NULL && !json_is_null(value))
        return value;
    if (required && (reader->object != NULL || reader->parent == NULL))
        reader_complain(reader, field, "is required");
    return NULL;
}

/* -- fields ------------------------------------------------------------------------------------- */

/* jansson has checked the UTF-8. C0, DEL and C1 have no place in names and texts. */
static bool has_control_character(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7F)
            return true;
        if (byte == 0xC2 && (unsigned char)text[i + 1] < 0xA0) /* a NUL stands at the end */
            return true;
    }
    return false;
}

const char *reader_text(struct reader *reader, const char *field, bool required, size_t least,
                        size_t most)
{
    const json_t *value = field_find(reader, field, required);
    if (value == NULL)
        return NULL;
    size_t length = json_string_length(value);
    if (!json_is_string(value))
        reader_complain(reader, field, "must be a string");
    else if (length < least || length > most)
        reader_complain(reader, field, "must have %zu to %zu bytes", least, most);
    else if (has_control_character(json_string_value(value), length))
        reader_complain(reader, field, "must not hold control characters");
    else
        return json_string_value(value);
    return NULL;
}

int64_t reader_integer(struct reader *reader, const char *field, bool required, int64_t standard,
                       int64_t least, int64_t most)
{
    const json_t *value = field_find(reader, field, required);
    if (value == NULL)
        return standard;
    int64_t number = json_integer_value(value);
    if (!json_is_integer(value))
        reader_complain(reader, field, "must be a whole number");
    else if (number < least || number > most)
        reader_complain(reader, field, "must lie between %" PRId64 " and %" PRId64, least, most);
    else
        return number;
    return standard;
}

bool reader_bool(struct reader *reader, const char *field, bool required, bool standard)
{
    const json_t *value = field_find(reader, field, required);
    if (value == NULL)
        return standard;
    if (json_is_boolean(value))
        return json_is_true(value);
    reader_complain(reader, field, "must be true or false");
    return standard;
}

bool reader_uuid(struct reader *reader, const char *field, bool required, struct uuid *ret_id)
{
    const json_t *value = field_find(reader, field, required);
    *ret_id = (struct uuid){{0}};
    if (value == NULL)
        return false;
    if (uuid_parse(json_string_value(value), ret_id))
        return true;
    reader_complain(reader, field, "must be a UUID");
    return false;
}

static void complain_word(struct reader *reader, const char *field, const char *const *words)
{
    char text[200] = "must be one of";
    size_t length = strlen(text);
    for (size_t i = 0; words[i] != NULL && length < sizeof(text); i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s %s", i > 0 ? "," : "",
                                   words[i]);
    reader_complain(reader, field, "%s", text);
}

int reader_word(struct reader *reader, const char *field, bool required, int standard,
                const char *const *words)
{
    const json_t *value = field_find(reader, field, required);
    if (value == NULL)
        return standard;
    const char *text = json_string_value(value);
    for (int i = 0; text != NULL && words[i] != NULL; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    complain_word(reader, field, words);
    return standard;
}

const json_t *reader_object(struct reader *reader, const char *field, bool required)
{
    const json_t *value = field_find(reader, field, required);
    if (value == NULL || json_is_object(value))
        return value;
    reader_complain(reader, field, "must be an object");
    return NULL;
}

const json_t *reader_array(struct reader *reader, const char *field, bool required, size_t most)
{
    const json_t *value = field_find(reader, field, required);
    if (value == NULL)
        return NULL;
    if (!json_is_array(value))
        reader_complain(reader, field, "must be an array");
    else if (json_array_size(value) > most)
        reader_complain(reader, field, "must have at most %zu items", most);
    else
        return value;
    return NULL;
}
