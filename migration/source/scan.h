/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding machines' files beneath a directory: in a fixed order, bounded in depth and number, never
 * through links. Hostile trees cost a bounded time.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_SOURCE_SCAN_H
#define GUTS_MIGRATION_SOURCE_SCAN_H

#include "common/base/error.h"
#include "common/base/memory.h"
#include "migration/work.h"

#define SCAN_DEPTH_MOST 12
#define SCAN_ENTRIES_MOST 1000000
#define SCAN_FOUND_MOST 100000

struct scan_result {
    const char **paths; /* relative to the directory, sorted by bytes */
    size_t count;
};
/* The files beneath the directory whose names end in one of the suffixes (".vmx", NULL-terminated),
 * without regard to case. What has just gone is passed over; so is what may not be read, and the work is
 * told so (a note, and that its list is partial). Any other failure fails the scan: machines it had not
 * come to would look deleted.
 * FAULT_TOO_LARGE beyond the bounds. */
bool scan_tree(int directory_fd, const char *const *suffixes, struct work *work,
               struct arena *arena, struct scan_result *ret_result, struct error *err) MUST_CHECK;

#endif
