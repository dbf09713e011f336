/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of a job: what stands on a node's disk may be torn or damaged anywhere.
 *
 * sources: migration/journal.c
 * packages: libxxhash
 */
#include <stdlib.h>

#include "migration/journal.h"

static bool visit(void *context, enum journal_kind kind, const void *data, size_t length)
{
    const volatile unsigned char *bytes = data;
    unsigned *sum = context;
    for (size_t i = 0; i < length; i++)
        *sum += bytes[i] + (unsigned)kind;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned sum = 0;
    size_t valid = journal_parse(data, size, visit, &sum);
    if (valid > size || journal_parse(data, valid, NULL, NULL) != valid)
        abort();
    return 0;
}
