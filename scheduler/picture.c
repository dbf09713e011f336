/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/picture.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "scheduler/intern.h"

/* -- life ---------------------------------------------------------------------------------------- */

struct picture *picture_new(void)
{
    struct picture *picture = xcalloc(1, sizeof *picture);
    list_init(&picture->heard);
    list_init(&picture->sent);
    list_init(&picture->gained);
    list_init(&picture->group_list);
    return picture;
}

static void free_node(struct node *node)
{
    for (size_t i = 0; i < node->pool_count; i++)
        free(node->pools[i].path);
    intern_words_fini(&node->labels);
    intern_words_fini(&node->source_drivers);
    intern_words_fini(&node->destination_drivers);
    free(node->resources_json);
    free(node->host);
    free(node->reason);
    LIST_EACH(&node->remains, at)
    {
        free(LIST_ITEM(at, struct remain, link));
    }
    free(node);
}

static void free_pool(struct pool *pool)
{
    free(pool->nodes);
    free(pool);
}

static void free_migration(struct migration *migration)
{
    intern_words_fini(&migration->labels);
    free(migration->fault_text);
    free(migration);
}

static void free_job(struct job *job)
{
    free((char *)job->fact.request_json);
    free((char *)job->fact.fault_text);
    free(job);
}

void group_free(struct group *group)
{
    intern_words_fini(&group->need.labels);
    free(group->needs_json);
    free(group);
}

#define FREE_ALL(map, type, function)                                                              \
    do {                                                                                           \
        size_t at = 0;                                                                             \
        for (type * item; (item = map_next(map, &at)) != NULL;)                                    \
            function(item);                                                                        \
        map_fini(map);                                                                             \
    } while (0)

void picture_free(struct picture *picture)
{
    if (picture == NULL)
        return;
    FREE_ALL(&picture->jobs, struct job, free_job);
    FREE_ALL(&picture->migrations, struct migration, free_migration);
    FREE_ALL(&picture->groups, struct group, group_free);
    FREE_ALL(&picture->nodes, struct node, free_node);
    FREE_ALL(&picture->pools, struct pool, free_pool);
    free(picture);
}

/* -- nodes and pools ------------------------------------------------------------------------------ */

struct node *picture_add_node(struct picture *picture, const struct uuid *id, const char *name)
{
    struct node *node = xcalloc(1, sizeof *node);
    node->id = *id;
    snprintf(node->name, sizeof node->name, "%s", name);
    node->host = xstrdup("");
    node->reason = xstrdup("");
    node->resources_json = xstrdup("{}");
    node->state = "enabled";
    list_init(&node->jobs);
    list_init(&node->remains);
    map_put(&picture->nodes, id, node);
    return node;
}

struct node *picture_find_node_by_name(const struct picture *picture, const char *name)
{
    size_t at = 0;
    for (struct node *node; (node = map_next(&picture->nodes, &at)) != NULL;)
        if (strcmp(node->name, name) == 0)
            return node;
    return NULL;
}

static void leave_pool(struct pool *pool, const struct node *node)
{
    for (size_t i = 0; i < pool->node_count; i++)
        if (pool->nodes[i] == node) {
            pool->nodes[i] = pool->nodes[--pool->node_count];
            return;
        }
}

void picture_drop_node(struct picture *picture, struct node *node)
{
    assert(list_is_empty(&node->jobs));
    LIST_EACH(&node->remains, at)
    {
        picture_drop_remain(picture, LIST_ITEM(at, struct remain, link));
    }
    for (size_t i = 0; i < node->pool_count; i++)
        leave_pool(node->pools[i].pool, node);
    if (node->held_for != NULL)
        node->held_for->held = NULL;
    list_remove(&node->heard_link);
    list_remove(&node->gained_link);
    map_take(&picture->nodes, &node->id);
    free_node(node);
}

struct pool *picture_get_pool(struct picture *picture, const struct uuid *id)
{
    struct pool *pool = map_find(&picture->pools, id);
    if (pool != NULL)
        return pool;
    pool = xcalloc(1, sizeof *pool);
    pool->fact.id = *id;
    map_put(&picture->pools, id, pool);
    return pool;
}

int64_t pool_available(const struct pool *pool)
{
    int64_t base =
        place_base_bytes(pool->fact.free_bytes, pool->fact.capacity_bytes, pool->fact.used_bytes);
    return base - (int64_t)pool->outstanding_bytes;
}

void picture_judge_pool(struct picture *picture, struct pool *pool)
{
    const struct node_pool *least = NULL;
    int64_t least_base = INT64_MAX, before = pool_available(pool);
    for (size_t n = 0; n < pool->node_count; n++)
        for (size_t i = 0; i < pool->nodes[n]->pool_count; i++) {
            const struct node_pool *seen = &pool->nodes[n]->pools[i];
            int64_t base =
                place_base_bytes(seen->free_bytes, seen->capacity_bytes, seen->used_bytes);
            if (seen->pool != pool || !pool->nodes[n]->up || base >= least_base)
                continue;
            least = seen;
            least_base = base;
        }
    if (least != NULL) {
        pool->fact.capacity_bytes = least->capacity_bytes;
        pool->fact.used_bytes = least->used_bytes;
        pool->fact.free_bytes = least->free_bytes;
    }
    if (pool->fact.available_bytes != pool_available(pool))
        pool->is_dirty = true;
    pool->fact.available_bytes = pool_available(pool);
    if (pool->fact.available_bytes > before)
        for (size_t n = 0; n < pool->node_count; n++)
            picture_node_gained(picture, pool->nodes[n]);
}

