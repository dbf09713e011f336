/* SPDX-License-Identifier: Apache-2.0
 *
 * What a declaration says of a value beyond its type: the words to choose from, the shape of a list's
 * items, the bounds of a number, the kind of the catalogue in which it is looked for.
 */
#include <string.h>

#include "api/option.h"

static const char *text_of(const json_t *declared, const char *key)
{
    return json_string_value(json_object_get(declared, key));
}

static void check_choices(struct reader *reader, const char *field, const char *choices,
                          const char *value)
{
    size_t length = strlen(value);
    for (const char *at = choices; *at != '\0'; at += strcspn(at, "|"), at += *at == '|')
        if (strcspn(at, "|") == length && strncmp(at, value, length) == 0)
            return;
    reader_complain(reader, field, "must be one of %s", choices);
}

static void check_bounds(struct reader *reader, const char *field, const json_t *declared,
                         json_int_t value)
{
    json_int_t least = json_integer_value(json_object_get(declared, "least"));
    json_int_t most = json_integer_value(json_object_get(declared, "most"));
    if (most > least && (value < least || value > most))
        reader_complain(reader, field, "must be %lld to %lld", (long long)least, (long long)most);
}

/* "SOURCE=NETWORK": what stands in front is never empty, and what the catalogue is asked for neither. */
static const char *split(const char *shape, const char *item)
{
    const char *separator = strpbrk(shape, "=:");
    const char *at = separator != NULL ? strrchr(item, *separator) : NULL;
    return at != NULL && at > item ? at + 1 : NULL;
}

static void check_shape(struct reader *reader, const char *field, const json_t *declared,
                        const char *shape, const json_t *list)
{
    size_t index;
    json_t *item;
    bool may_lack = strchr(shape, '[') != NULL;
    json_array_foreach((json_t *)list, index, item) {
        const char *text = json_string_value(item);
        const char *rest = split(shape, text);
        bool fits = rest != NULL ? *rest != '\0' || text_of(declared, "catalog") == NULL
                                 : may_lack && *text != '\0' && strpbrk(text, "=:") == NULL;
        if (!fits)
            reader_complain(reader, arena_printf(reader->arena, "%s/%zu", field, index),
                            "must be of the shape %s", shape);
    }
}

void option_check_form(struct reader *reader, const char *field, const json_t *declared,
                       const json_t *value)
{
    const char *choices = text_of(declared, "choices"), *shape = text_of(declared, "shape");
    if (choices != NULL && json_is_string(value))
        check_choices(reader, field, choices, json_string_value(value));
    if (json_is_integer(value))
        check_bounds(reader, field, declared, json_integer_value(value));
    if (shape != NULL && json_is_array(value))
        check_shape(reader, field, declared, shape, value);
}

/* -- what must be in the catalogue ------------------------------------------------------------------ */

static void add(struct reader *reader, const json_t *declared, const char *pointer,
                const char *name, struct option_names *names)
{
    if (name == NULL || *name == '\0')
        return;
    names->items[names->count++] =
        (struct option_name){pointer, arena_strdup(reader->arena, text_of(declared, "catalog")),
                             arena_strdup(reader->arena, name)};
}

static void add_items(struct reader *reader, const json_t *declared, const char *pointer,
                      const json_t *list, struct option_names *names)
{
    size_t index;
    json_t *item;
    const char *shape = text_of(declared, "shape");
    json_array_foreach((json_t *)list, index, item) {
        const char *text = json_string_value(item);
        const char *name = shape != NULL ? split(shape, text) : text;
        if (shape == NULL || (name != NULL && strcmp(name, "-") != 0))
            add(reader, declared, arena_printf(reader->arena, "%s/%zu", pointer, index), name,
                names);
    }
}

static size_t count_texts(const json_t *plain)
{
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)plain, name, value)
        count += json_is_array(value) ? json_array_size(value) : 1;
    return count;
}

void option_catalog_names(struct reader *reader, const char *field, const json_t *declared,
                          const json_t *plain, struct option_names *ret_names)
{
    size_t index;
    json_t *one;
    struct option_names names = {
        arena_calloc(reader->arena, count_texts(plain) + 1, sizeof(*names.items)), 0};
    json_array_foreach((json_t *)declared, index, one) {
        const char *name = text_of(one, "name");
        const json_t *value = name != NULL ? json_object_get(plain, name) : NULL;
        if (value == NULL || text_of(one, "catalog") == NULL)
            continue;
        const char *pointer = arena_printf(reader->arena, "%s/%s", field, name);
        if (json_is_array(value))
            add_items(reader, one, pointer, value, &names);
        else
            add(reader, one, pointer, json_string_value(value), &names);
    }
    *ret_names = names;
}
