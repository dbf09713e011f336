/* SPDX-License-Identifier: Apache-2.0
 *
 * A manifest (.mf): each of its lines can be found again by its name.
 *
 * sources: migration/source/manifest.c migration/source/foreign.c proto/fault.c proto/fault_preflight.c proto/text.c
 * packages: libcrypto
 */
#include <stdlib.h>

#include "migration/source/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    struct manifest manifest;
    if (!manifest_parse((const char *)data, size, arena, &manifest, &err))
        return 0;
    for (size_t i = 0; i < manifest.count; i++) {
        if (manifest_find(&manifest, manifest.lines[i].name) != &manifest.lines[i])
            abort();
        if (manifest_verify_text(&manifest.lines[i], data, size, &err) && size == 0)
            abort();
    }
    return 0;
}
