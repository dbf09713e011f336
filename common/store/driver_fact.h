/* SPDX-License-Identifier: Apache-2.0
 *
 * Declarations of drivers, as nodes sent them; the API builds forms and checks settings with them.
 */
#ifndef GUTS_COMMON_STORE_DRIVER_FACT_H
#define GUTS_COMMON_STORE_DRIVER_FACT_H

#include "common/db/db.h"
#include "proto/words.h"

struct driver_fact {
    enum end end;
    const char *name;
    const char *declaration_json; /* title, features, settings, options */
    uint64_t updated_at;
};
bool driver_fact_save(struct db *db, const struct driver_fact *drivers, size_t count,
                      struct error *err) MUST_CHECK;
bool driver_fact_load(struct db *db, struct arena *arena, struct driver_fact **ret_drivers,
                      size_t *ret_count, struct error *err) MUST_CHECK;

#endif
