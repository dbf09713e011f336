/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a tick: tables in one fixed order, rows in order of id, so that transactions of different
 * daemons meet locks in the same order.
 */
#include <stdlib.h>
#include <string.h>

#include "common/json/writer.h"
#include "scheduler/tick.h"

static int compare_migrations(const void *a, const void *b)
{
    return uuid_compare(&(*(struct migration *const *)a)->fact.id,
                        &(*(struct migration *const *)b)->fact.id);
}

static int compare_jobs(const void *a, const void *b)
{
    return uuid_compare(&(*(struct job *const *)a)->fact.id, &(*(struct job *const *)b)->fact.id);
}

static int compare_nodes(const void *a, const void *b)
{
    return uuid_compare(&(*(struct node *const *)a)->id, &(*(struct node *const *)b)->id);
}

static int compare_pools(const void *a, const void *b)
{
    return uuid_compare(&(*(struct pool *const *)a)->fact.id, &(*(struct pool *const *)b)->fact.id);
}

static int compare_ledger(const void *a, const void *b)
{
    const struct ledger_fact *left = *(const struct ledger_fact *const *)a;
    const struct ledger_fact *right = *(const struct ledger_fact *const *)b;
    int order = uuid_compare(&left->owner_id, &right->owner_id);
    return order != 0 ? order
                      : (left->position > right->position) - (left->position < right->position);
}

static bool store_migrations(struct tick *tick, struct db *db, struct error *err)
{
    size_t count = tick->migrations.count;
    if (count > 1)
        qsort(tick->migrations.items, count, sizeof(struct migration *), compare_migrations);
    struct migration_expected *expected = arena_calloc(tick->arena, count + 1, sizeof *expected);
    const struct migration_fact **rows = arena_calloc(tick->arena, count + 1, sizeof *rows);
    for (size_t i = 0; i < count; i++) {
        expected[i] = tick->migrations.items[i]->expected;
        rows[i] = &tick->migrations.items[i]->fact;
    }
    if (!migration_state_lock(db, expected, count, err) ||
        !migration_state_save(db, rows, count, err))
        return false;
    for (size_t i = 0; i < tick->results.count; i++) {
        const struct result_fact *result = &tick->results.items[i];
        if (!migration_state_save_result(db, &result->id, result->faults_json,
                                         result->evidence_json, result->server_json, err))
            return false;
    }
    return migration_disk_save(db, tick->disks.items, tick->disks.count, err);
}

static bool store_accepts(struct tick *tick, struct db *db, struct error *err)
{
    size_t count = 0;
    struct uuid *ids = arena_calloc(tick->arena, tick->accepts.count + 1, sizeof *ids);
    if (tick->accepts.count > 1)
        qsort(tick->accepts.items, tick->accepts.count, sizeof(struct job *), compare_jobs);
    for (size_t i = 0; i < tick->accepts.count; i++)
        if (!tick->accepts.items[i]->is_dirty) /* else its row was just written */
            ids[count++] = tick->accepts.items[i]->fact.id;
    return job_accept(db, ids, count, tick->now_us, err);
}

static bool store_jobs(struct tick *tick, struct db *db, struct error *err)
{
    size_t count = tick->jobs.count;
    if (count > 1)
        qsort(tick->jobs.items, count, sizeof(struct job *), compare_jobs);
    const struct job_fact **rows = arena_calloc(tick->arena, count + 1, sizeof *rows);
    for (size_t i = 0; i < count; i++)
        rows[i] = &tick->jobs.items[i]->fact;
    return job_save(db, rows, count, err) && store_accepts(tick, db, err) &&
           step_save(db, tick->steps.items, tick->steps.count, err) &&
           step_close(db, tick->ended.items, tick->ended.count, tick->now_us, err);
}

static bool sweep_list(struct db *db, const struct sweep_fact *sweep, struct error *err)
{
    switch (sweep->of) {
    case SWEEP_CATALOGUE:
        return catalogue_fact_sweep(db, &sweep->place.source_id, sweep->place.refresh, err);
    case SWEEP_STRAYS:
        return stray_sweep(db, &sweep->place.source_id, sweep->place.refresh, err);
    default:
        return inventory_sweep(db, &sweep->place, err);
    }
}

