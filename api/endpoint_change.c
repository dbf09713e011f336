/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and destinations: defined and changed. Secrets are split off the settings and sealed here,
 * together with the id and the address, before anything is stored. */
#include <string.h>

#include "api/api.h"
#include "api/driver.h"
#include "api/endpoint.h"
#include "api/option.h"
#include "api/routes.h"
#include "proto/address.h"
#include "proto/fault.h"

#define LABELS_MOST 32
#define LABEL_BYTES_MOST 64
#define SETTINGS_BYTES_MOST (256u << 10)

/* What a request says, and the definition that becomes of it. */
struct change {
    enum end end;
    struct uuid id;
    json_t *declaration; /* of the driver; NULL: the settings are not touched */
    struct option_values values;
    json_t *merged; /* settings as they will be */
    struct buffer address, seal;
    char seal_key_id[SEAL_KEY_ID_SIZE];
    struct endpoint_definition definition;
};

static void change_fini(struct change *change)
{
    option_values_fini(&change->values);
    json_decref(change->declaration);
    json_decref(change->merged);
    buffer_fini(&change->address);
    buffer_fini(&change->seal);
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

static bool seal_secrets(struct call *call, struct change *change, struct error *err)
{
    if (call->api->seal_keys == NULL)
        return error_set(err, &FAULT_CONFIG, "no key to seal secrets with: set api.seal_keys");
    char *text = json_dumps(change->values.secrets, JSON_COMPACT | JSON_SORT_KEYS);
    struct secret *secret = secret_new(text, strlen(text));
    secret_wipe(text, strlen(text));
    free(text);
    bool sealed = seal_close(call->api->seal_keys, &change->id, change->definition.address, secret,
                             change->seal_key_id, &change->seal, err);
    secret_free(secret);
    if (!sealed)
        return false;
    change->definition.seal = change->seal.data;
    change->definition.seal_length = change->seal.length;
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
    if (json_object_size(change->values.secrets) > 0 && !seal_secrets(call, change, err))
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
    bool secrets = json_object_size(change->values.secrets) > 0;
    option_require(reader, "settings", declared_settings(change), change->merged,
                   secrets || change->values.secret_removed ? change->values.secrets : NULL);
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

/* A seal is for one address: under another the same secrets are asked for again. */
static bool renew_seal(struct call *call, struct change *change, const struct endpoint *endpoint,
                       struct error *err)
{
    bool was_sealed = endpoint->definition.seal_length > 0;
    if (json_object_size(change->values.secrets) > 0)
        return seal_secrets(call, change, err);
    if (change->values.secret_removed) {
        change->definition.seal = NULL;
        change->definition.seal_length = 0;
        change->definition.seal_key_id = "";
    } else if (was_sealed &&
               strcmp(endpoint->definition.address, change->definition.address) != 0) {
        return error_set(err, &FAULT_SECRETS_NEEDED,
                         "the address changes, which the secrets were sealed for");
    }
    return true;
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
        (!make_address(call, change, err) || !renew_seal(call, change, endpoint, err)))
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
