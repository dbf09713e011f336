/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON (RFC 8259) straight into a buffer, without a tree: the commas are placed for you, text
 * is escaped, bytes that are not UTF-8 become U+FFFD. `key` is NULL inside arrays and at the top.
 *
 * Threads: a writer belongs to one thread. It owns nothing.
 */
#ifndef GUTS_COMMON_JSON_WRITER_H
#define GUTS_COMMON_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/memory.h"
#include "common/base/uuid.h"

struct writer {
    struct buffer *buffer;
    bool comma; /* a value was written at this depth */
    unsigned depth;
};

void writer_init(struct writer *writer, struct buffer *buffer); /* appends to what is there */
void writer_object_begin(struct writer *writer, const char *key);
void writer_object_end(struct writer *writer);
void writer_array_begin(struct writer *writer, const char *key);
void writer_array_end(struct writer *writer);
void writer_text(struct writer *writer, const char *key, const char *text); /* NULL writes null */
void writer_text_length(struct writer *writer, const char *key, const char *text, size_t length);
void writer_integer(struct writer *writer, const char *key, int64_t number);
void writer_unsigned(struct writer *writer, const char *key, uint64_t number);
void writer_double(struct writer *writer, const char *key, double number);
void writer_bool(struct writer *writer, const char *key, bool value);
void writer_null(struct writer *writer, const char *key);
void writer_uuid(struct writer *writer, const char *key,
                 const struct uuid *id);                                    /* nil writes null */
void writer_time(struct writer *writer, const char *key, uint64_t wall_us); /* 0 writes null */
/* Text that is JSON already (it came from our own database); NULL or "" writes null. */
void writer_raw(struct writer *writer, const char *key, const char *json);

#endif
