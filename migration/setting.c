/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/setting.h"

#include <errno.h>
#include <string.h>

#include "common/base/memory.h"

#define TEXT_MOST_BYTES 4096
#define LINES_MOST_BYTES (32u << 10)
#define LIST_MOST_ITEMS 256

struct settings {
    const struct setting *declared;
    size_t count;
    json_t *values;          /* an object: given values and defaults, no secrets */
    struct secret **secrets; /* one for each declared setting, NULL where none was given */
};

const char *setting_type_name(enum setting_type type)
{
    static const char *const names[] = {"text",    "path", "url",  "integer",
                                        "boolean", "list", "lines"};
    return (size_t)type < COUNT_OF(names) ? names[type] : "text";
}

static const struct setting *find(const struct setting *declared, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(declared[i].name, name) == 0)
            return &declared[i];
    }
    return NULL;
}

static bool text_is_clean(const json_t *value, size_t most)
{
    if (!json_is_string(value) || json_string_length(value) > most)
        return false;
    const char *text = json_string_value(value);
    if (strlen(text) != json_string_length(value))
        return false;
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < 0x20 && *at != '\n' && *at != '\t')
            return false;
    }
    return true;
}

static bool list_is_clean(const json_t *value)
{
    if (!json_is_array(value) || json_array_size(value) > LIST_MOST_ITEMS)
        return false;
    size_t index;
    const json_t *item;
    json_array_foreach(value, index, item) {
        if (!text_is_clean(item, TEXT_MOST_BYTES) || !*json_string_value(item))
            return false;
    }
    return true;
}

/* What is wrong with a value, or NULL. */
static const char *complaint(const struct setting *setting, const json_t *value)
{
    switch (setting->type) {
    case SETTING_TEXT:
        return text_is_clean(value, TEXT_MOST_BYTES) ? NULL : "must be a text";
    case SETTING_PATH:
        return text_is_clean(value, TEXT_MOST_BYTES) && json_string_value(value)[0] == '/'
                   ? NULL
                   : "must be an absolute path";
    case SETTING_URL:
        return text_is_clean(value, TEXT_MOST_BYTES) && strstr(json_string_value(value), "://")
                   ? NULL
                   : "must be a URL";
    case SETTING_INTEGER:
        return json_is_integer(value) ? NULL : "must be an integer";
    case SETTING_BOOLEAN:
        return json_is_boolean(value) ? NULL : "must be true or false";
    case SETTING_LIST:
        return list_is_clean(value) ? NULL : "must be a list of texts";
    case SETTING_LINES:
        return text_is_clean(value, LINES_MOST_BYTES) ? NULL : "must be a text, perhaps of lines";
    }
    return "has an unknown type";
}

static void complain(struct buffer *wrong, const char *name, const char *text)
{
    buffer_printf(wrong, "%s\"%s\" %s", wrong->length ? ", " : "", name, text);
}

static void take_values(struct settings *settings, const json_t *values, struct buffer *wrong)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)values, name, value) {
        const struct setting *setting = find(settings->declared, settings->count, name);
        if (!setting || setting->secret) {
            complain(wrong, name, setting ? "is a secret and must be sealed" : "is unknown");
            continue;
        }
        if (json_is_null(value))
            continue;
        const char *text = complaint(setting, value);
        if (text)
            complain(wrong, name, text);
        else
            json_object_set(settings->values, name, value);
    }
}

static void take_secrets(struct settings *settings, const struct secret *secrets,
                         struct buffer *wrong)
{
    if (!secrets)
        return;
    json_t *opened = json_loadb(secret_reveal(secrets), secret_length(secrets), 0, NULL);
    if (!json_is_object(opened)) {
        complain(wrong, "secrets", "must be an object of texts");
        json_decref(opened);
        return;
    }
    const char *name;
    json_t *value;
    json_object_foreach(opened, name, value) {
        const struct setting *setting = find(settings->declared, settings->count, name);
        if (!setting || !setting->secret || !json_is_string(value)) {
            complain(wrong, name, "is not a secret that this driver knows");
            continue;
        }
        struct secret **slot = &settings->secrets[setting - settings->declared];
        secret_free(*slot);
        *slot = secret_new(json_string_value(value), json_string_length(value));
    }
    json_object_foreach(opened, name, value) {
        if (json_is_string(value))
            secret_wipe((char *)json_string_value(value), json_string_length(value));
    }
    json_decref(opened);
}

static json_t *standard_value(const struct setting *setting)
{
    switch (setting->type) {
    case SETTING_INTEGER:
        return json_integer(strtoll(setting->standard, NULL, 10));
    case SETTING_BOOLEAN:
        return json_boolean(strcmp(setting->standard, "true") == 0);
    case SETTING_LIST:
        return json_loads(setting->standard, 0, NULL);
    default:
        return json_string(setting->standard);
    }
}

static void complete(struct settings *settings, struct buffer *wrong)
{
    for (size_t i = 0; i < settings->count; i++) {
        const struct setting *setting = &settings->declared[i];
        bool given = setting->secret ? settings->secrets[i] != NULL
                                     : json_object_get(settings->values, setting->name) != NULL;
        if (given)
            continue;
        if (setting->required)
            complain(wrong, setting->name, "is required");
        else if (!setting->secret && setting->standard)
            json_object_set_new(settings->values, setting->name, standard_value(setting));
    }
}

bool settings_new(const struct setting *declared, size_t count, const json_t *values,
                  const struct secret *secrets, struct settings **ret_settings, struct error *err)
{
    if (values && !json_is_object(values) && !json_is_null(values))
        return error_set(err, &FAULT_INVALID, "settings must be an object");
    struct settings *settings = xcalloc(1, sizeof(*settings));
    CLEANUP(buffer_fini) struct buffer wrong = {0};
    settings->declared = declared;
    settings->count = count;
    settings->values = json_object();
    settings->secrets = xcalloc(count + 1, sizeof(struct secret *));
    if (json_is_object(values))
        take_values(settings, values, &wrong);
    take_secrets(settings, secrets, &wrong);
    /* A field that is wrong is not missing as well: say each thing once. */
    if (wrong.length == 0)
        complete(settings, &wrong);
    if (wrong.length) {
        settings_free(settings);
        return error_set(err, &FAULT_INVALID, "settings: %s", wrong.data);
    }
    *ret_settings = settings;
    return true;
}

void settings_free(struct settings *settings)
{
    if (!settings)
        return;
    for (size_t i = 0; i < settings->count; i++)
        secret_free(settings->secrets[i]);
    free(settings->secrets);
    json_decref(settings->values);
    free(settings);
}

const char *settings_text(const struct settings *settings, const char *name)
{
    return json_string_value(json_object_get(settings->values, name));
}

int64_t settings_integer(const struct settings *settings, const char *name)
{
    return json_integer_value(json_object_get(settings->values, name));
}

bool settings_boolean(const struct settings *settings, const char *name)
{
    return json_is_true(json_object_get(settings->values, name));
}

size_t settings_list_count(const struct settings *settings, const char *name)
{
    return json_array_size(json_object_get(settings->values, name));
}

const char *settings_list_item(const struct settings *settings, const char *name, size_t index)
{
    return json_string_value(json_array_get(json_object_get(settings->values, name), index));
}

const struct secret *settings_secret(const struct settings *settings, const char *name)
{
    const struct setting *setting = find(settings->declared, settings->count, name);
    return setting ? settings->secrets[setting - settings->declared] : NULL;
}
