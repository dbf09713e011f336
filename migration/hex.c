/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/hex.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

void hex_encode(const void *data, size_t length, struct buffer *ret_text)
{
    const unsigned char *bytes = data;
    buffer_reserve(ret_text, length * 2 + 1);
    for (size_t i = 0; i < length; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        buffer_append(ret_text, pair, 2);
    }
}

static int value(char digit)
{
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool hex_decode(const char *text, struct buffer *ret_data)
{
    for (; *text; text += 2) {
        int high = value(text[0]), low = high < 0 ? -1 : value(text[1]);
        if (low < 0)
            return false;
        unsigned char byte = (unsigned char)(high << 4 | low);
        buffer_append(ret_data, &byte, 1);
    }
    return true;
}
