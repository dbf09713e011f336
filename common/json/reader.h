/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict reading of JSON objects from outside (over jansson): typed, bounded, and with all field
 * errors at once, each with its JSON pointer (RFC 6901). Unknown fields are errors.
 *
 *     struct reader reader;
 *     reader_init(&reader, arena, object);
 *     const char *name = reader_text(&reader, "name", READER_REQUIRED, 1, 255);
 *     reader_finish(&reader);                       // complains of fields that nobody asked for
 *     if (reader.error_count > 0) …
 *
 * Threads: a reader belongs to one thread. Texts live as long as the jansson object.
 */
#ifndef GUTS_COMMON_JSON_READER_H
#define GUTS_COMMON_JSON_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/memory.h"
#include "common/base/uuid.h"

#define READER_ERRORS_MOST 32
#define READER_OPTIONAL false
#define READER_REQUIRED true

struct reader_error {
    const char *pointer; /* "/disks/0/name" */
    const char *detail;  /* "must be a string" */
};

struct reader {
    struct arena *arena;
    const json_t *object;
    struct reader *parent; /* errors are gathered in the outermost reader */
    const char *prefix;    /* pointer of this object, "" for the outermost */
    const char *seen[48];  /* fields asked for so far */
    size_t seen_count;
    struct reader_error errors[READER_ERRORS_MOST];
    size_t error_count; /* may exceed READER_ERRORS_MOST: the rest were dropped */
};

/* Parses a text of `length` bytes: depth at most 32, no duplicate keys, no NUL in strings. */
json_t *reader_parse(const char *text, size_t length, size_t most, struct error *err) MUST_CHECK;

void reader_init(struct reader *reader, struct arena *arena, const json_t *object);
void reader_child(struct reader *child, struct reader *parent, const char *field,
                  const json_t *object); /* field "disks/0" */
void reader_finish(struct reader *reader);
void reader_complain(struct reader *reader, const char *field, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Each gives its `standard` (or NULL, nil) when the field is absent or wrong. null counts as absent. */
const char *reader_text(struct reader *reader, const char *field, bool required, size_t least,
                        size_t most); /* lengths in bytes; valid UTF-8 without control characters */
int64_t reader_integer(struct reader *reader, const char *field, bool required, int64_t standard,
                       int64_t least, int64_t most);
bool reader_bool(struct reader *reader, const char *field, bool required, bool standard);
bool reader_uuid(struct reader *reader, const char *field, bool required, struct uuid *ret_id);
/* The index of the text in `words` (NULL-terminated), or `standard`. */
int reader_word(struct reader *reader, const char *field, bool required, int standard,
                const char *const *words);
const json_t *reader_object(struct reader *reader, const char *field, bool required);
const json_t *reader_array(struct reader *reader, const char *field, bool required, size_t most);

#endif
