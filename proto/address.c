/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/address.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define NAMES_MOST 16

static bool text_is_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return false;
    return true;
}

static bool add_line(const char *name, const json_t *value, struct buffer *address,
                     struct error *err)
{
    const char *gap = address->length > 0 ? "\n" : "";
    if (json_is_string(value) && text_is_clean(json_string_value(value)))
        buffer_printf(address, "%s%s=%s", gap, name, json_string_value(value));
    else if (json_is_integer(value))
        buffer_printf(address, "%s%s=%" JSON_INTEGER_FORMAT, gap, name, json_integer_value(value));
    else if (json_is_boolean(value))
        buffer_printf(address, "%s%s=%s", gap, name, json_is_true(value) ? "true" : "false");
    else
        return error_set(err, &FAULT_INVALID, "setting \"%s\" cannot be part of an address", name);
    return true;
}

static bool add_setting(const char *name, const json_t *value, struct buffer *address,
                        struct error *err)
{
    size_t index;
    json_t *item;
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_array(value))
        return add_line(name, value, address, err);
    json_array_foreach((json_t *)value, index, item) {
        if (!add_line(name, item, address, err))
            return false;
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool address_of(const json_t *settings, const char *const *names, size_t count,
                struct buffer *ret_address, struct error *err)
{
    const char *sorted[NAMES_MOST];
    CLEANUP(buffer_fini) struct buffer address = {0};
    assert(count <= NAMES_MOST);
    if (count == 0)
        return true;
    memcpy(sorted, names, count * sizeof(*names));
    qsort(sorted, count, sizeof(*sorted), compare_names);
    for (size_t i = 0; i < count; i++)
        if (!add_setting(sorted[i], json_object_get(settings, sorted[i]), &address, err))
            return false;
    if (address.length > ADDRESS_MOST_BYTES)
        return error_set(err, &FAULT_INVALID, "the address is longer than %d bytes",
                         ADDRESS_MOST_BYTES);
    buffer_append(ret_address, address.data, address.length);
    return true;
}
