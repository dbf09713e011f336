/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/text.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/utf8.h"

/* C0, DEL and C1 (which UTF-8 writes as C2 80 to C2 9F). */
static bool is_control(const char *character)
{
    uint8_t first = (uint8_t)character[0];

    return first < 0x20 || first == 0x7f || (first == 0xc2 && (uint8_t)character[1] < 0xa0);
}

static bool text_walk(const char *text, bool allow_controls, bool allow_lines)
{
    size_t length = strlen(text);

    while (length > 0) {
        size_t size = utf8_character(text, length);
        bool allowed = allow_controls || (allow_lines && (*text == '\t' || *text == '\n'));
        if (size == 0 || (!allowed && is_control(text)))
            return false;
        text += size;
        length -= size;
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
