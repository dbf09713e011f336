/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding .vmx files beneath a directory: in a fixed order, bounded in depth and number, never through
 * links. Hostile trees cost a bounded time.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_SOURCE_SCAN_H
#define GUTS_MIGRATION_SOURCE_SCAN_H

#include "common/base/error.h"
#include "common/base/memory.h"

#define SCAN_DEPTH_MOST 12
#define SCAN_ENTRIES_MOST 1000000
#define SCAN_FOUND_MOST 100000

struct scan_result {
    const char **paths; /* relative to the directory, sorted by bytes */
    size_t count;
};
/* Names that end so (".vmx"), without regard to case. What cannot be read beneath the directory is
 * passed over and counted in ret_unreadable. FAULT_TOO_LARGE beyond the bounds. go_on may be NULL. */
struct scan_plan {
    int directory_fd;
    const char *const *suffixes; /* NULL-terminated */
    bool (*go_on)(void *context, struct error *err);
    void *context;
};
bool scan_tree(const struct scan_plan *plan, struct arena *arena, struct scan_result *ret_result,
               size_t *ret_unreadable, struct error *err) MUST_CHECK;

#endif
