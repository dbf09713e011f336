/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of lists that grow. A list is sorted by a key and the id, and a page begins behind the last
 * row of the page before it (keyset; never OFFSET), so that the last page costs what the first does
 * and rows that come or go meanwhile shift nothing. Callers hand cursors through as they got them.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_COMMON_STORE_PAGE_H
#define GUTS_COMMON_STORE_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/uuid.h"

#define PAGE_STANDARD 100
#define PAGE_MOST 1000

/* Each list answers with its rows and `next`: the cursor of the next page, NULL on the last. */
struct page {
    size_t most;        /* rows; 0: PAGE_STANDARD; more than PAGE_MOST is FAULT_INVALID */
    bool descending;    /* newest first: ids rise with time */
    const char *cursor; /* `next` of the page before; NULL or "": the first page */
};

/* What a cursor holds: the id of the last row and, for lists sorted by a text, that text. */
struct page_cursor {
    struct uuid id;
    const char *key; /* "" for lists that are sorted by the id alone */
};
/* Opaque, URL-safe text: base64url of the id's bytes and the key's. */
const char *page_cursor_format(struct arena *arena, const struct page_cursor *cursor);
/* FAULT_INVALID for a text that page_cursor_format does not write. */
bool page_cursor_parse(struct arena *arena, const char *text, struct page_cursor *ret_cursor,
                       struct error *err) MUST_CHECK;
/* The rows to ask for: one more than the page holds, so as to know whether another follows. */
bool page_limit(const struct page *page, size_t *ret_most, struct error *err) MUST_CHECK;

#endif
