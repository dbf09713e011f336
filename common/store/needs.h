/* SPDX-License-Identifier: Apache-2.0
 *
 * Why groups of waiting jobs with equal needs wait: written by the scheduler, shown by the API.
 */
#ifndef GUTS_COMMON_STORE_NEEDS_H
#define GUTS_COMMON_STORE_NEEDS_H

#include "common/db/db.h"

struct needs_fact {
    struct uuid hash;
    const char *needs_json;
    const char *reasons_json; /* counts per reason, up to ten nodes by name */
    const char *all_json;     /* every node */
    uint64_t tried_at;
};
bool needs_save(struct db *db, const struct needs_fact *needs, size_t count,
                struct error *err) MUST_CHECK;
bool needs_delete(struct db *db, const struct uuid *hashes, size_t count,
                  struct error *err) MUST_CHECK;

#endif
