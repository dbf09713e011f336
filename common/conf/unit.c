/* SPDX-License-Identifier: Apache-2.0 */
#include "common/conf/unit.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

static bool parse_number(const char *text, uint64_t *ret_number, const char **ret_rest)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0)
        return false;
    *ret_number = number;
    *ret_rest = end + strspn(end, " ");
    return true;
}

static bool unit_parse(const char *text, const struct unit *units, uint64_t *ret_number)
{
    uint64_t number;
    const char *rest;
    if (!parse_number(text, &number, &rest))
        return false;
    if (number == 0 && rest[0] == '\0') {
        *ret_number = 0;
        return true;
    }
    for (; units->name != NULL; units++)
        if (strcmp(rest, units->name) == 0)
            return !__builtin_mul_overflow(number, units->factor, ret_number);
    return false;
}

bool unit_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", 1ULL << 10},
        {"MiB", 1ULL << 20},
        {"GiB", 1ULL << 30},
        {"TiB", 1ULL << 40},
        {"PiB", 1ULL << 50},
        {0},
    };
    return unit_parse(text, units, ret_bytes);
}

bool unit_parse_duration(const char *text, uint64_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {0},
    };
    return unit_parse(text, units, ret_ms);
}
