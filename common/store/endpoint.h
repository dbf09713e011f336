/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources and destinations: two tables of one shape, told apart by `end`. The API writes their
 * definitions with these verbs; the columns of facts (state, fault, refreshed_at …) are the
 * scheduler's, and are only read here. Credentials are here only as seals.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_ENDPOINT_H
#define GUTS_COMMON_STORE_ENDPOINT_H

#include "common/store/page.h"
#include "common/store/store.h"
#include "proto/words.h"

/* What people define. Texts of a definition are never NULL, except labels_json. */
struct endpoint_definition {
    const char *name;          /* 1 … 255 bytes, unique in its project */
    const char *driver;        /* cannot be changed later */
    const char *description;   /* at most 1024 */
    const char *settings_json; /* without secrets */
    const char *address;       /* what the seal is for */
    const void *seal;          /* NULL: no secrets */
    size_t seal_length;
    const char *seal_key_id; /* "" without a seal */
    const char *labels_json; /* an array of texts, or NULL */
};

struct endpoint {
    struct uuid id;
    const char *project;
    struct endpoint_definition definition;
    uint64_t created_at, updated_at;
    uint64_t refreshed_at;  /* 0: never */
    const char *state;      /* "new", "refreshing", "ready", "error" */
    const char *fault_code; /* NULL: none */
    const char *fault_text;
    uint64_t vm_count; /* sources only */
    uint32_t attempt;
};
struct endpoint_list {
    struct endpoint *items;
    size_t count;
    const char *next;
};

/* FAULT_NAME_TAKEN when the project has one of that name. The id is the caller's (uuid_new): seals
 * are made for it. */
bool endpoint_create(struct store *store, enum end end, const struct uuid *id, const char *project,
                     const struct endpoint_definition *definition, struct error *err) MUST_CHECK;
bool endpoint_get(struct store *store, struct arena *arena, enum end end, const char *project,
                  const struct uuid *id, struct endpoint *ret_endpoint,
                  struct error *err) MUST_CHECK;
/* By id or by name. FAULT_NAME_AMBIGUOUS where projects share the name and none was given. */
bool endpoint_find(struct store *store, struct arena *arena, enum end end, const char *project,
                   const char *name_or_id, struct endpoint *ret_endpoint,
                   struct error *err) MUST_CHECK;
/* name: NULL for all, or just the one of that name (in each project). */
bool endpoint_list(struct store *store, struct arena *arena, enum end end, const char *project,
                   const char *name, const struct page *page, struct endpoint_list *ret_list,
                   struct error *err) MUST_CHECK;
/* Replaces the whole definition except the driver, provided that the row still is as it was read
 * (if_updated_at; 0: in any case), else FAULT_CONFLICT. FAULT_NAME_TAKEN as above. */
bool endpoint_update(struct store *store, enum end end, const char *project, const struct uuid *id,
                     const struct endpoint_definition *definition, uint64_t if_updated_at,
                     struct error *err) MUST_CHECK;
/* With what was found there (a source's vms, a destination's catalogue). FAULT_IN_USE while a
 * migration that is not final or a live job refers to it; finished migrations remain as history.
 * Opens its own transaction. */
bool endpoint_delete(struct store *store, enum end end, const char *project, const struct uuid *id,
                     struct error *err) MUST_CHECK;

#endif
