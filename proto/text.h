/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a text from outside may be shown and stored: well-formed UTF-8 (RFC 3629) and no control
 * characters.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_PROTO_TEXT_H
#define GUTS_PROTO_TEXT_H

#include <stdbool.h>

/* Well-formed UTF-8: shortest forms, no surrogates, nothing above U+10FFFF. */
bool text_is_utf8(const char *text);
/* The same without C0 and C1 controls and DEL; tab and newline are let through where `lines`. */
bool text_is_printable(const char *text, bool lines);

#endif
