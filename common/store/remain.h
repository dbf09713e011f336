/* SPDX-License-Identifier: Apache-2.0
 *
 * Remains: what attempts that were lost with their nodes still hold of pools. Written by the scheduler.
 */
#ifndef GUTS_COMMON_STORE_REMAIN_H
#define GUTS_COMMON_STORE_REMAIN_H

#include "common/db/db.h"

struct remain_fact {
    struct uuid job_id;
    uint32_t attempt;
    struct uuid node_id, pool_id;
    uint64_t reserved_bytes;
    uint64_t allocated_bytes; /* of these, as the node told last */
    uint64_t left_at;
};

/* Inserts rows, or tells anew what is allocated. */
bool remain_save(struct db *db, const struct remain_fact *remains, size_t count,
                 struct error *err) MUST_CHECK;
bool remain_delete(struct db *db, const struct uuid *job_id, uint32_t attempt,
                   struct error *err) MUST_CHECK; /* those of a deleted node go with it */
bool remain_load(struct db *db, struct arena *arena, struct remain_fact **ret_remains,
                 size_t *ret_count, struct error *err) MUST_CHECK;

#endif
