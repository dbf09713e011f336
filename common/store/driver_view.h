/* SPDX-License-Identifier: Apache-2.0
 *
 * The drivers that nodes have declared, to be read. The scheduler writes them.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_DRIVER_VIEW_H
#define GUTS_COMMON_STORE_DRIVER_VIEW_H

#include "common/store/store.h"
#include "proto/words.h"

struct driver_view {
    enum end end;
    const char *name;
    const char *declaration_json; /* title, features, settings, options */
    uint64_t updated_at;
};

/* end END_UNKNOWN: both; by end, then name. There are as many as nodes were built with: no pages. */
bool driver_view_list(struct store *store, struct arena *arena, enum end end,
                      struct driver_view **ret_drivers, size_t *ret_count,
                      struct error *err) MUST_CHECK;
/* FAULT_DRIVER_UNKNOWN when no node has declared it. */
bool driver_view_get(struct store *store, struct arena *arena, enum end end, const char *name,
                     struct driver_view *ret_driver, struct error *err) MUST_CHECK;

#endif
