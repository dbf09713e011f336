/* SPDX-License-Identifier: Apache-2.0
 *
 * Pools of conversion space as the scheduler last judged them.
 */
#ifndef GUTS_COMMON_STORE_POOL_H
#define GUTS_COMMON_STORE_POOL_H

#include "common/db/db.h"

struct pool_fact {
    struct uuid id;
    uint64_t capacity_bytes; /* configured */
    uint64_t used_bytes;
    uint64_t free_bytes; /* statvfs */
    int64_t
        available_bytes; /* after reservations; below 0 when promised space was taken by others */
    uint64_t reported_at;
};
bool pool_save(struct db *db, const struct pool_fact *const *pools, size_t count,
               struct error *err) MUST_CHECK;
bool pool_load(struct db *db, struct arena *arena, struct pool_fact **ret_pools, size_t *ret_count,
               struct error *err) MUST_CHECK;

#endif
