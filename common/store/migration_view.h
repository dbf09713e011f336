/* SPDX-License-Identifier: Apache-2.0
 *
 * Migrations, to be read. The scheduler moves them.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_MIGRATION_VIEW_H
#define GUTS_COMMON_STORE_MIGRATION_VIEW_H

#include "common/store/page.h"
#include "common/store/store.h"
#include "proto/lifecycle.h"
#include "proto/words.h"

/* Texts are NULL and times 0 where the row holds NULL. */
struct migration_view {
    struct uuid id;
    const char *project;
    struct uuid vm_id, source_id, destination_id;
    const char *source_name, *destination_name; /* NULL when it is gone */
    const char *vm_name, *server_name;
    const char *on_failure;
    bool dry_run;
    const char *who;
    uint64_t created_at;
    enum migration_state state;
    uint32_t version;
    uint32_t attempt;
    struct uuid job_id, node_id;
    const char *node_name;
    enum migration_state way; /* MIGRATION_UNKNOWN while not known */
    const char *fault_code, *fault_text;
    uint32_t retries, resumes;
    uint64_t total_bytes, done_bytes, read_bytes, written_bytes;
    uint64_t updated_at, started_at, finished_at, due_at;
};
struct migration_list {
    struct migration_view *items;
    size_t count;
    const char *next;
};
struct migration_filter {
    const char *project;                          /* NULL: all */
    enum migration_state state;                   /* MIGRATION_UNKNOWN: all */
    struct uuid source_id, destination_id, vm_id; /* nil: all */
    const char *name;                             /* of the vm, exactly; NULL: all */
};
/* Sorted by id, which is by age. */
bool migration_view_list(struct store *store, struct arena *arena,
                         const struct migration_filter *filter, const struct page *page,
                         struct migration_list *ret_list, struct error *err) MUST_CHECK;

struct migration_disk_view {
    uint32_t number;
    uint64_t capacity_bytes, total_bytes, done_bytes, read_bytes, written_bytes;
    const char *digest; /* "" while not known */
};
struct migration_step_view {
    struct uuid job_id;
    uint32_t attempt, number;
    const char *name;
    const char *state; /* "running", "done", "failed", "undone", "skipped", "interrupted" */
    uint64_t started_at, finished_at;
    const char *fault_code, *fault_text;
};
struct migration_ledger_view {
    enum end end;
    const char *kind, *key;
    uint32_t position;
    enum ledger_state state;
    const char *external_id, *prior_json, *detail;
    struct uuid job_id;
    uint32_t attempt, run;
    uint64_t created_at, updated_at;
};
/* All that one migration's page shows. */
struct migration_detail {
    struct migration_view view;
    const char *options_json, *faults_json, *evidence_json, *server_json;
    const char *reasons_json; /* of its group, while PENDING: counts and up to ten nodes */
    uint64_t reasons_at;
    struct migration_disk_view *disks; /* by number */
    size_t disk_count;
    struct migration_step_view *steps; /* by job, attempt, number: in the order of their making */
    size_t step_count;
    struct migration_ledger_view *ledger; /* by position */
    size_t ledger_count;
};
bool migration_view_get(struct store *store, struct arena *arena, const char *project,
                        const struct uuid *id, struct migration_detail *ret_detail,
                        struct error *err) MUST_CHECK;
/* Many at once in one round trip, for requests that came at the same time: ret_details holds one
 * pointer for each id, NULL where there is no such migration. It does not look at projects: the
 * caller compares view.project with the scope of each request. At most MIGRATION_VIEW_BATCH ids. */
#define MIGRATION_VIEW_BATCH 64
bool migration_view_get_many(struct store *store, struct arena *arena, const struct uuid *ids,
                             size_t count, struct migration_detail **ret_details,
                             struct error *err) MUST_CHECK;
/* Why a PENDING migration waits: every node with its reason. NULL while it was not tried yet. */
bool migration_view_reasons(struct store *store, struct arena *arena, const char *project,
                            const struct uuid *id, const char **ret_all_json,
                            struct error *err) MUST_CHECK;

#endif