/* After a promise changed: what is left follows. */
static void pool_changed(struct picture *picture, struct pool *pool, int64_t before)
{
    pool->fact.available_bytes = pool_available(pool);
    pool->is_dirty = true;
    if (pool->fact.available_bytes > before)
        for (size_t n = 0; n < pool->node_count; n++)
            picture_node_gained(picture, pool->nodes[n]);
}

void picture_set_node_pool(struct picture *picture, struct node *node, size_t index,
                           const struct node_pool *reported)
{
    struct node_pool *mine = &node->pools[index];
    if (index >= node->pool_count) {
        node->pool_count = index + 1;
        *mine = (struct node_pool){0};
    }
    if (mine->pool != reported->pool) {
        if (mine->pool != NULL)
            leave_pool(mine->pool, node);
        struct pool *pool = reported->pool;
        pool->nodes = xreallocarray(pool->nodes, pool->node_count + 1, sizeof(struct node *));
        pool->nodes[pool->node_count++] = node;
        node->pools_changed = true;
    }
    if (mine->path == NULL || strcmp(mine->path, reported->path) != 0) {
        free(mine->path);
        mine->path = xstrdup(reported->path);
        node->pools_changed = true;
    }
    mine->pool = reported->pool;
    mine->capacity_bytes = reported->capacity_bytes;
    mine->used_bytes = reported->used_bytes;
    mine->free_bytes = reported->free_bytes;
}

void picture_cut_node_pools(struct node *node, size_t count)
{
    while (node->pool_count > count) {
        struct node_pool *last = &node->pools[--node->pool_count];
        leave_pool(last->pool, node);
        free(last->path);
        *last = (struct node_pool){0};
        node->pools_changed = true;
    }
}

void picture_node_gained(struct picture *picture, struct node *node)
{
    if (node->has_gained)
        return;
    node->has_gained = true;
    list_append(&picture->gained, &node->gained_link);
}

void picture_node_heard(struct picture *picture, struct node *node, uint64_t now_ms)
{
    node->heard_ms = now_ms;
    list_remove(&node->heard_link);
    list_append(&picture->heard, &node->heard_link);
}

void picture_node_down(struct node *node)
{
    node->up = false;
    node->is_dirty = true;
    list_remove(&node->heard_link);
}

void picture_node_view(const struct node *node, const struct group *group,
                       struct place_node *ret_view)
{
    *ret_view = (struct place_node){
        .up = node->up,
        .enabled = strcmp(node->state, "disabled") != 0,
        .draining = node->says_draining || strcmp(node->state, "draining") == 0,
        .labels = node->labels,
        .source_drivers = node->source_drivers,
        .destination_drivers = node->destination_drivers,
        .slots_total = node->slots_total,
        .slots_free = node->slots_total - (int64_t)node->live_jobs,
        .counts_memory = node->counts_memory,
        .memory_free_bytes = node->memory_total_bytes - (int64_t)node->memory_used_bytes,
        .pool_count = node->pool_count,
        .held = node->has_stale || (node->held_for != NULL && node->held_for != group),
    };
    for (size_t i = 0; i < node->pool_count; i++) {
        const struct pool *pool = node->pools[i].pool;
        ret_view->available_bytes[i] = pool->fact.available_bytes;
        ret_view->hold_bytes[i] = pool->fact.available_bytes + (int64_t)pool->outstanding_bytes +
                                  (int64_t)pool->allocated_bytes;
    }
}

/* -- migrations and jobs -------------------------------------------------------------------------- */

struct migration *picture_add_migration(struct picture *picture, const struct migration_fact *fact)
{
    struct migration *migration = xcalloc(1, sizeof *migration);
    migration->fact = *fact;
    migration->fact.project = intern(fact->project);
    migration->fact.source_driver = intern(fact->source_driver);
    migration->fact.destination_driver = intern(fact->destination_driver);
    migration->fact.source_labels_json = migration->fact.destination_labels_json = NULL;
    migration->fault_text = fact->fault_text == NULL ? NULL : xstrdup(fact->fault_text);
    migration->fact.fault_text = migration->fault_text;
    migration->expected = (struct migration_expected){fact->id, fact->state, fact->version};
    struct place_words more = {0};
    intern_words(fact->source_labels_json, &migration->labels);
    intern_words(fact->destination_labels_json, &more);
    for (size_t i = 0; i < more.count; i++)
        intern_words_add(&migration->labels, more.items[i]);
    intern_words_fini(&more);
    map_put(&picture->migrations, &fact->id, migration);
    return migration;
}

void picture_drop_migration(struct picture *picture, struct migration *migration)
{
    if (migration->job != NULL)
        migration->job->migration = NULL;
    map_take(&picture->migrations, &migration->fact.id);
    free_migration(migration);
}

