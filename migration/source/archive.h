/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of a tar archive (POSIX.1-1988 ustar; sizes in base 256 and names by pax and GNU
 * headers) and where they lie in it, so that disks are read in place. Nothing is ever unpacked. Own code
 * rather than libarchive's, because that one gives no offsets. Hostile input: links, devices, paths
 * that climb, sizes beyond the end are FAULT_ARCHIVE_INVALID.
 *
 * Threads: as the reader.
 */
#ifndef GUTS_MIGRATION_SOURCE_ARCHIVE_H
#define GUTS_MIGRATION_SOURCE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"

#define ARCHIVE_MEMBERS_MOST 1024
#define ARCHIVE_NAME_MOST 1024

/* Where the bytes come from: a file, or ranges of a URL. */
struct archive_reader {
    /* At most length bytes; fewer only at the end. */
    bool (*read)(void *context, void *ret_data, size_t length, uint64_t offset, size_t *ret_length,
                 struct error *err);
    void *context;
    uint64_t size_bytes; /* UINT64_MAX when not known */
};
struct archive_member {
    const char *name;
    uint64_t offset_bytes;
    uint64_t size_bytes;
};
struct archive {
    struct archive_member *members; /* in the archive's order */
    size_t count;
};
bool archive_list(const struct archive_reader *reader, struct arena *arena,
                  struct archive *ret_archive, struct error *err) MUST_CHECK;
const struct archive_member *archive_find(const struct archive *archive, const char *name);

#endif
