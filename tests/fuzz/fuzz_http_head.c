/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a server's answer, line by line.
 * sources: migration/disk/http_head.c
 */
#include <stdlib.h>
#include <string.h>

#include "migration/disk/http_inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head = {0};
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end != NULL ? (size_t)(end - data) + 1 : size;
        char *line = malloc(length); /* as long as told, so that a byte beyond it is noticed */
        memcpy(line, data, length);
        bool ok = http_head_take(&head, line, length);
        free(line);
        if (head.has_range && (head.first > head.last || head.last >= head.total))
            abort();
        if (strlen(head.etag) >= sizeof(head.etag) || !ok)
            return 0;
        data += length;
        size -= length;
    }
    return 0;
}
