/* SPDX-License-Identifier: Apache-2.0
 *
 * Wishes: what somebody asked for. The API inserts them and reads their outcome, which the scheduler
 * writes (wish_outcome.h).
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_WISH_H
#define GUTS_COMMON_STORE_WISH_H

#include "common/store/page.h"
#include "common/store/store.h"
#include "proto/words.h"

struct wish {
    struct uuid id;
    const char *verb; /* "cancel", "retry", "rollback", "cleanup", "delete", "refresh", "test", … */
    enum owner_kind owner_kind;
    struct uuid owner_id;
    const char *project;
    const char *arguments_json; /* NULL: none */
    const char *who;
    uint64_t created_at;
    const char *state; /* "open", "taken", "done", "refused", "failed" */
    const char *fault_code, *fault_text;
    const char *answer_json;
    uint64_t finished_at;
};
struct wish_list {
    struct wish *items;
    size_t count;
    const char *next;
};

/* Reads of `wish` the id (uuid_new) and what follows up to `who`; it is open and due at once. */
bool wish_insert(struct store *store, const struct wish *wish, struct error *err) MUST_CHECK;
bool wish_get(struct store *store, struct arena *arena, const char *project, const struct uuid *id,
              struct wish *ret_wish, struct error *err) MUST_CHECK;
/* Of one owner, by age. */
bool wish_list(struct store *store, struct arena *arena, const char *project,
               enum owner_kind owner_kind, const struct uuid *owner, const struct page *page,
               struct wish_list *ret_list, struct error *err) MUST_CHECK;
/* Those that the scheduler has yet to take (due by the database's clock), longest due first. */
bool wish_list_due(struct store *store, struct arena *arena, size_t most,
                   struct wish_list *ret_list, struct error *err) MUST_CHECK;

#endif
