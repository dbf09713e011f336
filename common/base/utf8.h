/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 (RFC 3629): the one place that knows which byte sequences are legal. Used where text from
 * outside goes into a log line, a JSON answer or an error.
 *
 * Threads: any; no state.
 */
#ifndef GUTS_COMMON_BASE_UTF8_H
#define GUTS_COMMON_BASE_UTF8_H

#include <stddef.h>

/* Bytes of the character at the start of text (1 to 4), or 0 when no legal one stands there:
 * overlong forms, surrogates, numbers beyond U+10FFFF, cut sequences. */
size_t utf8_character(const char *text, size_t length);
/* The longest part of text, at most `most` bytes, that does not end within a character. */
size_t utf8_cut(const char *text, size_t length, size_t most);
/* Puts "?" for each byte that belongs to no legal character: names on disks of others hold anything. */
void utf8_mend(char *text);

#endif
