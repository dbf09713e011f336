/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes and the pools that they reach, to be read. The scheduler writes them from reports.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_NODE_VIEW_H
#define GUTS_COMMON_STORE_NODE_VIEW_H

#include "common/store/page.h"
#include "common/store/store.h"
#include "proto/words.h"

struct node_pool_view {
    struct uuid id;
    const char *path; /* at this node */
    uint64_t capacity_bytes, used_bytes, free_bytes;
    int64_t available_bytes; /* after reservations; below 0 where a disk filled unexpectedly */
    uint64_t reported_at;
};
struct node_view {
    struct uuid id;
    const char *name, *host, *instance, *version;
    const char *state;  /* "enabled", "draining", "disabled" */
    const char *reason; /* why it is not enabled */
    bool up;
    const char *labels_json, *source_drivers_json, *destination_drivers_json, *resources_json;
    uint64_t report_number;
    uint64_t first_seen_at, seen_at;
    uint64_t silent_ms; /* since seen_at, by the database's clock */
    uint32_t job_count; /* live ones */
    struct node_pool_view *pools;
    size_t pool_count;
};
struct node_list {
    struct node_view *items;
    size_t count;
    const char *next;
};
/* By name, with pools. */
bool node_view_list(struct store *store, struct arena *arena, const struct page *page,
                    struct node_list *ret_list, struct error *err) MUST_CHECK;
bool node_view_find(struct store *store, struct arena *arena, const char *name_or_id,
                    struct node_view *ret_node, struct error *err) MUST_CHECK;

struct node_job_view {
    struct uuid id;
    enum job_kind kind;
    enum owner_kind owner_kind;
    struct uuid owner_id;
    const char
        *owner_name; /* the vm's of a migration, the name of a source or destination; or NULL */
    const char *project;
    const char *state;
    uint32_t attempt, run;
    uint64_t reserved_bytes, allocated_bytes;
    uint64_t assigned_at, accepted_at;
    uint64_t renewed_at; /* the node's last committed report, which names all that it holds */
};
/* The live jobs of a node, by id. */
bool node_view_jobs(struct store *store, struct arena *arena, const struct uuid *node,
                    struct node_job_view **ret_jobs, size_t *ret_count,
                    struct error *err) MUST_CHECK;

#endif
