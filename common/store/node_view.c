/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables "nodes", "node_pools", "pools", and the live rows of "jobs".
 */
#include "common/store/node_view.h"

#include <string.h>

#include "common/store/query.h"

#define COLUMNS                                                                                    \
    "SELECT n.id, n.name, n.host, n.instance, n.version, n.state, n.reason, n.up, n.labels_json, " \
    "n.source_drivers_json, n.destination_drivers_json, n.resources_json, n.report_number, "       \
    "n.first_seen_at, n.seen_at, IF(n.seen_at >= " STORE_NOW ", 0, (" STORE_NOW                    \
    " - n.seen_at) DIV 1000), (SELECT COUNT(*) FROM jobs j WHERE j.node_id = n.id AND j.live = 1)" \
    " FROM nodes n WHERE 1 = 1"
enum column {
    ID,
    NAME,
    HOST,
    INSTANCE,
    VERSION,
    STATE,
    REASON,
    UP,
    LABELS,
    SOURCE_DRIVERS,
    DESTINATION_DRIVERS,
    RESOURCES,
    REPORT_NUMBER,
    FIRST_SEEN_AT,
    SEEN_AT,
    SILENT_MS,
    JOB_COUNT
};

static void read_node(const struct db_rows *rows, size_t row, struct node_view *node)
{
    node->id = db_rows_uuid(rows, row, ID);
    node->name = db_rows_text(rows, row, NAME);
    node->host = db_rows_text(rows, row, HOST);
    node->instance = db_rows_text(rows, row, INSTANCE);
    node->version = db_rows_text(rows, row, VERSION);
    node->state = db_rows_text(rows, row, STATE);
    node->reason = db_rows_text(rows, row, REASON);
    node->up = db_rows_unsigned(rows, row, UP) != 0;
    node->labels_json = db_rows_text(rows, row, LABELS);
    node->source_drivers_json = db_rows_text(rows, row, SOURCE_DRIVERS);
    node->destination_drivers_json = db_rows_text(rows, row, DESTINATION_DRIVERS);
    node->resources_json = db_rows_text(rows, row, RESOURCES);
    node->report_number = db_rows_unsigned(rows, row, REPORT_NUMBER);
    node->first_seen_at = db_rows_unsigned(rows, row, FIRST_SEEN_AT);
    node->seen_at = db_rows_unsigned(rows, row, SEEN_AT);
    node->silent_ms = db_rows_unsigned(rows, row, SILENT_MS);
    node->job_count = (uint32_t)db_rows_unsigned(rows, row, JOB_COUNT);
}

static void read_pool(const struct db_rows *rows, size_t row, struct node_pool_view *pool)
{
    pool->id = db_rows_uuid(rows, row, 1);
    pool->path = db_rows_text(rows, row, 2);
    pool->capacity_bytes = db_rows_unsigned(rows, row, 3);
    pool->used_bytes = db_rows_unsigned(rows, row, 4);
    pool->free_bytes = db_rows_unsigned(rows, row, 5);
    pool->available_bytes = db_rows_signed(rows, row, 6);
    pool->reported_at = db_rows_unsigned(rows, row, 7);
}

/* All pools of some nodes, shared out to them. */
static bool add_pools(struct store *store, struct arena *arena, struct node_view *nodes,
                      size_t count, struct error *err)
{
    static const char sql[] =
        "SELECT np.node_id, p.id, np.path, p.capacity_bytes, p.used_bytes, p.free_bytes, "
        "p.available_bytes, p.reported_at FROM node_pools np JOIN pools p ON p.id = np.pool_id "
        "WHERE np.node_id IN (%LIST%) ORDER BY np.node_id, np.pool_id";
    struct db_value *ids = arena_calloc(arena, count + 1, sizeof(*ids));
    struct db_rows *rows;
    for (size_t i = 0; i < count; i++)
        ids[i] = db_uuid(&nodes[i].id);
    if (!db_query_list(store_db(store), arena, sql, NULL, 0, ids, count, &rows, err))
        return false;
    size_t pool_count = db_rows_count(rows);
    struct node_pool_view *pools = arena_calloc(arena, pool_count + 1, sizeof(*pools));
    struct node_view *node = NULL;
    for (size_t row = 0; row < pool_count; row++) {
        struct uuid id = db_rows_uuid(rows, row, 0);
        read_pool(rows, row, &pools[row]);
        for (size_t i = 0; i < count && (node == NULL || !uuid_equal(&node->id, &id)); i++)
            if (uuid_equal(&nodes[i].id, &id)) {
                node = &nodes[i];
                node->pools = &pools[row];
            }
        node->pool_count++;
    }
    return true;
}

