/* SPDX-License-Identifier: Apache-2.0
 *
 * UUIDs: version 7 (RFC 9562, section 5.7), 16 bytes in network order; those made by one process
 * rise strictly, so that rows come in the order of their making.
 *
 * Threads: uuid_new may be called from any thread.
 */
#ifndef GUTS_COMMON_BASE_UUID_H
#define GUTS_COMMON_BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_TEXT_SIZE 37

struct uuid {
    uint8_t bytes[UUID_BYTES];
};

struct uuid uuid_new(void);
/* A UUID of version 8 that follows from its inputs: the same text gives the same id on any host. */
struct uuid uuid_derive(const struct uuid *space, const char *text);
bool uuid_parse(const char *text, struct uuid *ret_id); /* 36 characters, either case, no braces */
void uuid_format(const struct uuid *id, char ret_text[UUID_TEXT_SIZE]);     /* lower case */
bool uuid_from_bytes(const void *data, size_t length, struct uuid *ret_id); /* length must be 16 */
bool uuid_is_nil(const struct uuid *id);
bool uuid_equal(const struct uuid *a, const struct uuid *b);
int uuid_compare(const struct uuid *a, const struct uuid *b);

/* The text of an id in a buffer that lives to the end of the calling expression's block. */
#define UUID_TEXT(id) (uuid_text((char[UUID_TEXT_SIZE]){0}, (id)))
const char *uuid_text(char text[UUID_TEXT_SIZE], const struct uuid *id);

#endif
