/* SPDX-License-Identifier: Apache-2.0 */
#include "api/option.h"

#include <errno.h>
#include <string.h>

#include "common/base/secret.h"
#include "proto/text.h"

#define ADDRESS_NAMES_MOST 16

void option_values_fini(struct option_values *values)
{
    const char *name;
    json_t *secret;
    json_object_foreach(values->secrets, name, secret)
        secret_wipe((void *)json_string_value(secret), json_string_length(secret));
    json_decref(values->plain);
    json_decref(values->secrets);
    *values = (struct option_values){0};
}

static const char *text_of(const json_t *declared, const char *key)
{
    const char *text = json_string_value(json_object_get(declared, key));
    return text != NULL ? text : "";
}

static bool is_declared(const json_t *declared, const char *key)
{
    return json_is_true(json_object_get(declared, key));
}

static const json_t *declaration_find(const json_t *declared, const char *name)
{
    size_t index;
    json_t *one;
    json_array_foreach((json_t *)declared, index, one) {
        if (strcmp(text_of(one, "name"), name) == 0)
            return one;
    }
    return NULL;
}

/* -- one value; each returns NULL after a complaint ---------------------------------------------- */

static json_t *wrong(struct reader *reader, const char *field, const char *what)
{
    reader_complain(reader, field, "%s", what);
    return NULL;
}

static json_t *check_any_text(struct reader *reader, const char *field, const json_t *value,
                              size_t most, bool lines)
{
    if (!json_is_string(value))
        return wrong(reader, field, "must be a string");
    if (json_string_length(value) > most)
        return wrong(reader, field, "is too long");
    if (!text_is_printable(json_string_value(value), lines))
        return wrong(reader, field, "must not hold control characters");
    return json_incref((json_t *)value);
}

static json_t *check_text(struct reader *reader, const char *field, const json_t *value)
{
    return check_any_text(reader, field, value, OPTION_TEXT_MOST, false);
}

static json_t *check_lines(struct reader *reader, const char *field, const json_t *value)
{
    return check_any_text(reader, field, value, OPTION_LINES_MOST, true);
}

static bool path_climbs(const char *path)
{
    for (const char *at = strstr(path, "/.."); at != NULL; at = strstr(at + 1, "/.."))
        if (at[3] == '/' || at[3] == '\0')
            return true;
    return false;
}

static json_t *check_path(struct reader *reader, const char *field, const json_t *value)
{
    json_t *text = check_text(reader, field, value);
    if (text == NULL)
        return NULL;
    const char *path = json_string_value(text);
    if (path[0] == '/' && !path_climbs(path))
        return text;
    json_decref(text);
    return wrong(reader, field, "must be an absolute path without \"..\"");
}

static bool url_has_credentials(const char *rest)
{
    return memchr(rest, '@', strcspn(rest, "/?#")) != NULL;
}

static json_t *check_url(struct reader *reader, const char *field, const json_t *value)
{
    json_t *text = check_text(reader, field, value);
    if (text == NULL)
        return NULL;
    const char *url = json_string_value(text);
    size_t scheme =
        strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    bool sound = scheme > 0 && strncmp(url + scheme, "://", 3) == 0 && url[scheme + 3] != '\0';
    if (sound && !url_has_credentials(url + scheme + 3))
        return text;
    json_decref(text);
    return wrong(reader, field,
                 sound ? "must not hold a user or password" : "must be a URL (scheme://…)");
}

static json_t *check_integer(struct reader *reader, const char *field, const json_t *value)
{
    char *end = NULL;
    const char *text = json_string_value(value);
    if (json_is_integer(value))
        return json_incref((json_t *)value);
    errno = 0;
    long long number = text != NULL && text[0] != '\0' && strchr(" \t+", text[0]) == NULL
                           ? strtoll(text, &end, 10)
                           : 0;
    if (end == NULL || *end != '\0' || errno != 0)
        return wrong(reader, field, "must be a whole number");
    return json_integer(number);
}

