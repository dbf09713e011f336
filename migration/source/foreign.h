/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts from descriptors of others (.vmx, .ovf, .mf), which are hostile: character sets, bounds,
 * numbers. Knows nothing of what they mean.
 *
 * Threads: any.
 */
#ifndef GUTS_MIGRATION_SOURCE_FOREIGN_H
#define GUTS_MIGRATION_SOURCE_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"

bool foreign_is_utf8(const char *text, size_t length); /* no overlong forms, no surrogates */
bool foreign_is_printable(const char *text);           /* UTF-8 without control characters */
/* Converts by iconv into ret_text; false with FAULT_VM_CONFIG_INVALID when the character set is
 * unknown or the bytes do not fit it. */
bool foreign_convert(const char *charset, const char *data, size_t length, struct buffer *ret_text,
                     struct error *err) MUST_CHECK;
/* A copy for people and names: UTF-8, control characters become spaces, outer spaces go, at most
 * `most` bytes, cut between characters. NULL when nothing is left. */
char *foreign_clean(struct arena *arena, const char *text, size_t most);
/* A whole decimal number, no sign, nothing behind it but spaces. */
bool foreign_unsigned(const char *text, uint64_t *ret_number);
/* "00:0C:29:aa:bb:cc" in lower case, or NULL when it is no MAC address of one card. */
char *foreign_mac(struct arena *arena, const char *text);
/* Reads an open regular file from its start; FAULT_TOO_LARGE beyond `most`. */
bool foreign_read(int fd, const char *shown, size_t most, struct buffer *ret_content,
                  struct error *err) MUST_CHECK;

#endif
