/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables "sources" and "destinations".
 */
#include "common/store/endpoint.h"

#include <assert.h>
#include <string.h>

#include "common/store/query.h"
#include "proto/fault.h"

#define COLUMNS                                                                                    \
    "id, project, name, driver, description, settings_json, address, seal, seal_key_id, "          \
    "labels_json, created_at, updated_at, refreshed_at, state, fault_code, fault_text, attempt, "
enum column {
    ID,
    PROJECT,
    NAME,
    DRIVER,
    DESCRIPTION,
    SETTINGS,
    ADDRESS,
    SEAL,
    SEAL_KEY_ID,
    LABELS,
    CREATED_AT,
    UPDATED_AT,
    REFRESHED_AT,
    STATE,
    FAULT_CODE,
    FAULT_TEXT,
    ATTEMPT,
    VM_COUNT
};

static const char *select_text(enum end end)
{
    assert(end == END_SOURCE || end == END_DESTINATION);
    return end == END_SOURCE ? "SELECT " COLUMNS "vm_count FROM sources WHERE 1 = 1"
                             : "SELECT " COLUMNS "0 FROM destinations WHERE 1 = 1";
}

static void read_definition(const struct db_rows *rows, size_t row,
                            struct endpoint_definition *definition)
{
    definition->name = db_rows_text(rows, row, NAME);
    definition->driver = db_rows_text(rows, row, DRIVER);
    definition->description = db_rows_text(rows, row, DESCRIPTION);
    definition->settings_json = db_rows_text(rows, row, SETTINGS);
    definition->address = db_rows_text(rows, row, ADDRESS);
    definition->seal = db_rows_bytes(rows, row, SEAL, &definition->seal_length);
    definition->seal_key_id = db_rows_text(rows, row, SEAL_KEY_ID);
    definition->labels_json = db_rows_text(rows, row, LABELS);
}

static void read_endpoint(const struct db_rows *rows, size_t row, struct endpoint *endpoint)
{
    endpoint->id = db_rows_uuid(rows, row, ID);
    endpoint->project = db_rows_text(rows, row, PROJECT);
    read_definition(rows, row, &endpoint->definition);
    endpoint->created_at = db_rows_unsigned(rows, row, CREATED_AT);
    endpoint->updated_at = db_rows_unsigned(rows, row, UPDATED_AT);
    endpoint->refreshed_at = db_rows_unsigned(rows, row, REFRESHED_AT);
    endpoint->state = db_rows_text(rows, row, STATE);
    endpoint->fault_code = db_rows_text(rows, row, FAULT_CODE);
    endpoint->fault_text = db_rows_text(rows, row, FAULT_TEXT);
    endpoint->attempt = (uint32_t)db_rows_unsigned(rows, row, ATTEMPT);
    endpoint->vm_count = db_rows_unsigned(rows, row, VM_COUNT);
}

static bool name_taken(const char *name, struct error *err)
{
    if (err->fault != &FAULT_DB_DUPLICATE)
        return false;
    return error_set(err, &FAULT_NAME_TAKEN, "the name \"%.255s\" is taken in this project", name);
}

bool endpoint_create(struct store *store, enum end end, const struct uuid *id, const char *project,
                     const struct endpoint_definition *definition, struct error *err)
{
    static const char source[] =
        "INSERT INTO sources (id, project, name, driver, description, settings_json, address, "
        "seal, seal_key_id, labels_json, created_at, updated_at) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " STORE_NOW ", " STORE_NOW ")";
    static const char destination[] =
        "INSERT INTO destinations (id, project, name, driver, description, settings_json, "
        "address, seal, seal_key_id, labels_json, created_at, updated_at) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " STORE_NOW ", " STORE_NOW ")";
    struct db_value values[] = {db_uuid(id),
                                db_text(project),
                                db_text(definition->name),
                                db_text(definition->driver),
                                db_text(definition->description),
                                db_text(definition->settings_json),
                                db_text(definition->address),
                                db_bytes(definition->seal, definition->seal_length),
                                db_text(definition->seal_key_id),
                                db_text(definition->labels_json)};
    const char *sql = end == END_SOURCE ? source : destination;
    if (db_execute(store_db(store), sql, values, COUNT_OF(values), NULL, err))
        return true;
    return name_taken(definition->name, err);
}

