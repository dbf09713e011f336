/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes and which pools they hold, as the scheduler writes them.
 */
#ifndef GUTS_COMMON_STORE_NODE_H
#define GUTS_COMMON_STORE_NODE_H

#include "common/db/db.h"

struct node_fact {
    struct uuid id;
    const char *name;
    const char *host;
    const char *instance;
    const char *version;
    const char *state; /* "enabled", "draining", "disabled" */
    const char *reason;
    bool up;
    const char *labels_json; /* arrays of texts */
    const char *source_drivers_json;
    const char *destination_drivers_json;
    const char *resources_json; /* {"slot": 4} */
    uint64_t report_number;
    uint64_t first_seen_at, seen_at;
};
/* Inserts or replaces; first_seen_at stays. */
bool node_save(struct db *db, const struct node_fact *const *nodes, size_t count,
               struct error *err) MUST_CHECK;
/* Only report_number and seen_at, for nodes whose rows exist. */
bool node_save_seen(struct db *db, const struct node_fact *const *nodes, size_t count,
                    struct error *err) MUST_CHECK;
bool node_load(struct db *db, struct arena *arena, struct node_fact **ret_nodes, size_t *ret_count,
               struct error *err) MUST_CHECK;
/* With its pools' paths. */
bool node_delete(struct db *db, const struct uuid *id, struct error *err) MUST_CHECK;

struct node_pool_fact {
    struct uuid node_id;
    struct uuid pool_id;
    const char *path;
};
/* Replaces which pools a node holds. */
bool node_pool_replace(struct db *db, const struct uuid *node_id,
                       const struct node_pool_fact *pools, size_t count,
                       struct error *err) MUST_CHECK;
bool node_pool_load(struct db *db, struct arena *arena, struct node_pool_fact **ret_pools,
                    size_t *ret_count, struct error *err) MUST_CHECK;

#endif
