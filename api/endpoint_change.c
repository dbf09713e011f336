/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and destinations: defined and changed. Secrets are split off the settings and sealed here,
 * together with the id and the address, before anything is stored. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/driver.h"
#include "api/endpoint.h"
#include "api/option.h"
#include "api/routes.h"
#include "common/base/seals.h"
#include "proto/address.h"
#include "proto/fault.h"

#define LABELS_MOST 32
#define LABEL_BYTES_MOST 64
#define SEALS_BYTES_MOST 65535 /* of the column */
#define SETTINGS_BYTES_MOST (256u << 10)

/* What a request says, and the definition that becomes of it. */
struct change {
    enum end end;
    struct uuid id;
    json_t *declaration; /* of the driver; NULL: the settings are not touched */
    struct option_values values;
    json_t *merged; /* settings as they will be */
    struct buffer address, seals;
    char seal_key_id[SEAL_KEY_ID_SIZE];
    struct endpoint_definition definition;
};

static void change_fini(struct change *change)
{
    option_values_fini(&change->values);
    json_decref(change->declaration);
    json_decref(change->merged);
    buffer_fini(&change->address);
    buffer_fini(&change->seals);
}

static const json_t *declared_settings(const struct change *change)
{
    return json_object_get(change->declaration, "settings");
}

static const char *dump(struct arena *arena, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    const char *copy = arena_strdup(arena, text);
    free(text);
    return copy;
}

static const char *read_labels(struct call *call, struct reader *reader)
{
    size_t index;
    json_t *label;
    const json_t *labels = reader_array(reader, "labels", READER_OPTIONAL, LABELS_MOST);
    json_array_foreach((json_t *)labels, index, label) {
        size_t length = json_string_length(label);
        const char *text = json_string_value(label);
        if (length == 0 || length > LABEL_BYTES_MOST || !call_name_is_sound(text))
            reader_complain(reader, arena_printf(call->arena, "labels/%zu", index),
                            "must be a text of 1 to %d bytes", LABEL_BYTES_MOST);
    }
    return labels != NULL ? dump(call->arena, labels) : NULL;
}

/* A name in the form of an id could never be asked for. */
static const char *read_name(struct reader *reader, bool required)
{
    struct uuid id;
    const char *name = reader_text(reader, "name", required, 1, 255);
    if (name != NULL && uuid_parse(name, &id))
        reader_complain(reader, "name", "must not have the form of an id");
    return name;
}

/* Each secret has a seal of its own, so that one can be changed while the others stay sealed. */
static bool seal_one(struct call *call, struct change *change, const char *name, json_t *value,
                     struct error *err)
{
    CLEANUP(buffer_fini) struct buffer seal = {0};
    struct seals_item item;
    json_t *object = json_pack("{sO}", name, value);
    char *text = json_dumps(object, JSON_COMPACT);
    CLEANUP(secret_freep) struct secret *secret = secret_new(text, strlen(text));
    json_decref(object); /* its text is the caller's, and wiped there */
    secret_wipe(text, strlen(text));
    free(text);
    if (strlen(name) >= sizeof(item.name))
        return error_set(err, &FAULT_TOO_LARGE, "the name of the secret \"%.64s\" is too long",
                         name);
    if (!seal_close(call->api->seal_keys, &change->id, change->definition.address, secret,
                    item.key_id, &seal, err))
        return false;
    snprintf(item.name, sizeof(item.name), "%s", name);
    item.seal = seal.data;
    item.length = seal.length;
    seals_add(&change->seals, &item);
    snprintf(change->seal_key_id, sizeof(change->seal_key_id), "%s", item.key_id);
    return true;
}

static bool seal_secrets(struct call *call, struct change *change, struct error *err)
{
    const char *name;
    json_t *value;
    json_object_foreach(change->values.secrets, name, value) {
        if (json_is_null(value))
            continue;
        if (call->api->seal_keys == NULL)
            return error_set(err, &FAULT_CONFIG, "no key to seal secrets with: set api.seal_keys");
        if (!seal_one(call, change, name, value, err))
            return false;
    }
    if (change->seals.length > SEALS_BYTES_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "the secrets have more than %d bytes together",
                         SEALS_BYTES_MOST);
    change->definition.seal = change->seals.data;
    change->definition.seal_length = change->seals.length;
    change->definition.seal_key_id = change->seal_key_id;
    return true;
}

