/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/point_read.h"

bool store_expect_point_reads(struct store *store, uint64_t *connection, struct error *err)
{
    struct db *db = store_db(store);
    if (*connection != 0 && *connection == db_connection_count(db) && db_connection_id(db) != 0)
        return true;
    if (!db_execute(db, "SET SESSION eq_range_index_dive_limit = 1", NULL, 0, NULL, err))
        return false;
    *connection = db_connection_count(db);
    return true;
}
