/* SPDX-License-Identifier: Apache-2.0
 *
 * The members of a tar archive (POSIX.1-1988 ustar; sizes in base 256 and names by pax and GNU
 * headers) and where they lie in it, so that disks are read in place. Nothing is ever unpacked. Own code
 * rather than libarchive's, because that one gives no offsets. Hostile input: links, devices, paths
 * that climb, sizes beyond the end are FAULT_ARCHIVE_INVALID.
 *
 * Threads: as the reader.
 */
#ifndef GUTS_MIGRATION_SOURCE_TARBALL_H
#define GUTS_MIGRATION_SOURCE_TARBALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"

#define TARBALL_MEMBERS_MOST 1024
#define TARBALL_NAME_MOST 1024

/* Where the bytes come from: a file, or ranges of a URL. */
struct tarball_reader {
    /* At most length bytes; fewer only at the end. */
    bool (*read)(void *context, void *ret_data, size_t length, uint64_t offset, size_t *ret_length,
                 struct error *err);
    void *context;
    uint64_t size_bytes; /* UINT64_MAX when not known */
};
struct tarball_member {
    const char *name;
    uint64_t offset_bytes;
    uint64_t size_bytes;
};
struct tarball {
    struct tarball_member *members; /* in the archive's order */
    size_t count;
};
bool tarball_list(const struct tarball_reader *reader, struct arena *arena,
                  struct tarball *ret_archive, struct error *err) MUST_CHECK;
const struct tarball_member *tarball_find(const struct tarball *archive, const char *name);

#endif
