/* SPDX-License-Identifier: Apache-2.0
 *
 * Strays of a source or destination: things that carry a migration's mark and that nobody holds, as the
 * last whole look found them. Strays of a node: directories of jobs in its conversion spaces.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_STRAY_H
#define GUTS_COMMON_STORE_STRAY_H

#include "common/db/db.h"
#include "common/store/page.h"
#include "common/store/store.h"

struct stray {
    const char *kind;      /* "disk", "server", …: the driver's words */
    const char *key;       /* names it at its end */
    struct uuid migration; /* whose mark it carries */
    const char *detail_json;
};
struct stray_list {
    struct stray *items;
    size_t count;
    const char *next;
};

/* For the API: by kind, then key. The endpoint was found before. */
bool stray_list(struct store *store, struct arena *arena, const struct uuid *endpoint,
                const struct page *page, struct stray_list *ret_list, struct error *err) MUST_CHECK;
/* For the scheduler: the first `most`. */
bool stray_load(struct db *db, struct arena *arena, const struct uuid *endpoint, size_t most,
                struct stray **ret_strays, size_t *ret_count, struct error *err) MUST_CHECK;
/* What the look of this time saw: new ones, and those that were known. */
bool stray_save(struct db *db, const struct uuid *endpoint, uint64_t look,
                const struct stray *strays, size_t count, struct error *err) MUST_CHECK;
/* Drops those that neither this look nor a later one saw. */
bool stray_sweep(struct db *db, const struct uuid *endpoint, uint64_t look,
                 struct error *err) MUST_CHECK;

#endif
