/* SPDX-License-Identifier: Apache-2.0
 *
 * Several seals in one value, each with the name of what it seals and the id of the key that opens it:
 * whoever cannot open them exchanges one and keeps the others. Each seals the JSON object of its one
 * name; opened together they are one object.
 *
 * A version byte (1), then for each seal: name and key id (a length byte before each), the length of the
 * sealed bytes (4 bytes, big-endian), the sealed bytes.
 *
 * Threads: as secret.h.
 */
#ifndef GUTS_COMMON_BASE_SEALS_H
#define GUTS_COMMON_BASE_SEALS_H

#include "common/base/secret.h"

#define SEALS_MOST 64
#define SEALS_NAME_SIZE 65

struct seals_item {
    char name[SEALS_NAME_SIZE], key_id[SEAL_KEY_ID_SIZE];
    const void *seal; /* borrowed */
    size_t length;
};
/* Items from *position (0 at first) on; false at the end, and at what is no such item. */
bool seals_next(const void *seals, size_t length, size_t *position, struct seals_item *ret_item);
/* Appends; the name has at most 64 bytes. */
void seals_add(struct buffer *seals, const struct seals_item *item);
/* FAULT_DENIED as seal_open, also for what is no value of seals. Nothing sealed is an empty object. */
bool seals_open(const struct seal_private *key, const void *seals, size_t length,
                const struct uuid *owner, const char *address, struct secret **ret_object,
                struct error *err) MUST_CHECK;

#endif
