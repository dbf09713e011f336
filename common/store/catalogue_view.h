/* SPDX-License-Identifier: Apache-2.0
 *
 * What a destination offers, to be read. The scheduler writes it from the pages of catalog jobs.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_CATALOGUE_VIEW_H
#define GUTS_COMMON_STORE_CATALOGUE_VIEW_H

#include "common/store/page.h"
#include "common/store/store.h"

struct catalogue_item {
    const char *kind; /* "flavor", "network", …: the driver's words */
    const char *item; /* the destination's id for it */
    const char *name;
    const char *detail_json;
};
struct catalogue_list {
    struct catalogue_item *items;
    size_t count;
    const char *next;
};

/* By kind, then item. kind NULL: all. FAULT_NOT_FOUND when the project has no such destination. */
bool catalogue_view_list(struct store *store, struct arena *arena, const char *project,
                         const struct uuid *destination, const char *kind, const struct page *page,
                         struct catalogue_list *ret_list, struct error *err) MUST_CHECK;

/* All of one kind, by item; of more than `most` just so many, and *ret_whole is false. The destination
 * is known to be the caller's. */
bool catalogue_view_kind(struct store *store, struct arena *arena, const struct uuid *destination,
                         const char *kind, size_t most, struct catalogue_item **ret_items,
                         size_t *ret_count, bool *ret_whole, struct error *err) MUST_CHECK;

#endif
