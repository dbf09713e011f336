/* SPDX-License-Identifier: Apache-2.0 */
#include "common/conf/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/secret.h"
#include "common/conf/unit.h"

struct held_secret {
    struct held_secret *next;
    struct secret *secret;
};

struct conf {
    struct arena *arena; /* texts and lists of the settings */
    struct held_secret *secrets;
};

/* One reading of one file. */
struct reading {
    struct conf *conf;
    struct buffer complaints;
    size_t complaint_count;
};

/* A value in the making: `setting` is NULL when it comes from the table's default. */
struct value {
    const struct conf_section *section;
    const struct conf_key *key;
    const config_setting_t *setting;
    const char *text; /* the setting's text or the default; NULL when it is no text */
};

static void complain(struct reading *reading, const config_setting_t *setting, const char *format,
                     ...) PRINTF_LIKE(3, 4);
static void complain(struct reading *reading, const config_setting_t *setting, const char *format,
                     ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buffer_append_text(&reading->complaints, reading->complaint_count++ > 0 ? "; " : "");
    if (setting != NULL)
        buffer_printf(&reading->complaints, "line %u: ", config_setting_source_line(setting));
    buffer_append_text(&reading->complaints, text);
}

static void complain_value(struct reading *reading, const struct value *value, const char *detail)
{
    const char *section = value->section->name;
    complain(reading, value->setting, "%s%s%s%s %s", section, section[0] != '\0' ? "." : "",
             value->key->name, value->setting == NULL ? " (its default)" : "", detail);
}

/* -- one value ---------------------------------------------------------------------------------- */

static void *field_of(const struct value *value)
{
    return (char *)value->section->settings + value->key->offset;
}

static bool is_bounded(const struct conf_key *key)
{
    return key->least != 0 || key->most != 0;
}

static void complain_bounds(struct reading *reading, const struct value *value, const char *of)
{
    char detail[160];
    snprintf(detail, sizeof(detail), "must %s between %" PRId64 " and %" PRId64, of,
             value->key->least, value->key->most);
    complain_value(reading, value, detail);
}

static void put_string(struct reading *reading, const struct value *value)
{
    const struct conf_key *key = value->key;
    int64_t length = value->text != NULL ? (int64_t)strlen(value->text) : -1;
    if (length < 0)
        complain_value(reading, value, "must be a text in quotes");
    else if (is_bounded(key) && (length < key->least || length > key->most))
        complain_bounds(reading, value, "have a length");
    else
        *(const char **)field_of(value) = arena_strdup(reading->conf->arena, value->text);
}

static void put_secret(struct reading *reading, const struct value *value)
{
    struct error err;
    struct secret *secret = NULL;
    if (value->text == NULL || value->text[0] == '\0') {
        complain_value(reading, value, "must name a file");
    } else if (!secret_load(value->text, &secret, &err)) {
        complain_value(reading, value, err.text);
    } else {
        struct held_secret *held = arena_alloc(reading->conf->arena, sizeof(*held));
        *held = (struct held_secret){reading->conf->secrets, secret};
        reading->conf->secrets = held;
        *(struct secret **)field_of(value) = secret;
    }
}

static bool integer_of(const struct value *value, int64_t *ret_number)
{
    if (value->setting != NULL) {
        int type = config_setting_type(value->setting);
        *ret_number = config_setting_get_int64(value->setting);
        return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
    }
    char *end = NULL;
    errno = 0;
    *ret_number = strtoll(value->text, &end, 10);
    return errno == 0 && end != value->text && *end == '\0';
}

static void put_integer(struct reading *reading, const struct value *value)
{
    int64_t number;
    if (!integer_of(value, &number))
        complain_value(reading, value, "must be a whole number");
    else if (is_bounded(value->key) && (number < value->key->least || number > value->key->most))
        complain_bounds(reading, value, "lie");
    else
        *(int64_t *)field_of(value) = number;
}

