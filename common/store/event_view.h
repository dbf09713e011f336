/* SPDX-License-Identifier: Apache-2.0
 *
 * Events, to be read. Their number is the id of the event stream, given by the leader alone.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_EVENT_VIEW_H
#define GUTS_COMMON_STORE_EVENT_VIEW_H

#include "common/store/store.h"
#include "proto/words.h"

struct event_view {
    uint64_t number;
    uint64_t at;
    const char *project; /* "": of the whole site, for admins */
    const char *kind;
    const char *severity; /* "info", "warn", "error" */
    enum owner_kind owner_kind;
    struct uuid owner_id; /* nil: none */
    const char *text;
    const char *data_json;
};
struct event_filter {
    const char *project;  /* NULL: all, and those of the whole site */
    struct uuid owner_id; /* nil: all */
};

/* Numbers above `after`, lowest first, at most `most` (1 … 1000): the stream, and what follows a
 * Last-Event-ID. */
bool event_view_after(struct store *store, struct arena *arena, const struct event_filter *filter,
                      uint64_t after, size_t most, struct event_view **ret_events,
                      size_t *ret_count, struct error *err) MUST_CHECK;
/* Numbers below `before` (0: from the newest), highest first: what a person looks back at. */
bool event_view_before(struct store *store, struct arena *arena, const struct event_filter *filter,
                       uint64_t before, size_t most, struct event_view **ret_events,
                       size_t *ret_count, struct error *err) MUST_CHECK;
/* The highest number that is committed; 0 before the first. */
bool event_view_highest(struct store *store, uint64_t *ret_number, struct error *err) MUST_CHECK;
/* The lowest number that is still kept; 0 when none is. */
bool event_view_lowest(struct store *store, uint64_t *ret_number, struct error *err) MUST_CHECK;
/* Whether the database went back in time since event `last` of the moment `last_at` (0: not known) was
 * read: that number was not given yet, or to another event. ret_highest is the highest there is. */
bool event_view_went_back(struct store *store, uint64_t last, uint64_t last_at, bool *ret_back,
                          uint64_t *ret_highest, struct error *err) MUST_CHECK;

#endif