bool node_view_list(struct store *store, struct arena *arena, const struct page *page,
                    struct node_list *ret_list, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_add(&query, COLUMNS);
    if (!query_page_by_key(&query, "n.name", NULL, page, err) ||
        !query_run(&query, store, &rows, err))
        return false;
    struct node_list list = {.count = query_page_count(&query, rows)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++)
        read_node(rows, i, &list.items[i]);
    if (!add_pools(store, arena, list.items, list.count, err))
        return false;
    if (list.count > 0) {
        const struct node_view *last = &list.items[list.count - 1];
        list.next = query_page_next(&query, rows, &last->id, last->name);
    }
    *ret_list = list;
    return true;
}

static bool find_by(struct store *store, struct arena *arena, const char *piece,
                    struct db_value value, struct node_view *node, bool *ret_found,
                    struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_add(&query, COLUMNS);
    query_bind(&query, piece, value);
    if (!query_run(&query, store, &rows, err))
        return false;
    *ret_found = db_rows_count(rows) > 0;
    if (*ret_found)
        read_node(rows, 0, node);
    return true;
}

bool node_view_find(struct store *store, struct arena *arena, const char *name_or_id,
                    struct node_view *ret_node, struct error *err)
{
    struct node_view node = {0};
    struct uuid id;
    bool found = false;
    if (uuid_parse(name_or_id, &id) &&
        !find_by(store, arena, " AND n.id = ?", db_uuid(&id), &node, &found, err))
        return false;
    if (!found &&
        !find_by(store, arena, " AND n.name = ?", db_text(name_or_id), &node, &found, err))
        return false;
    if (!found)
        return error_set(err, &FAULT_NOT_FOUND, "there is no node \"%.64s\"", name_or_id);
    if (!add_pools(store, arena, &node, 1, err))
        return false;
    *ret_node = node;
    return true;
}

enum job_column {
    JOB_ID,
    JOB_KIND,
    JOB_OWNER_KIND,
    JOB_OWNER_ID,
    JOB_OWNER_NAME,
    JOB_PROJECT,
    JOB_STATE,
    JOB_ATTEMPT,
    JOB_RUN,
    JOB_RESERVED,
    JOB_ALLOCATED,
    JOB_ASSIGNED_AT,
    JOB_ACCEPTED_AT,
    JOB_RENEWED_AT
};

static void read_job(const struct db_rows *rows, size_t row, struct node_job_view *job)
{
    job->id = db_rows_uuid(rows, row, JOB_ID);
    job->kind = job_kind_parse(db_rows_text(rows, row, JOB_KIND));
    job->owner_kind = owner_kind_parse(db_rows_text(rows, row, JOB_OWNER_KIND));
    job->owner_id = db_rows_uuid(rows, row, JOB_OWNER_ID);
    job->owner_name = db_rows_text(rows, row, JOB_OWNER_NAME);
    job->project = db_rows_text(rows, row, JOB_PROJECT);
    job->state = db_rows_text(rows, row, JOB_STATE);
    job->attempt = (uint32_t)db_rows_unsigned(rows, row, JOB_ATTEMPT);
    job->run = (uint32_t)db_rows_unsigned(rows, row, JOB_RUN);
    job->reserved_bytes = db_rows_unsigned(rows, row, JOB_RESERVED);
    job->allocated_bytes = db_rows_unsigned(rows, row, JOB_ALLOCATED);
    job->assigned_at = db_rows_unsigned(rows, row, JOB_ASSIGNED_AT);
    job->accepted_at = db_rows_unsigned(rows, row, JOB_ACCEPTED_AT);
    job->renewed_at = db_rows_unsigned(rows, row, JOB_RENEWED_AT);
}

bool node_view_jobs(struct store *store, struct arena *arena, const struct uuid *node,
                    struct node_job_view **ret_jobs, size_t *ret_count, struct error *err)
{
    static const char sql[] =
        "SELECT j.id, j.kind, j.owner_kind, j.owner_id, COALESCE(m.vm_name, s.name, d.name), "
        "j.project, j.state, j.attempt, j.run, j.reserved_bytes, j.allocated_bytes, "
        "j.assigned_at, j.accepted_at, IF(j.state = 'accepted', n.seen_at, NULL) "
        "FROM jobs j FORCE INDEX (by_node) JOIN nodes n ON n.id = j.node_id "
        "LEFT JOIN migrations m ON j.owner_kind = 'migration' AND m.id = j.owner_id "
        "LEFT JOIN sources s ON j.owner_kind = 'source' AND s.id = j.owner_id "
        "LEFT JOIN destinations d ON j.owner_kind = 'destination' AND d.id = j.owner_id "
        "WHERE j.node_id = ? AND j.live = 1 ORDER BY j.id LIMIT 1000";
    struct db_value value = db_uuid(node);
    struct db_rows *rows;
    if (!db_query(store_db(store), arena, sql, &value, 1, &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct node_job_view *jobs = arena_calloc(arena, count + 1, sizeof(*jobs));
    for (size_t i = 0; i < count; i++)
        read_job(rows, i, &jobs[i]);
    *ret_jobs = jobs;
    *ret_count = count;
    return true;
}
