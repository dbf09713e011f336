/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/picture_load.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/store/driver_fact.h"
#include "scheduler/intern.h"
#include "scheduler/work.h"

#define JOBS_AT_ONCE 2000

/* -- nodes and pools ----------------------------------------------------------------------------------- */

static void load_resources(struct node *node, const char *text)
{
    json_t *resources = text == NULL ? NULL : json_loads(text, 0, NULL);
    const json_t *memory = json_object_get(resources, "memory");
    node->slots_total = json_integer_value(json_object_get(resources, "slot"));
    node->counts_memory = memory != NULL;
    node->memory_total_bytes = json_integer_value(memory);
    json_decref(resources);
}

static const char *node_state(const char *word)
{
    static const char *const words[] = {"enabled", "draining", "disabled"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (word != NULL && strcmp(words[i], word) == 0)
            return words[i];
    return words[0];
}

static void replace_text(char **text, const char *value)
{
    free(*text);
    *text = xstrdup(value == NULL ? "" : value);
}

static void load_node(struct picture *picture, const struct node_fact *fact)
{
    struct node *node = picture_add_node(picture, &fact->id, fact->name);
    snprintf(node->instance, sizeof node->instance, "%s", fact->instance);
    snprintf(node->version, sizeof node->version, "%s", fact->version);
    replace_text(&node->host, fact->host);
    replace_text(&node->reason, fact->reason);
    replace_text(&node->resources_json, fact->resources_json);
    node->state = node_state(fact->state);
    node->up = fact->up;
    intern_words(fact->labels_json, &node->labels);
    intern_words(fact->source_drivers_json, &node->source_drivers);
    intern_words(fact->destination_drivers_json, &node->destination_drivers);
    load_resources(node, fact->resources_json);
    node->report_number = fact->report_number;
    node->first_seen_at = fact->first_seen_at;
    node->seen_at = fact->seen_at;
    if (node->up)
        picture_node_heard(picture, node, clock_mono_ms());
}

static bool load_nodes(struct scheduler *scheduler, struct picture *picture, struct arena *arena,
                       struct error *err)
{
    struct node_fact *nodes;
    struct pool_fact *pools;
    struct node_pool_fact *links;
    size_t node_count, pool_count, link_count;
    if (!node_load(scheduler->db, arena, &nodes, &node_count, err) ||
        !pool_load(scheduler->db, arena, &pools, &pool_count, err) ||
        !node_pool_load(scheduler->db, arena, &links, &link_count, err))
        return false;
    for (size_t i = 0; i < node_count; i++)
        load_node(picture, &nodes[i]);
    for (size_t i = 0; i < pool_count; i++)
        picture_get_pool(picture, &pools[i].id)->fact = pools[i];
    for (size_t i = 0; i < link_count; i++) {
        struct node *node = map_find(&picture->nodes, &links[i].node_id);
        struct pool *pool = map_find(&picture->pools, &links[i].pool_id);
        if (node == NULL || pool == NULL || node->pool_count == PLACE_POOLS_MOST)
            continue;
        const struct node_pool seen = {pool, (char *)links[i].path, pool->fact.capacity_bytes,
                                       pool->fact.used_bytes, pool->fact.free_bytes};
        picture_set_node_pool(picture, node, node->pool_count, &seen);
        node->pools_changed = false;
    }
    return true;
}

static bool load_remains(struct scheduler *scheduler, struct picture *picture, struct arena *arena,
                         struct error *err)
{
    struct remain_fact *facts;
    size_t count;
    if (!remain_load(scheduler->db, arena, &facts, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct node *node = map_find(&picture->nodes, &facts[i].node_id);
        struct pool *pool = map_find(&picture->pools, &facts[i].pool_id);
        if (node != NULL && pool != NULL)
            picture_add_remain(picture, node, pool, &facts[i]);
    }
    return true;
}

/* What was heard in this term stays heard. */
static void take_over(struct picture *picture, const struct picture *old)
{
    if (old == NULL)
        return;
    for (const struct link *at = old->heard.next; at != &old->heard; at = at->next) {
        const struct node *before = LIST_ITEM(at, struct node, heard_link);
        struct node *node = map_find(&picture->nodes, &before->id);
        if (node == NULL || !node->up)
            continue;
        picture_node_heard(picture, node, before->heard_ms);
        node->is_told = node->was_told = before->was_told;
        node->parts = node->parts_then = before->parts_then;
        node->has_stale = before->has_stale;
    }
}

/* -- jobs and their migrations ----------------------------------------------------------------------------- */

static void place_loaded(const struct scheduler *scheduler, struct picture *picture,
                         struct job *job, const struct job_fact *fact)
{
    struct node *node = map_find(&picture->nodes, &fact->node_id);
    struct pool *pool = map_find(&picture->pools, &fact->pool_id);
    if (fact->kind == JOB_MIGRATE)
        job->memory_bytes = scheduler->settings->job_memory_bytes;
    if (node == NULL)
        return;
    job->runs_step = fact->live;
    picture_place_job(picture, job, node, pool, fact->reserved_bytes);
    job->fact.pool_id = fact->pool_id;
    if (fact->state == JOB_ASSIGNED) {
        job->sent_ms = clock_mono_ms();
        list_append(&picture->sent, &job->sent_link);
    }
}

static bool load_jobs(struct scheduler *scheduler, struct picture *picture, struct error *err)
{
    struct uuid after = {0};
    size_t count = JOBS_AT_ONCE;
    while (count == JOBS_AT_ONCE) {
        CLEANUP(arena_freep) struct arena *arena = arena_new();
        struct job_fact *facts;
        if (!job_load_open(scheduler->db, arena, &after, JOBS_AT_ONCE, &facts, &count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            struct job *job = picture_add_job(picture, &facts[i]);
            if (facts[i].state != JOB_WAITING)
                place_loaded(scheduler, picture, job, &facts[i]);
            after = facts[i].id;
        }
    }
    return true;
}

static bool attach_migrations(struct scheduler *scheduler, struct picture *picture,
                              struct job *const *jobs, size_t count, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct migration_fact *facts;
    size_t found;
    struct uuid *ids = arena_calloc(arena, count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = jobs[i]->fact.owner_id;
    if (!migration_state_load(scheduler->db, arena, ids, count, &facts, &found, err))
        return false;
    for (size_t i = 0; i < found; i++)
        picture_add_migration(picture, &facts[i]);
    for (size_t i = 0; i < count; i++) {
        jobs[i]->migration = map_find(&picture->migrations, &jobs[i]->fact.owner_id);
        if (jobs[i]->migration != NULL)
            jobs[i]->migration->job = jobs[i];
    }
    return true;
}

static bool load_migrations(struct scheduler *scheduler, struct picture *picture, struct error *err)
{
    struct job *some[JOBS_AT_ONCE];
    size_t count = 0, at = 0;
    for (struct job *job; (job = map_next(&picture->jobs, &at)) != NULL;) {
        if (!job->fact.live || job->fact.owner_kind != OWNER_MIGRATION)
            continue;
        some[count++] = job;
        if (count == JOBS_AT_ONCE) {
            if (!attach_migrations(scheduler, picture, some, count, err))
                return false;
            count = 0;
        }
    }
    return attach_migrations(scheduler, picture, some, count, err);
}

/* Waiting jobs enter their groups in order of their making: ids rise with time. */
static int compare_jobs(const void *a, const void *b)
{
    return uuid_compare(&(*(struct job *const *)a)->fact.id, &(*(struct job *const *)b)->fact.id);
}

static bool let_wait(struct scheduler *scheduler, struct picture *picture, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct job **jobs = arena_calloc(arena, picture->jobs.count + 1, sizeof(struct job *));
    size_t count = 0, at = 0;
    for (struct job *job; (job = map_next(&picture->jobs, &at)) != NULL;)
        if (job->fact.state == JOB_WAITING)
            jobs[count++] = job;
    if (count > 1)
        qsort(jobs, count, sizeof(struct job *), compare_jobs);
    for (size_t i = 0; i < count; i++)
        if (!work_join(scheduler, picture, jobs[i], err))
            return false;
    return true;
}

/* -- the rest -------------------------------------------------------------------------------------------- */

static bool load_drivers(struct scheduler *scheduler, struct arena *arena, struct error *err)
{
    struct driver_fact *drivers;
    size_t count;
    if (!driver_fact_load(scheduler->db, arena, &drivers, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t k;
        json_t *feature, *declaration = json_loads(drivers[i].declaration_json, 0, NULL);
        json_array_foreach(json_object_get(declaration, "features"), k, feature)
            if (json_is_string(feature) && strcmp(json_string_value(feature), "stages") == 0)
                intern_words_add(drivers[i].end == END_SOURCE ? &scheduler->staging_sources
                                                              : &scheduler->staging_destinations,
                                 drivers[i].name);
        json_decref(declaration);
    }
    return true;
}

bool picture_count_states(struct scheduler *scheduler, struct error *err)
{
    return migration_state_count(scheduler->db, scheduler->picture->states, err);
}

bool picture_load(struct scheduler *scheduler, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct picture *picture = picture_new(), *old = scheduler->picture;
    scheduler->driver_count = 0; /* what was noted as stored may have been rolled back */
    bool is_loaded =
        load_drivers(scheduler, arena, err) && load_nodes(scheduler, picture, arena, err) &&
        load_remains(scheduler, picture, arena, err) && load_jobs(scheduler, picture, err) &&
        load_migrations(scheduler, picture, err) && let_wait(scheduler, picture, err);
    if (!is_loaded) {
        picture_free(picture);
        return false;
    }
    take_over(picture, old);
    picture_free(old);
    scheduler->picture = picture;
    return picture_count_states(scheduler, err);
}
