/* SPDX-License-Identifier: Apache-2.0
 *
 * Table "services".
 */
#include "common/store/service.h"

#define FORGET_US "604800000000" /* a week */

static bool forget_silent(struct store *store, const struct service *service, struct error *err)
{
    struct db_value value = db_text(service->kind);
    return db_execute(store_db(store),
                      "DELETE FROM services WHERE kind = ? AND seen_at < " STORE_NOW
                      " - " FORGET_US,
                      &value, 1, NULL, err);
}

bool service_beat(struct store *store, const struct service *service, struct error *err)
{
    struct db_value values[] = {db_text(service->name),          db_text(service->kind),
                                db_text(service->host),          db_text(service->instance),
                                db_text(service->version),       db_text(service->role),
                                db_unsigned(service->started_at)};
    uint64_t affected;
    if (!db_execute(store_db(store),
                    "INSERT INTO services (name, kind, host, instance, version, role, started_at, "
                    "seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, " STORE_NOW ") ON DUPLICATE KEY UPDATE "
                    "kind = VALUES(kind), host = VALUES(host), instance = VALUES(instance), "
                    "version = VALUES(version), role = VALUES(role), "
                    "started_at = VALUES(started_at), seen_at = VALUES(seen_at)",
                    values, COUNT_OF(values), &affected, err))
        return false;
    /* 1: a new row, so a daemon that begins; now and then is often enough to sweep */
    return affected != 1 || forget_silent(store, service, err);
}

bool service_leave(struct store *store, const char *name, struct error *err)
{
    struct db_value value = db_text(name);
    return db_execute(store_db(store), "DELETE FROM services WHERE name = ?", &value, 1, NULL, err);
}

static void read_service(const struct db_rows *rows, size_t row, struct service *service)
{
    service->name = db_rows_text(rows, row, 0);
    service->kind = db_rows_text(rows, row, 1);
    service->host = db_rows_text(rows, row, 2);
    service->instance = db_rows_text(rows, row, 3);
    service->version = db_rows_text(rows, row, 4);
    service->role = db_rows_text(rows, row, 5);
    service->started_at = db_rows_unsigned(rows, row, 6);
    service->seen_at = db_rows_unsigned(rows, row, 7);
    service->silent_ms = db_rows_unsigned(rows, row, 8);
}

bool service_list(struct store *store, struct arena *arena, struct service **ret_services,
                  size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    if (!db_query(store_db(store), arena,
                  "SELECT name, kind, host, instance, version, role, started_at, seen_at, "
                  "IF(seen_at >= " STORE_NOW ", 0, (" STORE_NOW " - seen_at) DIV 1000) "
                  "FROM services ORDER BY name",
                  NULL, 0, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct service *services = arena_calloc(arena, count + 1, sizeof(*services));
    for (size_t i = 0; i < count; i++)
        read_service(rows, i, &services[i]);
    *ret_services = services;
    *ret_count = count;
    return true;
}
