/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/handover.h"

#include <jansson.h>

static json_t *list_to(const struct conf_strings *list)
{
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(array, json_string(list->items[i]));
    return array;
}

static struct conf_strings list_from(const json_t *array, struct arena *arena)
{
    struct conf_strings list = {.count = json_array_size(array)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(char *));
    for (size_t i = 0; i < list.count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        list.items[i] = arena_strdup(arena, text ? text : "");
    }
    return list;
}

void handover_pack(const struct handover *handover, struct buffer *ret_packed)
{
    const struct worker_settings *worker = &handover->worker;
    json_t *object = json_pack(
        "{s:s, s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "directory",
        handover->directory, "private_key", handover->private_key, "run", (json_int_t)handover->run,
        "roots_read", list_to(&handover->roots_read), "roots_write",
        list_to(&handover->roots_write), "urls", list_to(&handover->urls), "buffer_bytes",
        (json_int_t)worker->buffer_bytes, "disks_at_once", (json_int_t)worker->disks_at_once,
        "flush_bytes", (json_int_t)worker->flush_bytes, "flush_ms", (json_int_t)worker->flush_ms,
        "copy_idle_ms", (json_int_t)worker->copy_idle_ms, "ledger_repeat_ms",
        (json_int_t)worker->ledger_repeat_ms);
    char *text = json_dumps(object, JSON_COMPACT);
    buffer_append_text(ret_packed, text ? text : "");
    free(text);
    json_decref(object);
}

bool handover_unpack(const char *data, size_t length, struct arena *arena,
                     struct handover *ret_handover, struct error *err)
{
    json_t *object = json_loadb(data, length, 0, NULL);
    const char *directory, *private_key;
    json_t *read, *write, *urls;
    json_int_t run, buffer, disks, flush, flush_ms, idle, repeat;
    if (json_unpack(object, "{s:s, s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}",
                    "directory", &directory, "private_key", &private_key, "run", &run, "roots_read",
                    &read, "roots_write", &write, "urls", &urls, "buffer_bytes", &buffer,
                    "disks_at_once", &disks, "flush_bytes", &flush, "flush_ms", &flush_ms,
                    "copy_idle_ms", &idle, "ledger_repeat_ms", &repeat) != 0) {
        json_decref(object);
        return error_set(err, &FAULT_INTERNAL, "the hand-over cannot be understood");
    }
    *ret_handover = (struct handover){
        .directory = arena_strdup(arena, directory),
        .private_key = arena_strdup(arena, private_key),
        .run = (uint32_t)run,
        .roots_read = list_from(read, arena),
        .roots_write = list_from(write, arena),
        .urls = list_from(urls, arena),
        .worker = {.buffer_bytes = (uint64_t)buffer,
                   .disks_at_once = disks,
                   .flush_bytes = (uint64_t)flush,
                   .flush_ms = (uint64_t)flush_ms,
                   .copy_idle_ms = (uint64_t)idle,
                   .ledger_repeat_ms = (uint64_t)repeat},
    };
    json_decref(object);
    return true;
}