/* Sizes and durations: a text with a unit, or a plain number where the unit allows it. */
static void put_measure(struct reading *reading, const struct value *value)
{
    bool is_size = value->key->type == CONF_SIZE;
    char plain[32] = "";
    int64_t integer;
    uint64_t number;
    if (value->text == NULL && integer_of(value, &integer) && integer >= 0)
        snprintf(plain, sizeof(plain), "%" PRId64, integer);
    const char *text = value->text != NULL ? value->text : plain;
    if (!(is_size ? unit_parse_size(text, &number) : unit_parse_duration(text, &number)))
        complain_value(reading, value,
                       is_size ? "must be a size as \"64MiB\""
                               : "must be a duration with its unit as \"10s\" or \"200ms\"");
    else if (is_bounded(value->key) &&
             (number < (uint64_t)value->key->least || number > (uint64_t)value->key->most))
        complain_bounds(reading, value, is_size ? "lie (in bytes)" : "lie (in milliseconds)");
    else
        *(uint64_t *)field_of(value) = number;
}

static void put_bool(struct reading *reading, const struct value *value)
{
    bool *field = field_of(value);
    if (value->setting != NULL && config_setting_type(value->setting) == CONFIG_TYPE_BOOL)
        *field = config_setting_get_bool(value->setting) != 0;
    else if (value->setting == NULL && strcmp(value->text, "true") == 0)
        *field = true;
    else if (value->setting == NULL && strcmp(value->text, "false") == 0)
        *field = false;
    else
        complain_value(reading, value, "must be true or false");
}

static bool is_sequence(const config_setting_t *setting)
{
    int type = config_setting_type(setting);
    return type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST;
}

static void put_list(struct reading *reading, const struct value *value,
                     const config_setting_t *list)
{
    if (!is_sequence(list)) {
        complain_value(reading, value, "must be a list as [ \"a\", \"b\" ]");
        return;
    }
    int count = config_setting_length(list);
    const char **items = arena_calloc(reading->conf->arena, (size_t)count + 1, sizeof(*items));
    for (int i = 0; i < count; i++) {
        const char *item = config_setting_get_string_elem(list, i);
        if (item == NULL || item[0] == '\0') {
            complain_value(reading, value, "may hold texts in quotes only, none of them empty");
            return;
        }
        items[i] = arena_strdup(reading->conf->arena, item);
    }
    if (is_bounded(value->key) && (count < value->key->least || count > value->key->most))
        complain_bounds(reading, value, "have a count of items");
    else
        *(struct conf_strings *)field_of(value) = (struct conf_strings){items, (size_t)count};
}

/* The default of a list is written as in a file, so libconfig reads it too. */
static void put_strings(struct reading *reading, const struct value *value)
{
    if (value->setting != NULL) {
        put_list(reading, value, value->setting);
        return;
    }
    config_t parser;
    CLEANUP(xfreep) char *text = xasprintf("v = %s;", value->text);
    config_init(&parser);
    if (config_read_string(&parser, text) == CONFIG_TRUE)
        put_list(reading, value, config_lookup(&parser, "v"));
    else
        complain_value(reading, value, "is no list");
    config_destroy(&parser);
}

static void put_value(struct reading *reading, const struct value *value)
{
    static void (*const putters[])(struct reading *, const struct value *) = {
        [CONF_STRING] = put_string,   [CONF_SECRET_FILE] = put_secret, [CONF_INTEGER] = put_integer,
        [CONF_SIZE] = put_measure,    [CONF_DURATION] = put_measure,   [CONF_BOOL] = put_bool,
        [CONF_STRINGS] = put_strings,
    };
    putters[value->key->type](reading, value);
}

/* What a key is when neither the file nor the table has a value. */
static void put_nothing(const struct value *value)
{
    switch (value->key->type) {
    case CONF_STRING:
        *(const char **)field_of(value) = "";
        break;
    case CONF_SECRET_FILE:
        *(struct secret **)field_of(value) = NULL;
        break;
    case CONF_INTEGER:
        *(int64_t *)field_of(value) = 0;
        break;
    case CONF_SIZE:
    case CONF_DURATION:
        *(uint64_t *)field_of(value) = 0;
        break;
    case CONF_BOOL:
        *(bool *)field_of(value) = false;
        break;
    case CONF_STRINGS:
        *(struct conf_strings *)field_of(value) = (struct conf_strings){0};
        break;
    }
}

/* -- sections ----------------------------------------------------------------------------------- */