static json_t *check_boolean(struct reader *reader, const char *field, const json_t *value)
{
    const char *text = json_string_value(value);
    if (json_is_boolean(value))
        return json_incref((json_t *)value);
    if (text != NULL && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return json_boolean(text[0] == 't');
    return wrong(reader, field, "must be true or false");
}

static json_t *check_list(struct reader *reader, const char *field, const json_t *value)
{
    size_t index;
    json_t *item, *list;
    if (json_is_string(value)) {
        json_t *only = check_text(reader, field, value);
        return only != NULL ? json_pack("[o]", only) : NULL;
    }
    if (!json_is_array(value) || json_array_size(value) > OPTION_ITEMS_MOST)
        return wrong(reader, field, "must be a list of texts");
    list = json_array();
    json_array_foreach((json_t *)value, index, item) {
        const char *name = arena_printf(reader->arena, "%s/%zu", field, index);
        json_t *text = check_text(reader, name, item);
        if (text != NULL)
            json_array_append_new(list, text);
    }
    return list;
}

static json_t *check_secret(struct reader *reader, const char *field, const json_t *value)
{
    if (!json_is_string(value))
        return wrong(reader, field, "must be a string");
    if (json_string_length(value) > OPTION_SECRET_MOST)
        return wrong(reader, field, "is too long");
    /* A copy: it is wiped, and the body that it came from is too. */
    return json_stringn(json_string_value(value), json_string_length(value));
}

static json_t *check_value(struct reader *reader, const char *field, const json_t *declared,
                           const json_t *value)
{
    static const struct {
        const char *type;
        json_t *(*check)(struct reader *reader, const char *field, const json_t *value);
    } checks[] = {
        {"text", check_text},       {"path", check_path},       {"url", check_url},
        {"integer", check_integer}, {"boolean", check_boolean}, {"list", check_list},
        {"lines", check_lines},
    };
    const char *type = text_of(declared, "type");
    if (is_declared(declared, "secret"))
        return check_secret(reader, field, value);
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        if (strcmp(checks[i].type, type) == 0)
            return checks[i].check(reader, field, value);
    return wrong(reader, field, "is of a type that this API does not know");
}

/* -- all of them --------------------------------------------------------------------------------- */

/* "settings/NAME", with the name escaped and cut as a pointer wants it (RFC 6901). */
static const char *pointer_of(struct reader *reader, const char *field, const char *name)
{
    struct buffer text = {0};
    for (size_t i = 0; name[i] != '\0' && i < 64; i++) {
        if (name[i] == '~' || name[i] == '/')
            buffer_append_text(&text, name[i] == '~' ? "~0" : "~1");
        else
            buffer_append(&text, &name[i], 1);
    }
    const char *pointer =
        arena_printf(reader->arena, "%s/%s", field, text.data != NULL ? text.data : "");
    buffer_fini(&text);
    return pointer;
}

static void check_one(struct reader *reader, const char *pointer, const json_t *declared,
                      const char *name, const json_t *value, struct option_values *values)
{
    bool secret = is_declared(declared, "secret");
    if (json_is_null(value)) {
        json_object_set_new(secret ? values->secrets : values->plain, name, json_null());
        return;
    }
    size_t complaints = reader->error_count;
    json_t *checked = check_value(reader, pointer, declared, value);
    if (reader->error_count == complaints && !secret)
        option_check_form(reader, pointer, declared, checked);
    if (checked == NULL)
        checked = json_string(""); /* it was given, though wrong: nobody shall miss it as well */
    json_object_set_new(secret ? values->secrets : values->plain, name, checked);
}

void option_check(struct reader *reader, const char *field, const json_t *declared,
                  const json_t *given, struct option_values *ret_values)
{
    const char *name;
    json_t *value;
    *ret_values = (struct option_values){json_object(), json_object()};
    json_object_foreach((json_t *)given, name, value) {
        const json_t *one = declaration_find(declared, name);
        const char *pointer = pointer_of(reader, field, name);
        if (one == NULL)
            reader_complain(reader, pointer, "is not declared by the driver");
        else
            check_one(reader, pointer, one, name, value, ret_values);
    }
}

void option_require(struct reader *reader, const char *field, const json_t *declared,
                    const json_t *plain, const json_t *secrets)
{
    size_t index;
    json_t *one;
    json_array_foreach((json_t *)declared, index, one) {
        const json_t *object = is_declared(one, "secret") ? secrets : plain;
        const json_t *value = json_object_get(object, text_of(one, "name"));
        if (object != NULL && is_declared(one, "required") &&
            (value == NULL || json_is_null(value)))
            reader_complain(reader, pointer_of(reader, field, text_of(one, "name")), "is required");
    }
}

size_t option_address_names(struct arena *arena, const json_t *declared,
                            const char *const **ret_names)
{
    size_t index, count = 0;
    json_t *one;
    const char **names = arena_calloc(arena, ADDRESS_NAMES_MOST, sizeof(*names));
    json_array_foreach((json_t *)declared, index, one) {
        if (is_declared(one, "address") && !is_declared(one, "secret") &&
            count < ADDRESS_NAMES_MOST)
            names[count++] = arena_strdup(arena, text_of(one, "name"));
    }
    *ret_names = names;
    return count;
}
