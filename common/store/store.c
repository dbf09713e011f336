/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/store.h"

struct store {
    struct db *db;
};

struct store *store_new(const struct db_settings *settings)
{
    struct store *store = xcalloc(1, sizeof(*store));
    store->db = db_new(settings);
    return store;
}

void store_free(struct store *store)
{
    if (store == NULL)
        return;
    db_free(store->db);
    free(store);
}

void store_freep(struct store **store)
{
    store_free(*store);
    *store = NULL;
}

struct db *store_db(struct store *store)
{
    return store->db;
}

bool store_ping(struct store *store, struct error *err)
{
    return db_ping(store->db, err);
}

bool store_now(struct store *store, uint64_t *ret_now_us, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    if (!db_query(store->db, arena, "SELECT " STORE_NOW, NULL, 0, &rows, err))
        return false;
    *ret_now_us = db_rows_unsigned(rows, 0, 0);
    return true;
}
