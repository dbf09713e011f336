/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a VMDK descriptor: names that were let pass stay in their directory, numbers in their bounds.
 * sources: migration/disk/vmdk_descriptor.c proto/fault.c proto/fault_preflight.c
 */
#include <stdlib.h>
#include <string.h>

#include "migration/disk/vmdk_inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    struct error err = {0};
    if (!vmdk_name_check(name, &err))
        return;
    if (name[0] == '/' || strcmp(name, "..") == 0 || strncmp(name, "../", 3) == 0 ||
        strstr(name, "/../") != NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmdk_descriptor descriptor;
    struct error err = {0};
    if (!vmdk_descriptor_parse((const char *)data, size, &descriptor, &err)) {
        if (err.fault == NULL)
            abort();
        return 0;
    }
    if (descriptor.line_count > VMDK_EXTENTS_MOST)
        abort();
    for (size_t i = 0; i < descriptor.line_count; i++) {
        const struct vmdk_line *line = &descriptor.lines[i];
        if (line->sectors == 0 || line->sectors > 1ull << 40 || line->offset_sectors > 1ull << 40)
            abort();
        if (line->name != NULL)
            check_name(line->name);
        else if (line->kind != VMDK_LINE_ZERO)
            abort();
    }
    if (descriptor.parent_name != NULL)
        check_name(descriptor.parent_name);
    vmdk_descriptor_fini(&descriptor);
    return 0;
}
