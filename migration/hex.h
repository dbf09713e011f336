/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as hexadecimal text, for packed messages inside JSON records. Threads: pure functions.
 */
#ifndef GUTS_MIGRATION_HEX_H
#define GUTS_MIGRATION_HEX_H

#include "common/base/memory.h"

void hex_encode(const void *data, size_t length, struct buffer *ret_text);
bool hex_decode(const char *text, struct buffer *ret_data) MUST_CHECK; /* false: no such text */

#endif
