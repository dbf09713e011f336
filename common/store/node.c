/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/node.h"

#include <string.h>

#include "common/store/bind.h"

#define NODE_COLUMNS                                                                               \
    "id, name, host, instance, version, state, reason, up, labels_json, source_drivers_json, "     \
    "destination_drivers_json, resources_json, report_number, first_seen_at, seen_at"
enum { NODE_WIDTH = 15 };

static void bind_node(const struct node_fact *node, struct db_value *into)
{
    const struct db_value row[NODE_WIDTH] = {
        db_uuid(&node->id),
        db_text(node->name),
        bind_cut_full(node->host, 255),
        db_text(node->instance),
        bind_cut_full(node->version, 64),
        db_text(node->state),
        bind_cut_full(node->reason, 1024),
        db_unsigned(node->up),
        db_text(node->labels_json),
        db_text(node->source_drivers_json),
        db_text(node->destination_drivers_json),
        db_text(node->resources_json),
        db_unsigned(node->report_number),
        db_unsigned(node->first_seen_at),
        db_unsigned(node->seen_at),
    };
    memcpy(into, row, sizeof row);
}

static bool save(struct db *db, const struct node_fact *const *nodes, size_t count,
                 const char *tail, struct error *err)
{
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * NODE_WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        bind_node(nodes[i], &values[i * NODE_WIDTH]);
    return db_execute_rows(db, "INSERT INTO nodes (" NODE_COLUMNS ") VALUES ",
                           "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", tail, values,
                           NODE_WIDTH, count, NULL, err);
}

bool node_save(struct db *db, const struct node_fact *const *nodes, size_t count, struct error *err)
{
    return save(db, nodes, count,
                " ON DUPLICATE KEY UPDATE name = VALUES(name), host = VALUES(host),"
                " instance = VALUES(instance), version = VALUES(version), state = VALUES(state),"
                " reason = VALUES(reason), up = VALUES(up), labels_json = VALUES(labels_json),"
                " source_drivers_json = VALUES(source_drivers_json),"
                " destination_drivers_json = VALUES(destination_drivers_json),"
                " resources_json = VALUES(resources_json),"
                " report_number = VALUES(report_number), seen_at = VALUES(seen_at)",
                err);
}

bool node_save_seen(struct db *db, const struct node_fact *const *nodes, size_t count,
                    struct error *err)
{
    return save(db, nodes, count,
                " ON DUPLICATE KEY UPDATE report_number = VALUES(report_number),"
                " seen_at = VALUES(seen_at)",
                err);
}

bool node_load(struct db *db, struct arena *arena, struct node_fact **ret_nodes, size_t *ret_count,
               struct error *err)
{
    struct db_rows *rows;
    if (!db_query(db, arena, "SELECT " NODE_COLUMNS " FROM nodes ORDER BY id", NULL, 0, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct node_fact *nodes = arena_calloc(arena, count + 1, sizeof *nodes);
    for (size_t i = 0; i < count; i++)
        nodes[i] = (struct node_fact){
            .id = db_rows_uuid(rows, i, 0),
            .name = db_rows_text(rows, i, 1),
            .host = db_rows_text(rows, i, 2),
            .instance = db_rows_text(rows, i, 3),
            .version = db_rows_text(rows, i, 4),
            .state = db_rows_text(rows, i, 5),
            .reason = db_rows_text(rows, i, 6),
            .up = db_rows_unsigned(rows, i, 7) != 0,
            .labels_json = db_rows_text(rows, i, 8),
            .source_drivers_json = db_rows_text(rows, i, 9),
            .destination_drivers_json = db_rows_text(rows, i, 10),
            .resources_json = db_rows_text(rows, i, 11),
            .report_number = db_rows_unsigned(rows, i, 12),
            .first_seen_at = db_rows_unsigned(rows, i, 13),
            .seen_at = db_rows_unsigned(rows, i, 14),
        };
    *ret_nodes = nodes;
    *ret_count = count;
    return true;
}

bool node_delete(struct db *db, const struct uuid *id, struct error *err)
{
    const struct db_value values[] = {db_uuid(id)};
    return db_execute(db, "DELETE FROM node_pools WHERE node_id = ?", values, 1, NULL, err) &&
           db_execute(db, "DELETE FROM remains WHERE node_id = ?", values, 1, NULL, err) &&
           db_execute(db, "DELETE FROM strays WHERE endpoint_id = ?", values, 1, NULL, err) &&
           db_execute(db, "DELETE FROM nodes WHERE id = ?", values, 1, NULL, err);
}

bool node_pool_replace(struct db *db, const struct uuid *node_id,
                       const struct node_pool_fact *pools, size_t count, struct error *err)
{
    enum { WIDTH = 3 };
    const struct db_value node = db_uuid(node_id);
    if (!db_execute(db, "DELETE FROM node_pools WHERE node_id = ?", &node, 1, NULL, err))
        return false;
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++) {
        values[i * WIDTH] = db_uuid(&pools[i].node_id);
        values[i * WIDTH + 1] = db_uuid(&pools[i].pool_id);
        values[i * WIDTH + 2] = bind_cut_full(pools[i].path, 1024);
    }
    return db_execute_rows(db, "INSERT INTO node_pools (node_id, pool_id, path) VALUES ",
                           "(?, ?, ?)", " ON DUPLICATE KEY UPDATE path = VALUES(path)", values,
                           WIDTH, count, NULL, err);
}

bool node_pool_load(struct db *db, struct arena *arena, struct node_pool_fact **ret_pools,
                    size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    if (!db_query(db, arena, "SELECT node_id, pool_id, path FROM node_pools", NULL, 0, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct node_pool_fact *pools = arena_calloc(arena, count + 1, sizeof *pools);
    for (size_t i = 0; i < count; i++)
        pools[i] = (struct node_pool_fact){db_rows_uuid(rows, i, 0), db_rows_uuid(rows, i, 1),
                                           db_rows_text(rows, i, 2)};
    *ret_pools = pools;
    *ret_count = count;
    return true;
}
