/* SPDX-License-Identifier: Apache-2.0
 *
 * The address of a source or destination: what its secrets are sealed for (common/base/secret.h). The
 * API computes it when it seals, the node again when it opens the seal, from the same settings and the
 * same driver's declaration, so that a setting that was changed behind our back opens nothing.
 *
 * The rule: of the settings that the driver declares as `address`, each that is given (not null) is one
 * line "name=value", joined by newlines, sorted by name as bytes. Texts stand as they are, whole
 * numbers in decimal, booleans as "true" and "false"; a list gives one line for each item, in its
 * order. Other types, control characters and more than ADDRESS_MOST_BYTES are FAULT_INVALID.
 *
 * Threads: a pure function.
 */
#ifndef GUTS_PROTO_ADDRESS_H
#define GUTS_PROTO_ADDRESS_H

#include <jansson.h>

#include "common/base/error.h"
#include "common/base/memory.h"

#define ADDRESS_MOST_BYTES 2048

/* `names`: those of the settings that are declared as part of the address, in any order (at most 16).
 * Appends to ret_address; nothing for no names. */
bool address_of(const json_t *settings, const char *const *names, size_t count,
                struct buffer *ret_address, struct error *err) MUST_CHECK;

#endif
