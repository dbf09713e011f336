/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/tree.h"

#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "common/base/memory.h"

#define EVENTS_MOST 200000u
#define ANCHORS_MOST 256u

struct reading {
    yaml_parser_t parser;
    struct error *err;
    json_t *anchors; /* by name */
    size_t events;
};

static bool complain(struct reading *reading, size_t line, const char *what)
{
    return error_set(reading->err, &FAULT_CONFIG, "line %zu: %s", line + 1, what);
}

/* The event is the caller's to delete. */
static bool next(struct reading *reading, yaml_event_t *ret_event)
{
    if (++reading->events > EVENTS_MOST)
        return error_set(reading->err, &FAULT_TOO_LARGE, "more than %u values", EVENTS_MOST);
    if (yaml_parser_parse(&reading->parser, ret_event))
        return true;
    const char *problem = reading->parser.problem;
    return complain(reading, reading->parser.problem_mark.line,
                    problem != NULL ? problem : "cannot be read");
}

static bool node(struct reading *reading, yaml_event_t *event, unsigned depth, json_t **ret_json);

static json_t *scalar(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (length == 0 || strcmp(text, "~") == 0 || strcasecmp(text, "null") == 0))
        return json_null();
    return json_stringn(text, length); /* NULL: no UTF-8 */
}

static bool keep_anchor(struct reading *reading, const char *anchor, json_t *json, size_t line)
{
    if (anchor == NULL)
        return true;
    if (json_object_size(reading->anchors) >= ANCHORS_MOST)
        return complain(reading, line, "too many anchors");
    json_object_set(reading->anchors, anchor, json);
    return true;
}

static bool alias(struct reading *reading, const yaml_event_t *event, json_t **ret_json)
{
    /* One that stands inside its own anchor is not there yet: there are no cycles. */
    json_t *found = json_object_get(reading->anchors, (const char *)event->data.alias.anchor);
    if (found == NULL)
        return complain(reading, event->start_mark.line, "an alias of nothing before it");
    *ret_json = json_incref(found);
    return true;
}

static bool sequence(struct reading *reading, unsigned depth, json_t *list)
{
    for (;;) {
        yaml_event_t event;
        json_t *item = NULL;
        if (!next(reading, &event))
            return false;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        bool good = end || node(reading, &event, depth + 1, &item);
        yaml_event_delete(&event);
        if (end || !good)
            return good;
        json_array_append_new(list, item);
    }
}

static bool merge(struct reading *reading, json_t *object, const json_t *from, size_t line)
{
    size_t i;
    json_t *each;
    if (json_is_object(from))
        return json_object_update_missing(object, (json_t *)from) == 0;
    if (!json_is_array(from))
        return complain(reading, line, "\"<<\" needs a mapping");
    json_array_foreach(from, i, each) {
        if (!json_is_object(each))
            return complain(reading, line, "\"<<\" needs mappings");
        json_object_update_missing(object, each);
    }
    return true;
}

static bool member(struct reading *reading, const yaml_event_t *key_event, unsigned depth,
                   json_t *object, json_t *merges)
{
    size_t line = key_event->start_mark.line;
    if (key_event->type != YAML_SCALAR_EVENT)
        return complain(reading, line, "a key that is no text");
    const char *key = (const char *)key_event->data.scalar.value;
    yaml_event_t event;
    json_t *value = NULL;
    if (strlen(key) != key_event->data.scalar.length || !next(reading, &event))
        return complain(reading, line, "a key that is no text");
    bool good = node(reading, &event, depth + 1, &value);
    yaml_event_delete(&event);
    if (!good)
        return false;
    if (strcmp(key, "<<") == 0) {
        json_array_append_new(merges, value);
        return true;
    }
    bool twice = json_object_get(object, key) != NULL;
    bool set = json_object_set_new(object, key, value) == 0; /* not where it is no UTF-8 */
    return set && !twice ? true : complain(reading, line, "a key twice, or one that is no text");
}

static bool mapping(struct reading *reading, unsigned depth, json_t *object, size_t line)
{
    json_t *merges = json_array(), *each;
    bool good = true, end = false;
    size_t i;
    while (good && !end) {
        yaml_event_t event;
        good = next(reading, &event);
        if (!good)
            break;
        end = event.type == YAML_MAPPING_END_EVENT;
        good = end || member(reading, &event, depth, object, merges);
        yaml_event_delete(&event);
    }
    json_array_foreach(merges, i, each)
        good = good && merge(reading, object, each, line);
    json_decref(merges);
    return good;
}

static bool node(struct reading *reading, yaml_event_t *event, unsigned depth, json_t **ret_json)
{
    size_t line = event->start_mark.line;
    const char *anchor = NULL;
    json_t *json = NULL;
    bool good = true;
    if (depth > TREE_DEPTH_MOST)
        return complain(reading, line, "nested too deep");
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return alias(reading, event, ret_json);
    case YAML_SCALAR_EVENT:
        anchor = (const char *)event->data.scalar.anchor;
        json = scalar(event);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = (const char *)event->data.sequence_start.anchor;
        json = json_array();
        good = sequence(reading, depth, json);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = (const char *)event->data.mapping_start.anchor;
        json = json_object();
        good = mapping(reading, depth, json, line);
        break;
    default:
        break;
    }
    if (good && json == NULL)
        good = complain(reading, line, "a value was expected");
    if (!good || !keep_anchor(reading, anchor, json, line)) {
        json_decref(json);
        return false;
    }
    *ret_json = json;
    return true;
}

/* Up to the first value of the first document, or the end of the stream. */
static bool document(struct reading *reading, json_t **ret_tree)
{
    for (;;) {
        yaml_event_t event;
        if (!next(reading, &event))
            return false;
        yaml_event_type_t type = event.type;
        bool skip = type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT;
        bool good = skip || type == YAML_STREAM_END_EVENT || node(reading, &event, 0, ret_tree);
        yaml_event_delete(&event);
        if (!skip || !good)
            return good;
    }
}

bool tree_parse(const char *text, size_t length, json_t **ret_tree, struct error *err)
{
    struct reading reading = {.err = err};
    json_t *tree = NULL;
    if (length > TREE_MOST_BYTES)
        return error_set(err, &FAULT_TOO_LARGE, "more than %u bytes", TREE_MOST_BYTES);
    if (!yaml_parser_initialize(&reading.parser))
        abort(); /* out of memory: allocation aborts */
    yaml_parser_set_input_string(&reading.parser, (const unsigned char *)text, length);
    reading.anchors = json_object();
    bool good = document(&reading, &tree);
    json_decref(reading.anchors);
    yaml_parser_delete(&reading.parser);
    if (!good) {
        json_decref(tree);
        return false;
    }
    *ret_tree = tree != NULL && !json_is_null(tree) ? tree : json_object();
    if (tree != *ret_tree)
        json_decref(tree);
    return true;
}
