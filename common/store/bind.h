/* SPDX-License-Identifier: Apache-2.0
 *
 * Binding what the tables share: times that may be absent, words of closed lists, faults. Only files
 * of common/store include it.
 */
#ifndef GUTS_COMMON_STORE_BIND_H
#define GUTS_COMMON_STORE_BIND_H

#include "common/db/db.h"

static inline struct db_value bind_time(uint64_t at_us) /* 0 binds NULL */
{
    return at_us == 0 ? db_null() : db_unsigned(at_us);
}

/* For columns that are NOT NULL, so that a row keeps its length when they are set: nil is zeroes. */
static inline struct db_value bind_id(const struct uuid *id)
{
    return db_bytes(id->bytes, UUID_BYTES);
}

/* The least id (version 7) that a row made at this time could have: older rows have lesser ones. */
static inline struct uuid bind_id_at(uint64_t at_us)
{
    struct uuid id = {{0}};
    for (size_t i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(at_us / 1000 >> (8 * (5 - i)));
    return id;
}

static inline struct db_value bind_fault(const struct fault *fault)
{
    return fault == NULL ? db_null() : db_text(fault->code);
}

/* A text cut to `most` bytes at the border of a UTF-8 character; NULL and "" bind NULL. */
static inline struct db_value bind_cut(const char *text, size_t most)
{
    size_t length = 0;
    if (text == NULL || text[0] == '\0')
        return db_null();
    while (text[length] != '\0' && length < most)
        length++;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    struct db_value value = db_text(text);
    value.length = length;
    return value;
}

/* The same for columns that are NOT NULL. */
static inline struct db_value bind_cut_full(const char *text, size_t most)
{
    struct db_value value = bind_cut(text, most);
    return value.type == DB_NULL ? db_text("") : value;
}

#endif
