/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects and lists within a field, as people read them. */
#include <string.h>

#include "client/cli/output.h"
#include "common/base/memory.h"

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

enum column_look output_look(const char *key)
{
    if (ends_with(key, "_bytes"))
        return LOOK_BYTES;
    if (ends_with(key, "_mib"))
        return LOOK_MIB;
    return ends_with(key, "_at") ? LOOK_TIME : LOOK_PLAIN;
}

static bool is_empty(const json_t *value)
{
    return value == NULL || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

/* "number 0, capacity_bytes 64.0 MiB": what is empty is left out. */
static void add_members(struct buffer *text, const json_t *object, const char *between,
                        const char *mark)
{
    const char *key;
    json_t *value;
    size_t shown = 0;
    json_object_foreach((json_t *)object, key, value) {
        if (is_empty(value))
            continue;
        CLEANUP(xfreep) char *name = output_clean(key);
        json_t *holder = json_pack("{sO}", "it", value);
        struct column column = {"it", "it", output_look(key)};
        CLEANUP(xfreep) char *shown_value = output_field_text(holder, &column, true);
        json_decref(holder);
        buffer_printf(text, "%s%s%s%s", shown++ > 0 ? between : "", name, mark, shown_value);
    }
}

static bool has_blanks(const json_t *array)
{
    size_t index;
    json_t *value;
    json_array_foreach((json_t *)array, index, value)
        if (!json_is_string(value) || strchr(json_string_value(value), ' ') != NULL)
            return true;
    return false;
}

char *output_nested_text(const json_t *value)
{
    struct buffer text = {0};
    buffer_append_text(&text, "");
    if (json_is_object(value)) {
        add_members(&text, value, "\n", ": ");
    } else {
        const char *between = has_blanks(value) ? "\n" : ", ";
        size_t index;
        json_t *element;
        json_array_foreach((json_t *)value, index, element) {
            buffer_append_text(&text, index > 0 ? between : "");
            if (json_is_object(element)) {
                add_members(&text, element, ", ", " ");
                continue;
            }
            json_t *holder = json_pack("{sO}", "it", element);
            CLEANUP(xfreep)
            char *one = output_field_text(holder, &(struct column){"it", "it", LOOK_PLAIN}, true);
            json_decref(holder);
            buffer_append_text(&text, one);
        }
    }
    char *heap = xstrdup(text.data != NULL ? text.data : "");
    buffer_fini(&text);
    return heap;
}