struct job *picture_add_job(struct picture *picture, const struct job_fact *fact)
{
    struct job *job = xcalloc(1, sizeof *job);
    job->fact = *fact;
    job->fact.project = intern(fact->project);
    job->fact.outcome = intern(fact->outcome);
    job->fact.request_json = fact->request_json == NULL ? NULL : xstrdup(fact->request_json);
    job->fact.fault_text = fact->fault_text == NULL ? NULL : xstrdup(fact->fault_text);
    map_put(&picture->jobs, &fact->id, job);
    return job;
}

void picture_drop_job(struct picture *picture, struct job *job)
{
    picture_unwait(job);
    picture_unplace_job(picture, job);
    if (job->migration != NULL && job->migration->job == job)
        job->migration->job = NULL;
    map_take(&picture->jobs, &job->fact.id);
    free_job(job);
}

static uint64_t outstanding(const struct job *job)
{
    return place_outstanding(
        &(struct place_promise){job->fact.reserved_bytes, job->fact.allocated_bytes});
}

void picture_place_job(struct picture *picture, struct job *job, struct node *node,
                       struct pool *pool, uint64_t reserved_bytes)
{
    picture_unwait(job);
    picture_unplace_job(picture, job);
    job->node = node;
    job->pool = pool;
    job->fact.node_id = node->id;
    job->fact.pool_id = pool == NULL ? (struct uuid){0} : pool->fact.id;
    job->fact.reserved_bytes = reserved_bytes;
    list_append(&node->jobs, &job->node_link);
    if (job->fact.live) {
        node->live_jobs++;
        node->memory_used_bytes += job->memory_bytes;
    }
    if (pool == NULL)
        return;
    int64_t before = pool_available(pool);
    pool->outstanding_bytes += outstanding(job);
    pool->allocated_bytes += job->fact.allocated_bytes;
    pool_changed(picture, pool, before);
}

void picture_end_job(struct picture *picture, struct job *job)
{
    list_remove(&job->sent_link);
    if (!job->fact.live)
        return;
    job->fact.live = false;
    if (job->node == NULL)
        return;
    job->node->live_jobs--;
    job->node->memory_used_bytes -= job->memory_bytes;
    picture_node_gained(picture, job->node);
}

void picture_unplace_job(struct picture *picture, struct job *job)
{
    struct node *node = job->node;
    list_remove(&job->sent_link);
    if (node == NULL)
        return;
    list_remove(&job->node_link);
    if (job->fact.live) {
        node->live_jobs--;
        node->memory_used_bytes -= job->memory_bytes;
    }
    if (job->pool != NULL) {
        int64_t before = pool_available(job->pool);
        job->pool->outstanding_bytes -= outstanding(job);
        job->pool->allocated_bytes -= job->fact.allocated_bytes;
        pool_changed(picture, job->pool, before);
    }
    job->node = NULL;
    job->pool = NULL;
    job->fact.reserved_bytes = job->fact.allocated_bytes = 0;
    picture_node_gained(picture, node);
}

void picture_set_allocated(struct picture *picture, struct job *job, uint64_t allocated_bytes)
{
    if (job->fact.allocated_bytes == allocated_bytes)
        return;
    if (job->pool != NULL) {
        int64_t before = pool_available(job->pool);
        job->pool->outstanding_bytes -= outstanding(job);
        job->pool->allocated_bytes += allocated_bytes - job->fact.allocated_bytes;
        job->fact.allocated_bytes = allocated_bytes;
        job->pool->outstanding_bytes += outstanding(job);
        pool_changed(picture, job->pool, before);
    }
    job->fact.allocated_bytes = allocated_bytes;
}

/* -- remains ---------------------------------------------------------------------------------------- */

/* Takes the pool's share of a remain, or gives it back. */
static void share_remain(struct picture *picture, const struct remain *remain, bool takes)
{
    int64_t before = pool_available(remain->pool);
    uint64_t allocated = remain->fact.allocated_bytes;
    uint64_t promised =
        place_outstanding(&(struct place_promise){remain->fact.reserved_bytes, allocated});
    remain->pool->outstanding_bytes += takes ? promised : -promised;
    remain->pool->allocated_bytes += takes ? allocated : -allocated;
    pool_changed(picture, remain->pool, before);
}

struct remain *picture_add_remain(struct picture *picture, struct node *node, struct pool *pool,
                                  const struct remain_fact *fact)
{
    struct remain *remain = xcalloc(1, sizeof *remain);
    remain->fact = *fact;
    remain->pool = pool;
    list_append(&node->remains, &remain->link);
    share_remain(picture, remain, true);
    return remain;
}

void picture_set_remain(struct picture *picture, struct remain *remain, uint64_t allocated_bytes)
{
    share_remain(picture, remain, false);
    remain->fact.allocated_bytes = allocated_bytes;
    share_remain(picture, remain, true);
}

void picture_drop_remain(struct picture *picture, struct remain *remain)
{
    share_remain(picture, remain, false);
    list_remove(&remain->link);
    free(remain);
}