static bool make_address(struct call *call, struct change *change, struct error *err)
{
    const char *const *names;
    size_t count = option_address_names(call->arena, declared_settings(change), &names);
    if (!address_of(change->merged, names, count, &change->address, err))
        return false;
    change->definition.address = change->address.length > 0 ? change->address.data : "";
    change->definition.settings_json = dump(call->arena, change->merged);
    if (strlen(change->definition.settings_json) > SETTINGS_BYTES_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "the settings are larger than %u bytes",
                         SETTINGS_BYTES_MOST);
    return true;
}

/* The body is not kept longer than needed, and secrets do not stay in freed memory. */
static void wipe_secrets(struct call *call, const struct change *change)
{
    const char *name;
    json_t *secret;
    json_t *settings = json_object_get(call->body, "settings");
    json_object_foreach(change->values.secrets, name, secret) {
        json_t *given = json_object_get(settings, name);
        secret_wipe((void *)json_string_value(given), json_string_length(given));
    }
    secret_wipe((void *)call->request->body, call->request->body_length);
}

/* -- create -------------------------------------------------------------------------------------- */

static const char *read_project(struct call *call, struct reader *reader)
{
    const char *project = reader_text(reader, "project", READER_OPTIONAL, 1, 64);
    if (project == NULL)
        return call->identity.project;
    if (call->identity.role != ACCESS_ADMIN && strcmp(project, call->identity.project) != 0)
        reader_complain(reader, "project", "is for administrators");
    return project;
}

static bool read_creation(struct call *call, struct change *change, const char **ret_project,
                          struct error *err)
{
    struct reader *reader;
    if (!call_read_body(call, true, &reader, err))
        return false;
    struct endpoint_definition *definition = &change->definition;
    definition->name = read_name(reader, READER_REQUIRED);
    definition->driver = reader_text(reader, "driver", READER_REQUIRED, 1, 64);
    const char *description = reader_text(reader, "description", READER_OPTIONAL, 0, 1024);
    definition->description = description != NULL ? description : "";
    definition->labels_json = read_labels(call, reader);
    definition->seal_key_id = "";
    *ret_project = read_project(call, reader);
    const json_t *settings = reader_object(reader, "settings", READER_OPTIONAL);
    reader_finish(reader);
    if (definition->driver != NULL) {
        if (!driver_declaration(call, change->end, definition->driver, &change->declaration, err)) {
            if (err->fault != &FAULT_DRIVER_UNKNOWN || reader->error_count == 0)
                return false;
            reader_complain(reader, "driver", "is offered by no node");
            return call_sound(call, err);
        }
        option_check(reader, "settings", declared_settings(change), settings, &change->values);
        option_require(reader, "settings", declared_settings(change), change->values.plain,
                       change->values.secrets);
    }
    return call_sound(call, err);
}

static void drop_nulls(json_t *object)
{
    const char *name;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, name, value)
    {
        if (json_is_null(value))
            json_object_del(object, name);
    }
}

static bool create(struct call *call, struct change *change, struct endpoint *ret_endpoint,
                   struct error *err)
{
    const char *project = NULL;
    if (!read_creation(call, change, &project, err))
        return false;
    change->merged = json_incref(change->values.plain);
    drop_nulls(change->merged);
    if (!make_address(call, change, err))
        return false;
    if (!seal_secrets(call, change, err))
        return false;
    return endpoint_create(call->store, change->end, &change->id, project, &change->definition,
                           err) &&
           endpoint_get(call->store, call->arena, change->end, project, &change->id, ret_endpoint,
                        err);
}

bool endpoint_create_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {NULL};
    struct endpoint endpoint;
    CLEANUP(change_fini)
    struct change change = {.end = (enum end)call->route->argument, .id = uuid_new()};
    call_query_allow(call, allowed);
    bool created = create(call, &change, &endpoint, err);
    wipe_secrets(call, &change);
    if (!created)
        return false;
    call_header(call, "Location",
                arena_printf(call->arena, "%s/%s", call->route->pattern, UUID_TEXT(&change.id)));
    endpoint_write(call_json(call, 201), change.end, &endpoint);
    return true;
}

/* -- update -------------------------------------------------------------------------------------- */