/* A source or destination that was deleted meanwhile leaves nothing: its pages are passed over. */
static bool store_inventories(struct tick *tick, struct db *db, struct error *err)
{
    for (size_t i = 0; i < tick->inventories.count; i++) {
        const struct inventory_page *page = &tick->inventories.items[i];
        bool is_there;
        if (!endpoint_fact_hold(db, END_SOURCE, &page->place.source_id, &is_there, err) ||
            (is_there && !inventory_save(db, &page->place, page->vms, page->count, err)))
            return false;
    }
    return true;
}

static bool store_catalogues(struct tick *tick, struct db *db, struct error *err)
{
    for (size_t i = 0; i < tick->catalogues.count; i++) {
        const struct catalogue_page *page = &tick->catalogues.items[i];
        bool is_there;
        if (!endpoint_fact_hold(db, END_DESTINATION, &page->destination_id, &is_there, err) ||
            (is_there && !catalogue_fact_save(db, &page->destination_id, page->refresh, page->items,
                                              page->count, err)))
            return false;
    }
    return true;
}

static bool store_strays(struct tick *tick, struct db *db, struct error *err)
{
    for (size_t i = 0; i < tick->strays.count; i++) {
        const struct stray_page *page = &tick->strays.items[i];
        bool is_there = page->of == OWNER_NODE; /* which nobody else deletes */
        enum end end = page->of == OWNER_SOURCE ? END_SOURCE : END_DESTINATION;
        if ((!is_there && !endpoint_fact_hold(db, end, &page->endpoint_id, &is_there, err)) ||
            (is_there &&
             !stray_save(db, &page->endpoint_id, page->look, page->items, page->count, err)))
            return false;
    }
    return true;
}

static bool store_found(struct tick *tick, struct db *db, struct error *err)
{
    if (!store_inventories(tick, db, err) || !store_catalogues(tick, db, err) ||
        !store_strays(tick, db, err))
        return false;
    for (size_t i = 0; i < tick->sweeps.count; i++)
        if (!sweep_list(db, &tick->sweeps.items[i], err))
            return false;
    for (size_t i = 0; i < tick->pages_gone.count; i++)
        if (!job_page_delete(db, &tick->pages_gone.items[i], err))
            return false;
    for (size_t i = 0; i < tick->endpoints.count; i++)
        if (!endpoint_fact_save(db, &tick->endpoints.items[i], err))
            return false;
    return true;
}

/* -- nodes ----------------------------------------------------------------------------------------- */

static const char *words_json(struct arena *arena, const struct place_words *words)
{
    struct buffer text = {0};
    struct writer writer;
    writer_init(&writer, &text);
    writer_array_begin(&writer, NULL);
    for (size_t i = 0; i < words->count; i++)
        writer_text(&writer, NULL, words->items[i]);
    writer_array_end(&writer);
    const char *copy = arena_strdup(arena, text.data);
    buffer_fini(&text);
    return copy;
}

static void fill_node(struct arena *arena, const struct node *node, struct node_fact *fact)
{
    *fact = (struct node_fact){
        .id = node->id,
        .name = node->name,
        .host = node->host,
        .instance = node->instance,
        .version = node->version,
        .state = node->state,
        .reason = node->reason,
        .up = node->up,
        .labels_json = node->is_dirty ? words_json(arena, &node->labels) : NULL,
        .source_drivers_json = node->is_dirty ? words_json(arena, &node->source_drivers) : NULL,
        .destination_drivers_json =
            node->is_dirty ? words_json(arena, &node->destination_drivers) : NULL,
        .resources_json = node->resources_json,
        .report_number = node->report_number,
        .first_seen_at = node->first_seen_at,
        .seen_at = node->seen_at,
    };
}

static bool store_node_pools(struct tick *tick, struct db *db, struct error *err)
{
    for (size_t i = 0; i < tick->nodes.count; i++) {
        const struct node *node = tick->nodes.items[i];
        struct node_pool_fact pools[PLACE_POOLS_MOST];
        if (!node->pools_changed)
            continue;
        for (size_t k = 0; k < node->pool_count; k++)
            pools[k] = (struct node_pool_fact){node->id, node->pools[k].pool->fact.id,
                                               node->pools[k].path};
        if (!node_pool_replace(db, &node->id, pools, node->pool_count, err))
            return false;
    }
    return true;
}

