/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/summary.h"

#include <inttypes.h>

#include "client/cli/output.h"
#include "common/base/memory.h"

static void put(json_t *summary, const char *name, char *take_text)
{
    if (take_text[0] != '\0')
        json_object_set_new(summary, name, json_string(take_text));
    free(take_text);
}

static void copy(json_t *summary, const char *name, const json_t *migration, const char *field)
{
    json_t *value = json_object_get(migration, field);
    bool empty = value == NULL || json_is_null(value) ||
                 (json_is_string(value) && json_string_length(value) == 0) ||
                 (json_is_object(value) && json_object_size(value) == 0) ||
                 (json_is_array(value) && json_array_size(value) == 0);
    if (!empty)
        json_object_set(summary, name, value);
}

static char *bytes_of(const json_t *object, const char *done_key, const char *total_key)
{
    char done[32], total[32];
    format_bytes((uint64_t)json_integer_value(json_object_get(object, done_key)), done,
                 sizeof(done));
    format_bytes((uint64_t)json_integer_value(json_object_get(object, total_key)), total,
                 sizeof(total));
    return xasprintf("%s of %s", done, total);
}

/* "4: 3 made, 1 undone": how many elements are in which state. */
static char *count_states(const json_t *array)
{
    json_t *counts = json_object();
    size_t index;
    json_t *element, *count;
    json_array_foreach((json_t *)array, index, element) {
        const char *state = output_text(element, "state");
        json_int_t before = json_integer_value(json_object_get(counts, state));
        json_object_set_new(counts, state, json_integer(before + 1));
    }
    struct buffer text = {0};
    const char *state;
    buffer_printf(&text, "%zu%s", json_array_size(array), json_array_size(array) > 0 ? ":" : "");
    size_t shown = 0;
    json_object_foreach(counts, state, count)
        buffer_printf(&text, "%s %" JSON_INTEGER_FORMAT " %s", shown++ > 0 ? "," : "",
                      json_integer_value(count), state);
    json_decref(counts);
    return text.data;
}

static json_t *disk_lines(const json_t *migration)
{
    json_t *lines = json_array();
    size_t index;
    json_t *disk;
    json_array_foreach(json_object_get(migration, "disks"), index, disk) {
        CLEANUP(xfreep) char *bytes = bytes_of(disk, "done_bytes", "total_bytes");
        char capacity[32];
        format_bytes((uint64_t)json_integer_value(json_object_get(disk, "capacity_bytes")),
                     capacity, sizeof(capacity));
        const char *digest = output_text(disk, "digest");
        CLEANUP(xfreep)
        char *line = xasprintf("%" JSON_INTEGER_FORMAT ": %s, capacity %s%s",
                               json_integer_value(json_object_get(disk, "number")), bytes, capacity,
                               digest[0] != '\0' ? ", digest known" : "");
        json_array_append_new(lines, json_string(line));
    }
    return lines;
}

static void put_fault(json_t *summary, const json_t *migration)
{
    const char *code = output_text(migration, "fault.code");
    if (code[0] == '\0')
        return;
    put(summary, "fault", xasprintf("%s [%s]", output_text(migration, "fault.detail"), code));
    put(summary, "hint", xstrdup(output_text(migration, "fault.hint")));
}

static void put_steps(json_t *summary, const json_t *migration)
{
    const json_t *steps = json_object_get(migration, "steps");
    size_t count = json_array_size(steps);
    CLEANUP(xfreep) char *counts = count_states(steps);
    const json_t *last = json_array_get(steps, count > 0 ? count - 1 : 0);
    put(summary, "steps",
        count == 0 ? xstrdup("none yet")
                   : xasprintf("%s; last: %s (%s)", counts, output_text(last, "name"),
                               output_text(last, "state")));
}

json_t *summary_of_migration(const json_t *migration)
{
    static const char *const head[][2] = {{"id", "id"},
                                          {"vm", "vm_name"},
                                          {"server", "server_name"},
                                          {"source", "source_name"},
                                          {"destination", "destination_name"},
                                          {"project", "project"},
                                          {"who", "who"},
                                          {"state", "state"}};
    static const char *const tail[][2] = {
        {"waiting", "waiting"},       {"node", "node_name"},         {"attempt", "attempt"},
        {"on_failure", "on_failure"}, {"options", "options"},        {"created_at", "created_at"},
        {"started_at", "started_at"}, {"finished_at", "finished_at"}};
    json_t *summary = json_object();
    for (size_t i = 0; i < COUNT_OF(head); i++)
        copy(summary, head[i][0], migration, head[i][1]);
    if (json_is_true(json_object_get(migration, "dry_run")))
        put(summary, "dry_run", xstrdup("true: nothing is made or changed"));
    put_fault(summary, migration);
    for (size_t i = 0; i < COUNT_OF(tail); i++)
        copy(summary, tail[i][0], migration, tail[i][1]);
    put(summary, "copied", bytes_of(migration, "done_bytes", "total_bytes"));
    json_object_set_new(summary, "disks", disk_lines(migration));
    put_steps(summary, migration);
    put(summary, "ledger", count_states(json_object_get(migration, "ledger")));
    copy(summary, "earlier faults", migration, "faults");
    put(summary, "more", xstrdup("guts migration steps|ledger ID; with -f yaml all fields"));
    return summary;
}