static bool query_one(struct query *query, struct store *store, const char *what,
                      struct endpoint *ret_endpoint, struct error *err)
{
    struct db_rows *rows;
    query_add(query, " LIMIT 2");
    if (!query_run(query, store, &rows, err))
        return false;
    if (db_rows_count(rows) == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no \"%.255s\"", what);
    if (db_rows_count(rows) > 1)
        return error_set(err, &FAULT_NAME_AMBIGUOUS, "several are named \"%.255s\"", what);
    read_endpoint(rows, 0, ret_endpoint);
    return true;
}

bool endpoint_get(struct store *store, struct arena *arena, enum end end, const char *project,
                  const struct uuid *id, struct endpoint *ret_endpoint, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    query_add(&query, select_text(end));
    query_bind(&query, " AND id = ?", db_uuid(id));
    query_match_text(&query, " AND project = ?", project);
    return query_one(&query, store, UUID_TEXT(id), ret_endpoint, err);
}

bool endpoint_find(struct store *store, struct arena *arena, enum end end, const char *project,
                   const char *name_or_id, struct endpoint *ret_endpoint, struct error *err)
{
    struct uuid id;
    if (uuid_parse(name_or_id, &id)) {
        if (endpoint_get(store, arena, end, project, &id, ret_endpoint, err))
            return true;
        if (err->fault != &FAULT_NOT_FOUND)
            return false; /* else: a name that looks like an id */
    }
    CLEANUP(query_fini) struct query query = {.arena = arena};
    query_add(&query, select_text(end));
    query_match_text(&query, " AND project = ?", project);
    query_bind(&query, " AND name = ?", db_text(name_or_id));
    return query_one(&query, store, name_or_id, ret_endpoint, err);
}

bool endpoint_list(struct store *store, struct arena *arena, enum end end, const char *project,
                   const char *name, const struct page *page, struct endpoint_list *ret_list,
                   struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = arena};
    struct db_rows *rows;
    query_add(&query, select_text(end));
    query_match_text(&query, " AND project = ?", project);
    query_match_text(&query, " AND name = ?", name);
    if (!query_page_by_id(&query, "id", page, err) || !query_run(&query, store, &rows, err))
        return false;
    struct endpoint_list list = {.count = query_page_count(&query, rows)};
    list.items = arena_calloc(arena, list.count + 1, sizeof(*list.items));
    for (size_t i = 0; i < list.count; i++)
        read_endpoint(rows, i, &list.items[i]);
    if (list.count > 0)
        list.next = query_page_next(&query, rows, &list.items[list.count - 1].id, "");
    *ret_list = list;
    return true;
}

static bool run_update(struct store *store, enum end end, const char *project,
                       const struct uuid *id, const struct endpoint_definition *definition,
                       uint64_t if_updated_at, uint64_t *ret_affected, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(query_fini) struct query query = {.arena = arena};
    query_add(&query, end == END_SOURCE ? "UPDATE sources" : "UPDATE destinations");
    query_bind(&query, " SET name = ?", db_text(definition->name));
    query_bind(&query, ", description = ?", db_text(definition->description));
    query_bind(&query, ", settings_json = ?", db_text(definition->settings_json));
    query_bind(&query, ", address = ?", db_text(definition->address));
    query_bind(&query, ", seal = ?", db_bytes(definition->seal, definition->seal_length));
    query_bind(&query, ", seal_key_id = ?", db_text(definition->seal_key_id));
    query_bind(&query, ", labels_json = ?", db_text(definition->labels_json));
    query_add(&query, ", updated_at = GREATEST(updated_at + 1, " STORE_NOW ")");
    query_bind(&query, " WHERE id = ?", db_uuid(id));
    query_match_text(&query, " AND project = ?", project);
    if (if_updated_at != 0)
        query_bind(&query, " AND updated_at = ?", db_unsigned(if_updated_at));
    return db_execute(store_db(store), query.text.data, query.values, query.count, ret_affected,
                      err);
}

bool endpoint_update(struct store *store, enum end end, const char *project, const struct uuid *id,
                     const struct endpoint_definition *definition, uint64_t if_updated_at,
                     struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct endpoint endpoint;
    uint64_t affected = 0;
    if (!run_update(store, end, project, id, definition, if_updated_at, &affected, err))
        return name_taken(definition->name, err);
    if (affected > 0)
        return true;
    if (!endpoint_get(store, arena, end, project, id, &endpoint, err))
        return false;
    return error_set(err, &FAULT_CONFLICT, "\"%.255s\" was changed meanwhile",
                     endpoint.definition.name);
}
