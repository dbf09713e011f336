/* SPDX-License-Identifier: Apache-2.0
 *
 * A tar archive: members lie within it and their names lead nowhere else. Checksums are mended first, or
 * no changed header would ever be looked into.
 *
 * sources: migration/source/tarball.c migration/source/foreign.c proto/fault.c proto/fault_preflight.c proto/text.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migration/source/tarball.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_bytes(void *context, void *ret_data, size_t length, uint64_t offset,
                       size_t *ret_length, struct error *err)
{
    const struct buffer *tar = context;
    size_t left = offset < tar->length ? tar->length - (size_t)offset : 0;
    *ret_length = left < length ? left : length;
    if (*ret_length > 0)
        memcpy(ret_data, tar->data + offset, *ret_length);
    return true;
}

static void mend_checksums(struct buffer *tar)
{
    for (size_t at = 0; at + 512 <= tar->length; at += 512) {
        unsigned sum = 0;
        for (size_t i = 0; i < 512; i++)
            sum += i >= 148 && i < 156 ? ' ' : (unsigned char)tar->data[at + i];
        if (memcmp(tar->data + at + 257, "ustar", 5) == 0)
            snprintf(tar->data + at + 148, 8, "%06o", sum & 0777777);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(buffer_fini) struct buffer tar = {0};
    struct error err = {0};
    struct tarball archive;
    buffer_append(&tar, data, size);
    mend_checksums(&tar);
    struct tarball_reader reader = {.read = read_bytes, .context = &tar, .size_bytes = tar.length};
    if (!tarball_list(&reader, arena, &archive, &err))
        return 0;
    for (size_t i = 0; i < archive.count; i++) {
        const struct tarball_member *member = &archive.members[i];
        if (member->offset_bytes + member->size_bytes > tar.length || member->name[0] == '/' ||
            strncmp(member->name, "../", 3) == 0 || strstr(member->name, "/../") != NULL)
            abort();
    }
    return 0;
}