/* Which secrets there are after the change, by name: true, or null for those that go. */
static json_t *known_secrets(const struct change *change, const struct endpoint *endpoint)
{
    const struct endpoint_definition *before = &endpoint->definition;
    struct seals_item item;
    size_t position = 0;
    const char *name;
    json_t *value, *known = json_object();
    while (seals_next(before->seal, before->seal_length, &position, &item))
        json_object_set_new(known, item.name, json_true());
    json_object_foreach(change->values.secrets, name, value)
        json_object_set_new(known, name, json_is_null(value) ? json_null() : json_true());
    return known;
}

static bool read_settings(struct call *call, struct reader *reader, struct change *change,
                          const struct endpoint *endpoint, const json_t *settings,
                          struct error *err)
{
    if (settings == NULL)
        return true;
    if (!driver_declaration(call, change->end, endpoint->definition.driver, &change->declaration,
                            err))
        return false;
    option_check(reader, "settings", declared_settings(change), settings, &change->values);
    change->merged = json_loads(endpoint->definition.settings_json, 0, NULL);
    if (!json_is_object(change->merged))
        return error_set(err, &FAULT_INTERNAL, "the stored settings are broken");
    json_object_update(change->merged, change->values.plain);
    drop_nulls(change->merged);
    json_t *known = known_secrets(change, endpoint);
    option_require(reader, "settings", declared_settings(change), change->merged,
                   json_object_size(change->values.secrets) > 0 ? known : NULL);
    json_decref(known);
    return true;
}

static bool read_update(struct call *call, struct change *change, const struct endpoint *endpoint,
                        struct error *err)
{
    struct reader *reader;
    if (!call_read_body(call, true, &reader, err))
        return false;
    struct endpoint_definition *definition = &change->definition;
    const char *name = read_name(reader, READER_OPTIONAL);
    const char *description = reader_text(reader, "description", READER_OPTIONAL, 0, 1024);
    const char *labels = read_labels(call, reader);
    const json_t *settings = reader_object(reader, "settings", READER_OPTIONAL);
    reader_finish(reader);
    if (name != NULL)
        definition->name = name;
    if (description != NULL)
        definition->description = description;
    if (labels != NULL)
        definition->labels_json = labels;
    return read_settings(call, reader, change, endpoint, settings, err) && call_sound(call, err);
}

/* What is not given anew stays sealed as it is, unless the address changes: a seal is for one address,
 * under another the same secrets are asked for again. */
static bool renew_seals(struct call *call, struct change *change, const struct endpoint *endpoint,
                        struct error *err)
{
    const struct endpoint_definition *before = &endpoint->definition;
    bool moves = strcmp(before->address, change->definition.address) != 0;
    struct seals_item item;
    size_t position = 0;
    while (seals_next(before->seal, before->seal_length, &position, &item)) {
        if (json_object_get(change->values.secrets, item.name) != NULL)
            continue;
        if (moves)
            return error_set(err, &FAULT_SECRETS_NEEDED,
                             "the address changes, which the secret \"%s\" was sealed for",
                             item.name);
        seals_add(&change->seals, &item);
        snprintf(change->seal_key_id, sizeof(change->seal_key_id), "%s", item.key_id);
    }
    if (position != before->seal_length)
        return error_set(err, &FAULT_INTERNAL, "the stored seals are broken");
    return seal_secrets(call, change, err);
}

static bool update(struct call *call, struct change *change, struct endpoint *endpoint,
                   struct error *err)
{
    if (!endpoint_named(call, change->end, call->params[0], endpoint, err))
        return false;
    change->id = endpoint->id;
    change->definition = endpoint->definition;
    if (!read_update(call, change, endpoint, err))
        return false;
    if (change->merged != NULL &&
        (!make_address(call, change, err) || !renew_seals(call, change, endpoint, err)))
        return false;
    const char *project = endpoint->project;
    return endpoint_update(call->store, change->end, project, &change->id, &change->definition,
                           endpoint->updated_at, err) &&
           endpoint_get(call->store, call->arena, change->end, project, &change->id, endpoint, err);
}

bool endpoint_update_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {NULL};
    struct endpoint endpoint;
    CLEANUP(change_fini) struct change change = {.end = (enum end)call->route->argument};
    call_query_allow(call, allowed);
    bool updated = update(call, &change, &endpoint, err);
    wipe_secrets(call, &change);
    if (!updated)
        return false;
    endpoint_write(call_json(call, 200), change.end, &endpoint);
    return true;
}
