/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/due.h"

#include "scheduler/advance.h"
#include "scheduler/gauge.h"
#include "scheduler/placing.h"
#include "scheduler/work.h"

#define SHELVED_US 60000000u

static struct migration *visit(struct tick *tick, const struct migration_fact *fact)
{
    struct migration *migration = map_find(&tick->picture->migrations, &fact->id);
    if (migration != NULL)
        return migration;
    *TICK_ADD(tick, &tick->visited) = fact->id;
    return picture_add_migration(tick->picture, fact);
}

/* What is due behind the `taken` ones, up to what could fill all nodes with the longest runs. It is
 * counted anew when what was counted last has been taken. */
static bool follow_backlog(struct tick *tick, size_t taken, bool has_more, struct error *err)
{
    size_t due, most = taken + tick->picture->nodes.count * PLACING_RUN_MOST;
    size_t *backlog = &tick->scheduler->backlog;
    *backlog = has_more && *backlog > taken ? *backlog - taken : 0;
    if (!has_more || *backlog > 0)
        return true;
    if (!migration_state_count_due(tick->scheduler->db, tick->now_us, most, &due, err))
        return false;
    *backlog = due > taken ? due - taken : 0;
    return true;
}

bool due_take_migrations(struct tick *tick, size_t most, size_t *ret_taken, struct error *err)
{
    struct migration_fact *facts;
    struct migration_option *options;
    size_t count;
    if (!migration_state_load_due(tick->scheduler->db, tick->arena, tick->now_us, most, &facts,
                                  &options, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (options[i].options_json != NULL)
            map_put(&tick->options, &options[i].id, &options[i]);
        struct migration *migration = visit(tick, &facts[i]);
        if (tick->now_us > facts[i].due_at)
            metric_observe_us(&gauge_queue_time, tick->now_us - facts[i].due_at);
        if (migration->fact.state == MIGRATION_PENDING && uuid_is_nil(&migration->fact.job_id)) {
            advance_begin(tick, migration);
        } else {
            advance_settle_check(tick, migration);
        }
    }
    *ret_taken = count;
    return follow_backlog(tick, count, count == most, err);
}

bool due_take_jobs(struct tick *tick, size_t most, size_t *ret_taken, struct error *err)
{
    struct uuid *ids;
    size_t count;
    if (!job_load_due(tick->scheduler->db, tick->arena, tick->now_us, most, &ids, &count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct job *job = map_find(&tick->picture->jobs, &ids[i]);
        if (job != NULL && job->fact.state == JOB_WAITING && job->fact.due_at <= tick->now_us &&
            !work_wait(tick, job, err))
            return false;
    }
    *ret_taken = count;
    return true;
}

bool due_load_migrations(struct tick *tick, const struct uuid *ids, size_t count, struct error *err)
{
    struct migration_fact *facts;
    size_t found, missing = 0;
    struct uuid *wanted = arena_calloc(tick->arena, count + 1, sizeof *wanted);
    for (size_t i = 0; i < count; i++)
        if (map_find(&tick->picture->migrations, &ids[i]) == NULL)
            wanted[missing++] = ids[i];
    if (!migration_state_load(tick->scheduler->db, tick->arena, wanted, missing, &facts, &found,
                              err))
        return false;
    for (size_t i = 0; i < found; i++)
        visit(tick, &facts[i]);
    return true;
}

/* -- what cannot be served -------------------------------------------------------------------------- */

static bool shelve_job(struct tick *tick, const struct error *reason, struct error *err)
{
    struct uuid *ids;
    size_t count;
    uint64_t due_at = tick->now_us + SHELVED_US;
    if (!job_load_due(tick->scheduler->db, tick->arena, tick->now_us, 1, &ids, &count, err))
        return false;
    if (count == 0)
        return true;
    struct job *job = map_find(&tick->picture->jobs, &ids[0]);
    if (job != NULL) {
        job->fact.due_at = due_at;
        tick_event(tick, job->fact.project, "job.postponed", EVENT_ERROR, job->fact.owner_kind,
                   &job->fact.owner_id, reason->text, NULL);
    }
    return job_postpone(tick->scheduler->db, &ids[0], due_at, err);
}

static bool shelve_migration(struct tick *tick, const struct error *reason, struct error *err)
{
    struct migration_fact *facts;
    struct migration_option *options;
    size_t count;
    uint64_t due_at = tick->now_us + SHELVED_US;
    if (!migration_state_load_due(tick->scheduler->db, tick->arena, tick->now_us, 1, &facts,
                                  &options, &count, err))
        return false;
    if (count == 0)
        return true;
    struct migration *migration = map_find(&tick->picture->migrations, &facts[0].id);
    if (migration != NULL)
        migration->fact.due_at = due_at;
    tick_event(tick, facts[0].project, "migration.postponed", EVENT_ERROR, OWNER_MIGRATION,
               &facts[0].id, reason->text, NULL);
    return migration_state_postpone(tick->scheduler->db, &facts[0].id, due_at, err);
}

bool due_shelve(struct tick *tick, unsigned part, const struct error *reason, struct error *err)
{
    return part == DUE_JOBS ? shelve_job(tick, reason, err) : shelve_migration(tick, reason, err);
}
