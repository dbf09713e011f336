/* SPDX-License-Identifier: Apache-2.0
 *
 * The vms that discoveries found, to be read. The scheduler writes them (inventory).
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_VM_VIEW_H
#define GUTS_COMMON_STORE_VM_VIEW_H

#include "common/store/page.h"
#include "common/store/store.h"
#include "proto/lifecycle.h"
#include "proto/vm.h"

struct vm_view {
    struct uuid id;
    const char *project;
    struct uuid source_id;
    const char *source_name; /* NULL when the source is gone */
    struct vm vm;            /* disks and nics only where a verb says so, else 0 of them */
    uint64_t capacity_bytes; /* of all disks */
    uint32_t disk_total;     /* how many disks, also where vm.disks is empty */
    uint64_t gone_at;        /* 0: the last whole discovery saw it */
    uint64_t created_at, updated_at;
    struct uuid migration_id; /* the open one, nil without */
    enum migration_state migration_state;
};
struct vm_list {
    struct vm_view *items;
    size_t count;
    const char *next;
};

enum vm_gone { VM_GONE_HIDDEN, VM_GONE_SHOWN, VM_GONE_ONLY };
struct vm_filter {
    const char *project;     /* NULL: all */
    struct uuid source_id;   /* nil: all */
    const char *name;        /* exactly; NULL: all */
    const char *name_prefix; /* NULL: no such filter; "" is every vm, sorted by name */
    enum vm_power power;
    bool has_power;
    enum vm_gone gone;
};
/* Sorted by id; with name_prefix by (name, id). Always ascending unless the page says otherwise. */
bool vm_view_list(struct store *store, struct arena *arena, const struct vm_filter *filter,
                  const struct page *page, struct vm_list *ret_list, struct error *err) MUST_CHECK;
/* With disks and NICs. */
bool vm_view_get(struct store *store, struct arena *arena, const char *project,
                 const struct uuid *id, struct vm_view *ret_vm, struct error *err) MUST_CHECK;
/* Many at once in two round trips, for requests that came at the same time: ret_vms holds one pointer
 * for each id, NULL where there is no such vm. It does not look at projects: the caller compares. At
 * most VM_VIEW_BATCH ids. */
#define VM_VIEW_BATCH 64
bool vm_view_get_many(struct store *store, struct arena *arena, const struct uuid *ids,
                      size_t count, struct vm_view **ret_vms, struct error *err) MUST_CHECK;

/* What the migrate call asks: many vms by name or id at once (an id wins over a name that looks
 * like one). Vms that are gone are found by id only. */
struct vm_match {
    size_t found; /* 0: no such vm; 2: the name is ambiguous; 1: as follows */
    struct uuid id, source_id;
    const char *project;
    const char *name;
    enum vm_power power;
    uint64_t capacity_bytes;
    uint64_t gone_at;
    const char *obstacle_code; /* NULL: none */
    const char *obstacle_text;
};
/* ret_matches: one for each text, in their order. source: nil for any. */
bool vm_view_match(struct store *store, struct arena *arena, const char *project,
                   const struct uuid *source, const char *const *names_or_ids, size_t count,
                   struct vm_match **ret_matches, struct error *err) MUST_CHECK;
/* Whether each text surely is the id or the one name of a vm of project `home` (one that is gone only
 * by its id), as vm_view_match would find it: much cheaper than that for thousands. False may also
 * mean "ask vm_view_match". */
bool vm_view_are_plain(struct store *store, struct arena *arena, const char *project,
                       const struct uuid *source, const char *home, const char *const *names_or_ids,
                       size_t count, bool *ret_plain, struct error *err) MUST_CHECK;

#endif
