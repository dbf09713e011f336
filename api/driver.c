/* SPDX-License-Identifier: Apache-2.0 */
#include "api/driver.h"

#include "api/routes.h"
#include "common/store/driver_view.h"
#include "proto/fault.h"

#define DECLARATION_MOST_BYTES (1u << 20)

static bool declaration_parse(const struct driver_view *driver, json_t **ret_declaration,
                              struct error *err)
{
    json_error_t reason;
    json_t *declaration = json_loads(driver->declaration_json, JSON_REJECT_DUPLICATES, &reason);
    if (!json_is_object(declaration)) {
        json_decref(declaration);
        return error_set(err, &FAULT_INTERNAL, "the stored declaration of driver \"%s\" is broken",
                         driver->name);
    }
    *ret_declaration = declaration;
    return true;
}

bool driver_declaration(struct call *call, enum end end, const char *name, json_t **ret_declaration,
                        struct error *err)
{
    struct driver_view driver;
    if (!call_word_is_sound(name))
        return error_set(err, &FAULT_DRIVER_UNKNOWN, "no node has a driver \"%s\"", name);
    return driver_view_get(call->store, call->arena, end, name, &driver, err) &&
           declaration_parse(&driver, ret_declaration, err);
}

static void write_text(struct writer *writer, const char *key, const json_t *object,
                       const char *standard)
{
    const char *text = json_string_value(json_object_get(object, key));
    writer_text(writer, key, text != NULL ? text : standard);
}

static void write_bool(struct writer *writer, const char *key, const json_t *object)
{
    writer_bool(writer, key, json_is_true(json_object_get(object, key)));
}

static void write_number(struct writer *writer, const char *key, const json_t *object)
{
    const json_t *number = json_object_get(object, key);
    if (json_is_integer(number))
        writer_integer(writer, key, json_integer_value(number));
    else
        writer_null(writer, key);
}

static void write_settings(struct writer *writer, const char *key, const json_t *list)
{
    size_t index;
    json_t *one;
    writer_array_begin(writer, key);
    json_array_foreach((json_t *)list, index, one) {
        writer_object_begin(writer, NULL);
        write_text(writer, "name", one, "");
        write_text(writer, "type", one, "text");
        write_bool(writer, "secret", one);
        write_bool(writer, "required", one);
        write_bool(writer, "address", one);
        write_text(writer, "standard", one, NULL);
        write_text(writer, "help", one, "");
        write_text(writer, "choices", one, NULL);
        write_text(writer, "shape", one, NULL);
        write_text(writer, "catalog", one, NULL);
        write_number(writer, "least", one);
        write_number(writer, "most", one);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

static bool driver_write(struct writer *writer, const struct driver_view *driver, struct error *err)
{
    size_t index;
    json_t *declaration, *feature;
    if (!declaration_parse(driver, &declaration, err))
        return false;
    writer_object_begin(writer, NULL);
    writer_text(writer, "end", end_name(driver->end));
    writer_text(writer, "name", driver->name);
    write_text(writer, "title", declaration, driver->name);
    writer_array_begin(writer, "features");
    json_array_foreach(json_object_get(declaration, "features"), index, feature)
        writer_text(writer, NULL, json_string_value(feature));
    writer_array_end(writer);
    write_settings(writer, "settings", json_object_get(declaration, "settings"));
    write_settings(writer, "options", json_object_get(declaration, "options"));
    writer_time(writer, "updated_at", driver->updated_at);
    writer_object_end(writer);
    json_decref(declaration);
    return true;
}

bool driver_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"end", NULL};
    static const char *const ends[] = {"", "source", "destination", NULL};
    struct driver_view *drivers = NULL;
    size_t count = 0;
    call_query_allow(call, allowed);
    enum end end = (enum end)call_query_word(call, "end", END_UNKNOWN, ends);
    if (!call_sound(call, err) ||
        !driver_view_list(call->store, call->arena, end, &drivers, &count, err))
        return false;
    struct writer *writer = call_json(call, 200);
    writer_object_begin(writer, NULL);
    writer_array_begin(writer, "drivers");
    for (size_t i = 0; i < count; i++)
        if (!driver_write(writer, &drivers[i], err))
            return false;
    writer_array_end(writer);
    writer_null(writer, "next");
    writer_object_end(writer);
    return true;
}

bool driver_show_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {NULL};
    struct driver_view driver;
    enum end end = end_parse(call->params[0]);
    call_query_allow(call, allowed);
    if (!call_sound(call, err))
        return false;
    if (end == END_UNKNOWN || !call_word_is_sound(call->params[1]))
        return error_set(err, &FAULT_NOT_FOUND, "there is no such driver");
    if (!driver_view_get(call->store, call->arena, end, call->params[1], &driver, err)) {
        if (err->fault == &FAULT_DRIVER_UNKNOWN)
            err->fault = &FAULT_NOT_FOUND;
        return false;
    }
    return driver_write(call_json(call, 200), &driver, err);
}
