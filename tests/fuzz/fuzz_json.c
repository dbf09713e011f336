/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's body: whatever it is, the reader is bounded, and what the writer makes of its texts is
 * JSON again.
 *
 * sources: common/json/reader.c common/json/writer.c
 * packages: jansson
 */
#include <stdlib.h>
#include <string.h>

#include "common/json/reader.h"
#include "common/json/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An answer that is not JSON is our bug. */
static void write_back(const char *text, size_t length)
{
    CLEANUP(buffer_fini) struct buffer buffer = {0};
    struct writer writer;
    writer_init(&writer, &buffer);
    writer_array_begin(&writer, NULL);
    writer_text_length(&writer, NULL, text, length);
    writer_array_end(&writer);
    json_t *value = json_loadb(buffer.data, buffer.length, JSON_ALLOW_NUL, NULL);
    if (value == NULL)
        abort();
    json_decref(value);
}

static void read_fields(struct arena *arena, const json_t *body)
{
    static const char *const words[] = {"table", "json", NULL};
    struct reader *reader = arena_alloc(arena, sizeof(*reader));
    struct reader *child = arena_alloc(arena, sizeof(*child));
    struct uuid id;
    reader_init(reader, arena, body);
    reader_text(reader, "name", READER_REQUIRED, 1, 64);
    reader_integer(reader, "count", READER_OPTIONAL, 0, -5, 5);
    reader_bool(reader, "dry_run", READER_OPTIONAL, false);
    reader_uuid(reader, "id", READER_OPTIONAL, &id);
    reader_word(reader, "format", READER_OPTIONAL, 0, words);
    reader_array(reader, "vms", READER_OPTIONAL, 100);
    reader_child(child, reader, "options", reader_object(reader, "options", READER_OPTIONAL));
    reader_text(child, "path", READER_REQUIRED, 1, 4096);
    reader_finish(child);
    reader_finish(reader);
    for (size_t i = 0; i < reader->error_count && i < READER_ERRORS_MOST; i++) {
        write_back(reader->errors[i].pointer, strlen(reader->errors[i].pointer));
        write_back(reader->errors[i].detail, strlen(reader->errors[i].detail));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    write_back((const char *)data, size);
    json_t *body = reader_parse((const char *)data, size, 65536, &err);
    if (body != NULL)
        read_fields(arena, body);
    json_decref(body);
    return 0;
}
