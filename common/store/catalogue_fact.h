/* SPDX-License-Identifier: Apache-2.0
 *
 * A destination's catalogue as catalog jobs find it.
 */
#ifndef GUTS_COMMON_STORE_CATALOGUE_FACT_H
#define GUTS_COMMON_STORE_CATALOGUE_FACT_H

#include "common/db/db.h"

struct catalogue_fact {
    const char *kind;
    const char *item; /* the destination's id */
    const char *name;
    const char *detail_json;
};
bool catalogue_fact_save(struct db *db, const struct uuid *destination_id, uint64_t refresh,
                         const struct catalogue_fact *items, size_t count,
                         struct error *err) MUST_CHECK;
/* Drops what neither this refresh nor a later one saw. */
bool catalogue_fact_sweep(struct db *db, const struct uuid *destination_id, uint64_t refresh,
                          struct error *err) MUST_CHECK;

#endif
