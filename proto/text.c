/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/text.h"

#include <stddef.h>
#include <stdint.h>

/* Decodes one character; returns its length, 0 when it is malformed. A NUL ends any sequence, since
 * it is no continuation byte. RFC 3629, section 4. */
static size_t character_decode(const unsigned char *at, uint32_t *ret_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t code = at[0];

    if (length == 0 || at[0] > 0xf4)
        return 0;
    if (length > 1)
        code &= 0x7fu >> length;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return length;
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

static bool text_walk(const char *text, bool allow_controls, bool allow_lines)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        uint32_t code;
        size_t length = character_decode(at, &code);
        if (length == 0)
            return false;
        if (is_control(code) && !allow_controls && !(allow_lines && (code == '\t' || code == '\n')))
            return false;
        at += length;
    }
    return true;
}

bool text_is_utf8(const char *text)
{
    return text_walk(text, true, true);
}

bool text_is_printable(const char *text, bool lines)
{
    return text_walk(text, false, lines);
}
