/* SPDX-License-Identifier: Apache-2.0
 *
 * Small texts from outside: ids, sizes, durations, UTF-8 and where to cut it.
 *
 * sources: common/conf/unit.c
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/base/utf8.h"
#include "common/base/uuid.h"
#include "common/conf/unit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cuts(const char *text, size_t length)
{
    for (size_t most = 0; most <= length && most < 64; most++)
        if (utf8_cut(text, length, most) > most)
            abort();
    for (size_t at = 0; at < length;) {
        size_t character = utf8_character(text + at, length - at);
        if (character > length - at)
            abort();
        at += character > 0 ? character : 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct uuid id;
    uint64_t number;
    CLEANUP(buffer_fini) struct buffer text = {0};
    buffer_append(&text, data, size);
    check_cuts(text.data, text.length);
    if (uuid_parse(text.data, &id) && strcasecmp(UUID_TEXT(&id), text.data) != 0)
        abort();
    if (unit_parse_size(text.data, &number) || unit_parse_duration(text.data, &number))
        number++;
    return 0;
}
