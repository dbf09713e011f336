/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xC0) == 0x80;
}

/* How long a character is that starts with this byte; 0 when none may. */
static size_t length_from_first(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first >= 0xC2 && first <= 0xDF)
        return 2;
    if (first >= 0xE0 && first <= 0xEF)
        return 3;
    return first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* The second byte alone decides about overlong forms, surrogates and too large numbers. */
static bool is_second(uint8_t first, uint8_t second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return is_continuation(second);
    }
}

size_t utf8_character(const char *text, size_t length)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t size = length > 0 ? length_from_first(bytes[0]) : 0;
    if (size == 0 || size > length)
        return 0;
    if (size > 1 && !is_second(bytes[0], bytes[1]))
        return 0;
    for (size_t i = 2; i < size; i++)
        if (!is_continuation(bytes[i]))
            return 0;
    return size;
}

size_t utf8_cut(const char *text, size_t length, size_t most)
{
    if (length <= most)
        return length;
    size_t end = most;
    while (end > 0 && most - end < 3 && is_continuation((uint8_t)text[end]))
        end--;
    return is_continuation((uint8_t)text[end]) ? most : end;
}

void utf8_mend(char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        size_t step = utf8_character(text, left);
        if (step == 0)
            *text = '?';
        step = step == 0 ? 1 : step;
        text += step;
        left -= step;
    }
}