static void read_key(struct reading *reading, const struct conf_section *section,
                     const struct conf_key *key, const config_setting_t *group)
{
    struct value value = {section, key, NULL, key->standard};
    if (group != NULL)
        value.setting = config_setting_get_member((config_setting_t *)group, key->name);
    put_nothing(&value);
    if (value.setting != NULL) {
        bool is_text = config_setting_type(value.setting) == CONFIG_TYPE_STRING;
        value.text = is_text ? config_setting_get_string(value.setting) : NULL;
        put_value(reading, &value);
    } else if (key->required) {
        complain(reading, group, "%s%s%s is required", section->name,
                 section->name[0] != '\0' ? "." : "", key->name);
    } else if (key->standard != NULL) {
        put_value(reading, &value);
    }
}

static bool section_has_key(const struct conf_section *section, const char *name)
{
    for (size_t i = 0; i < section->key_count; i++)
        if (strcmp(section->keys[i].name, name) == 0)
            return true;
    return false;
}

static bool is_section(const struct conf_section *sections, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(sections[i].name, name) == 0)
            return true;
    return false;
}

static bool is_known(const struct conf_section *section, const struct conf_section *sections,
                     size_t count, const char *name)
{
    bool top = section->name[0] == '\0';
    return section_has_key(section, name) || (top && is_section(sections, count, name));
}

/* A name that no table has is a typing mistake. */
static void check_names(struct reading *reading, const struct conf_section *section,
                        const struct conf_section *sections, size_t count,
                        const config_setting_t *group)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *member = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(member);
        if (!is_known(section, sections, count, name))
            complain(reading, member, "%s%s%s is not known", section->name,
                     section->name[0] != '\0' ? "." : "", name);
    }
}

static void read_section(struct reading *reading, const struct conf_section *section,
                         const config_setting_t *root)
{
    const config_setting_t *group = root;
    if (section->name[0] != '\0')
        group = config_setting_get_member((config_setting_t *)root, section->name);
    if (group != NULL && config_setting_type(group) != CONFIG_TYPE_GROUP) {
        complain(reading, group, "%s must be a section { … }", section->name);
        return;
    }
    if (group != NULL && group != root)
        check_names(reading, section, NULL, 0, group);
    for (size_t i = 0; i < section->key_count; i++)
        read_key(reading, section, &section->keys[i], group);
}

static void read_all(struct reading *reading, const struct conf_section *sections, size_t count,
                     const config_setting_t *root)
{
    struct conf_section top = {.name = ""};
    for (size_t i = 0; i < count; i++)
        if (sections[i].name[0] == '\0')
            top = sections[i];
    check_names(reading, &top, sections, count, root);
    for (size_t i = 0; i < count; i++)
        read_section(reading, &sections[i], root);
}

/* -- files -------------------------------------------------------------------------------------- */

static bool parse_file(config_t *parser, const char *path, struct error *err)
{
    errno = 0;
    if (path == NULL || config_read_file(parser, path) == CONFIG_TRUE)
        return true;
    if (config_error_type(parser) == CONFIG_ERR_FILE_IO)
        return error_set(err, &FAULT_CONFIG, "\"%s\" cannot be read: %s", path,
                         errno != 0 ? strerror(errno) : config_error_text(parser));
    return error_set(err, &FAULT_CONFIG, "\"%s\", line %d: %s", path, config_error_line(parser),
                     config_error_text(parser));
}

bool conf_load(const char *path, const struct conf_section *sections, size_t section_count,
               struct conf **ret_conf, struct error *err)
{
    config_t parser;
    config_init(&parser);
    if (!parse_file(&parser, path, err)) {
        config_destroy(&parser);
        return false;
    }
    struct reading reading = {.conf = xcalloc(1, sizeof(struct conf))};
    reading.conf->arena = arena_new();
    read_all(&reading, sections, section_count, config_root_setting(&parser));
    config_destroy(&parser);
    bool fine = reading.complaint_count == 0;
    if (fine) {
        *ret_conf = reading.conf;
    } else {
        error_set(err, &FAULT_CONFIG, "%s%s%s: %s", path != NULL ? "\"" : "",
                  path != NULL ? path : "configuration", path != NULL ? "\"" : "",
                  reading.complaints.data);
        conf_free(reading.conf);
    }
    buffer_fini(&reading.complaints);
    return fine;
}

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    for (struct held_secret *held = conf->secrets; held != NULL; held = held->next)
        secret_free(held->secret);
    arena_free(conf->arena);
    free(conf);
}
