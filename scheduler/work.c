/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/work.h"

#include "scheduler/intern.h"

uint64_t work_space_bytes(const struct scheduler *scheduler, const struct migration_fact *fact)
{
    const struct scheduler_settings *settings = scheduler->settings;
    if (fact->reserve_bytes > 0)
        return fact->reserve_bytes;
    bool is_staged = (fact->source_driver != NULL &&
                      place_words_hold(&scheduler->staging_sources, fact->source_driver)) ||
                     (fact->destination_driver != NULL &&
                      place_words_hold(&scheduler->staging_destinations, fact->destination_driver));
    if (!is_staged)
        return settings->job_space_bytes;
    return settings->job_space_bytes + fact->capacity_bytes +
           fact->capacity_bytes / 100 * (uint64_t)settings->space_percent;
}

static struct group *group_for_migration(const struct scheduler *scheduler, struct picture *picture,
                                         const struct migration *migration, enum job_kind kind)
{
    bool is_migrate = kind == JOB_MIGRATE;
    const struct place_need need = {
        .source_driver = migration->fact.source_driver,
        .destination_driver = migration->fact.destination_driver,
        .labels = migration->labels,
        .slots = 1,
        .memory_bytes = is_migrate ? scheduler->settings->job_memory_bytes : 0,
        .space_bytes = is_migrate ? work_space_bytes(scheduler, &migration->fact) : 0,
    };
    return picture_get_group(picture, &need, &migration->fact.source_id,
                             &migration->fact.destination_id, !is_migrate);
}

static struct job_fact new_fact(struct tick *tick, enum job_kind kind, enum owner_kind owner_kind,
                                const struct uuid *owner_id, const char *project)
{
    return (struct job_fact){
        .id = uuid_new(),
        .kind = kind,
        .owner_kind = owner_kind,
        .owner_id = *owner_id,
        .project = project,
        .state = JOB_WAITING,
        .live = true,
        .wanted = WANTED_GO,
        .created_at = tick->now_us,
    };
}

static void join_for_migration(const struct scheduler *scheduler, struct picture *picture,
                               struct job *job)
{
    struct group *group = group_for_migration(scheduler, picture, job->migration, job->fact.kind);
    job->memory_bytes = group->need.memory_bytes;
    job->migration->fact.needs_hash = group->hash;
    picture_wait(group, job);
}

static void join_for_endpoint(struct picture *picture, struct job *job,
                              const struct endpoint_fact *endpoint)
{
    static const struct uuid nil;
    bool is_source = job->fact.owner_kind == OWNER_SOURCE;
    struct place_need need = {
        .source_driver = is_source ? intern(endpoint->driver) : NULL,
        .destination_driver = is_source ? NULL : intern(endpoint->driver),
        .slots = 1,
    };
    intern_words(endpoint->labels_json, &need.labels);
    picture_wait(picture_get_group(picture, &need, is_source ? &endpoint->id : &nil,
                                   is_source ? &nil : &endpoint->id, true),
                 job);
    intern_words_fini(&need.labels);
}

bool work_join(struct scheduler *scheduler, struct picture *picture, struct job *job,
               struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct endpoint_fact *endpoint;
    size_t count;
    if (job->group != NULL)
        return true;
    if (job->migration != NULL) {
        if (job->fact.due_at == 0)
            join_for_migration(scheduler, picture, job);
        return true;
    }
    if (job->fact.owner_kind == OWNER_MIGRATION || job->fact.due_at != 0)
        return true;
    if (!endpoint_fact_load(scheduler->db, arena,
                            job->fact.owner_kind == OWNER_SOURCE ? END_SOURCE : END_DESTINATION,
                            &job->fact.owner_id, 1, &endpoint, &count, err))
        return false;
    if (count > 0)
        join_for_endpoint(picture, job, endpoint);
    return true;
}

bool work_wait(struct tick *tick, struct job *job, struct error *err)
{
    if (job->fact.due_at > tick->now_us)
        return true;
    if (job->fact.due_at != 0) {
        job->fact.due_at = 0;
        tick_touch_job(tick, job);
    }
    return work_join(tick->scheduler, tick->picture, job, err);
}

struct job *work_for_migration(struct tick *tick, struct migration *migration, enum job_kind kind,
                               const struct uuid *wish_id, const char *request_json,
                               uint64_t wait_ms)
{
    struct job_fact fact =
        new_fact(tick, kind, OWNER_MIGRATION, &migration->fact.id, migration->fact.project);
    if (wish_id != NULL)
        fact.wish_id = *wish_id;
    fact.request_json = request_json;
    if (wait_ms > 0)
        fact.due_at = tick->now_us + wait_ms * 1000;
    struct job *job = picture_add_job(tick->picture, &fact);
    job->migration = migration;
    migration->job = job;
    migration->fact.job_id = fact.id;
    tick_touch_job(tick, job);
    tick_touch_migration(tick, migration);
    if (wait_ms == 0)
        join_for_migration(tick->scheduler, tick->picture, job);
    return job;
}

struct job *work_for_endpoint(struct tick *tick, const struct endpoint_fact *endpoint,
                              enum owner_kind owner_kind, enum job_kind kind,
                              const struct wish_due *wish)
{
    struct job_fact fact = new_fact(tick, kind, owner_kind, &endpoint->id, endpoint->project);
    fact.attempt =
        endpoint->attempt; /* of the work before; this one's is counted when it is given */
    fact.wish_id = wish->id;
    fact.request_json = wish->arguments_json;
    struct job *job = picture_add_job(tick->picture, &fact);
    join_for_endpoint(tick->picture, job, endpoint);
    tick_touch_job(tick, job);
    return job;
}