static bool store_nodes(struct tick *tick, struct db *db, struct error *err)
{
    size_t whole_count = 0, seen_count = 0, count = tick->nodes.count;
    for (size_t i = 0; i < tick->nodes_gone.count; i++)
        if (!node_delete(db, &tick->nodes_gone.items[i], err))
            return false;
    if (count > 1)
        qsort(tick->nodes.items, count, sizeof(struct node *), compare_nodes);
    struct node_fact *facts = arena_calloc(tick->arena, count + 1, sizeof *facts);
    const struct node_fact **whole = arena_calloc(tick->arena, count + 1, sizeof *whole);
    const struct node_fact **seen = arena_calloc(tick->arena, count + 1, sizeof *seen);
    for (size_t i = 0; i < count; i++) {
        fill_node(tick->arena, tick->nodes.items[i], &facts[i]);
        if (tick->nodes.items[i]->is_dirty)
            whole[whole_count++] = &facts[i];
        else
            seen[seen_count++] = &facts[i];
    }
    return node_save(db, whole, whole_count, err) && node_save_seen(db, seen, seen_count, err) &&
           store_node_pools(tick, db, err);
}

/* Pools change through many doors of the picture: those that did are gathered here. */
static bool store_pools(struct tick *tick, struct db *db, struct error *err)
{
    size_t at = 0;
    for (struct pool *pool; (pool = map_next(&tick->picture->pools, &at)) != NULL;)
        if (pool->is_dirty) {
            pool->fact.reported_at = tick->now_us;
            *TICK_ADD(tick, &tick->pools) = pool;
        }
    size_t count = tick->pools.count;
    if (count > 1)
        qsort(tick->pools.items, count, sizeof(struct pool *), compare_pools);
    const struct pool_fact **rows = arena_calloc(tick->arena, count + 1, sizeof *rows);
    for (size_t i = 0; i < count; i++)
        rows[i] = &tick->pools.items[i]->fact;
    return pool_save(db, rows, count, err);
}

static bool store_remains(struct tick *tick, struct db *db, struct error *err)
{
    if (!remain_save(db, tick->remains.items, tick->remains.count, err))
        return false;
    for (size_t i = 0; i < tick->remains_gone.count; i++) {
        const struct remain_fact *gone = &tick->remains_gone.items[i];
        if (!remain_delete(db, &gone->job_id, gone->attempt, err))
            return false;
    }
    return true;
}

static bool store_ledger(struct tick *tick, struct db *db, struct error *err)
{
    if (tick->ledger.count > 1)
        qsort(tick->ledger.items, tick->ledger.count, sizeof(struct ledger_fact *), compare_ledger);
    return ledger_save(db, tick->ledger.items, tick->ledger.count, err);
}

static bool store_wishes(struct tick *tick, struct db *db, struct error *err)
{
    for (size_t i = 0; i < tick->wishes.count; i++)
        if (!wish_outcome_save(db, &tick->wishes.items[i], err))
            return false;
    return true;
}

static bool store_gone(struct tick *tick, struct db *db, struct error *err)
{
    for (size_t i = 0; i < tick->migrations_gone.count; i++) {
        const struct uuid *id = &tick->migrations_gone.items[i];
        if (!migration_state_delete(db, id, err) || !job_delete_of(db, id, OWNER_MIGRATION, err) ||
            !ledger_delete_of(db, id, err))
            return false;
    }
    return true;
}

bool tick_store(struct tick *tick, struct error *err)
{
    struct db *db = tick->scheduler->db;
    return store_migrations(tick, db, err) && store_jobs(tick, db, err) &&
           store_remains(tick, db, err) && store_ledger(tick, db, err) &&
           store_found(tick, db, err) && store_wishes(tick, db, err) &&
           store_nodes(tick, db, err) && store_pools(tick, db, err) &&
           needs_save(db, tick->needs.items, tick->needs.count, err) &&
           needs_delete(db, tick->needs_gone.items, tick->needs_gone.count, err) &&
           driver_fact_save(db, tick->drivers.items, tick->drivers.count, err) &&
           store_gone(tick, db, err) &&
           event_insert(db, tick->events.items, tick->events.count, err);
}
