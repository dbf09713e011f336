/* SPDX-License-Identifier: Apache-2.0
 *
 * A statement put together from constant pieces: filters that may be absent, and the keyset of a
 * page. Only constants go into the text (so there are few texts, each prepared once); every value is
 * bound. Used by the files of this room.
 *
 * Threads: belongs to one thread.
 */
#ifndef GUTS_COMMON_STORE_QUERY_H
#define GUTS_COMMON_STORE_QUERY_H

#include "common/store/page.h"
#include "common/store/store.h"

#define QUERY_VALUES_MOST 24

struct query {
    struct arena *arena;
    struct buffer text;
    struct db_value values[QUERY_VALUES_MOST];
    size_t count;
    size_t most; /* rows of the page and one more; 0 without a page */
};
/* `CLEANUP(query_fini) struct query query = {.arena = arena};` */
void query_fini(struct query *query);
void query_add(struct query *query, const char *piece); /* a constant */
void query_bind(struct query *query, const char *piece, struct db_value value);
/* " AND <column> = ?" when there is something to filter by: not NULL, not nil. */
void query_match_text(struct query *query, const char *piece, const char *text);
void query_match_uuid(struct query *query, const char *piece, const struct uuid *id);

/* " AND id > cursor ORDER BY id LIMIT most + 1", or descending; `id` is the column. */
bool query_page_by_id(struct query *query, const char *id, const struct page *page,
                      struct error *err) MUST_CHECK;
/* The same for (key, id), where the cursor carries the key's text. id NULL: the key is unique, and
 * stands alone. */
bool query_page_by_key(struct query *query, const char *key, const char *id,
                       const struct page *page, struct error *err) MUST_CHECK;
bool query_run(struct query *query, struct store *store, struct db_rows **ret_rows,
               struct error *err) MUST_CHECK;

/* How many of the rows belong to the page, given what query_page_… asked for. */
size_t query_page_count(const struct query *query, const struct db_rows *rows);
/* The cursor behind the page's last row, or NULL when no row follows. */
const char *query_page_next(const struct query *query, const struct db_rows *rows,
                            const struct uuid *last_id, const char *last_key);

#endif
