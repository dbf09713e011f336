/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/job.h"

#include <stdio.h>
#include <string.h>

#include "common/store/bind.h"
#include "proto/fault.h"

static const char *const job_state_names[] = {
    [JOB_STATE_NONE] = "",       [JOB_WAITING] = "waiting",   [JOB_ASSIGNED] = "assigned",
    [JOB_ACCEPTED] = "accepted", [JOB_FINISHED] = "finished", [JOB_CLOSED] = "closed",
};

const char *job_state_name(enum job_state state)
{
    return job_state_names[state];
}

enum job_state job_state_parse(const char *name)
{
    for (size_t i = 1; i < COUNT_OF(job_state_names); i++)
        if (strcmp(job_state_names[i], name) == 0)
            return (enum job_state)i;
    return JOB_STATE_NONE;
}

#define JOB_COLUMNS                                                                                \
    "id, kind, owner_kind, owner_id, project, wish_id, state, live, wanted, attempt, run, "        \
    "needs_hash, request_json, node_id, node_instance, pool_id, reserved_bytes, "                  \
    "allocated_bytes, created_at, assigned_at, accepted_at, finished_at, outcome, "                \
    "fault_code, fault_text, due_at, note_number"
enum { JOB_WIDTH = 28 };

static void bind_job(const struct job_fact *job, struct db_value *into)
{
    const struct db_value row[JOB_WIDTH] = {
        db_uuid(&job->id),
        db_text(job_kind_name(job->kind)),
        db_text(owner_kind_name(job->owner_kind)),
        db_uuid(&job->owner_id),
        db_text(job->project),
        db_uuid(&job->wish_id),
        db_text(job_state_name(job->state)),
        job->live ? db_unsigned(1) : db_null(),
        db_text(wanted_name(job->wanted)),
        db_unsigned(job->attempt),
        db_unsigned(job->run),
        db_uuid(&job->needs_hash),
        db_text(job->request_json),
        db_uuid(&job->node_id),
        bind_cut(job->node_instance, JOB_INSTANCE_SIZE - 1),
        db_uuid(&job->pool_id),
        db_unsigned(job->reserved_bytes),
        db_unsigned(job->allocated_bytes),
        db_unsigned(job->created_at),
        bind_time(job->assigned_at),
        db_unsigned(job->accepted_at),
        bind_time(job->finished_at),
        db_text(job->outcome),
        bind_fault(job->fault),
        bind_cut(job->fault_text, 1024),
        bind_time(job->due_at),
        db_unsigned(job->note_number),
        job->state == JOB_CLOSED ? db_null() : db_unsigned(1),
    };
    memcpy(into, row, sizeof row);
}

/* A second live job of one owner meets the row of the first by the index one_live: that one must not be
 * overwritten, so the statement fails (a state is never NULL). */
bool job_save(struct db *db, const struct job_fact *const *jobs, size_t count, struct error *err)
{
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * JOB_WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        bind_job(jobs[i], &values[i * JOB_WIDTH]);
    return db_execute_rows(
        db, "INSERT INTO jobs (" JOB_COLUMNS ", open) VALUES ",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE state = IF(id = VALUES(id), VALUES(state), NULL),"
        " live = VALUES(live),"
        " wanted = VALUES(wanted), attempt = VALUES(attempt), run = VALUES(run),"
        " needs_hash = VALUES(needs_hash), node_id = VALUES(node_id),"
        " node_instance = VALUES(node_instance), pool_id = VALUES(pool_id),"
        " reserved_bytes = VALUES(reserved_bytes), allocated_bytes = VALUES(allocated_bytes),"
        " assigned_at = VALUES(assigned_at), accepted_at = VALUES(accepted_at),"
        " finished_at = VALUES(finished_at),"
        " outcome = VALUES(outcome), fault_code = VALUES(fault_code),"
        " fault_text = VALUES(fault_text), due_at = VALUES(due_at),"
        " note_number = VALUES(note_number), open = VALUES(open)",
        values, JOB_WIDTH, count, NULL, err);
}

bool job_accept(struct db *db, const struct uuid *ids, size_t count, uint64_t accepted_at,
                struct error *err)
{
    enum { LIST_MOST = 1024 };
    struct db_value list[LIST_MOST];
    const struct db_value values[] = {db_unsigned(accepted_at)};
    for (size_t done = 0; done < count;) {
        uint64_t found;
        size_t rows = count - done < LIST_MOST ? count - done : LIST_MOST;
        for (size_t i = 0; i < rows; i++)
            list[i] = db_uuid(&ids[done + i]);
        if (!db_execute_list(
                db, "UPDATE jobs SET state = 'accepted', accepted_at = ? WHERE id IN (%LIST%)",
                values, COUNT_OF(values), list, rows, &found, err))
            return false;
        if (found != rows)
            return error_set(err, &FAULT_CONFLICT, "%zu of %zu accepted jobs are gone",
                             rows - (size_t)found, rows);
        done += rows;
    }
    return true;
}

static enum wanted parse_wanted(const char *name)
{
    for (int wanted = WANTED_GO; wanted <= WANTED_FENCED; wanted++)
        if (name != NULL && strcmp(wanted_name((enum wanted)wanted), name) == 0)
            return (enum wanted)wanted;
    return WANTED_GO;
}

static void read_job(const struct db_rows *rows, size_t row, struct job_fact *job)
{
    const char *instance = db_rows_text(rows, row, 14);
    const char *code = db_rows_text(rows, row, 23);
    *job = (struct job_fact){
        .id = db_rows_uuid(rows, row, 0),
        .kind = job_kind_parse(db_rows_text(rows, row, 1)),
        .owner_kind = owner_kind_parse(db_rows_text(rows, row, 2)),
        .owner_id = db_rows_uuid(rows, row, 3),
        .project = db_rows_text(rows, row, 4),
        .wish_id = db_rows_uuid(rows, row, 5),
        .state = job_state_parse(db_rows_text(rows, row, 6)),
        .live = db_rows_unsigned(rows, row, 7) == 1,
        .wanted = parse_wanted(db_rows_text(rows, row, 8)),
        .attempt = (uint32_t)db_rows_unsigned(rows, row, 9),
        .run = (uint32_t)db_rows_unsigned(rows, row, 10),
        .needs_hash = db_rows_uuid(rows, row, 11),
        .request_json = db_rows_text(rows, row, 12),
        .node_id = db_rows_uuid(rows, row, 13),
        .pool_id = db_rows_uuid(rows, row, 15),
        .reserved_bytes = db_rows_unsigned(rows, row, 16),
        .allocated_bytes = db_rows_unsigned(rows, row, 17),
        .created_at = db_rows_unsigned(rows, row, 18),
        .assigned_at = db_rows_unsigned(rows, row, 19),
        .accepted_at = db_rows_unsigned(rows, row, 20),
        .finished_at = db_rows_unsigned(rows, row, 21),
        .outcome = db_rows_text(rows, row, 22),
        .fault = code == NULL ? NULL : fault_get(code),
        .fault_text = db_rows_text(rows, row, 24),
        .due_at = db_rows_unsigned(rows, row, 25),
        .note_number = db_rows_unsigned(rows, row, 26),
    };
    snprintf(job->node_instance, sizeof job->node_instance, "%s", instance ? instance : "");
}

bool job_load_open(struct db *db, struct arena *arena, const struct uuid *after, size_t most,
                   struct job_fact **ret_jobs, size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    const struct db_value values[] = {db_bytes(after->bytes, UUID_BYTES), db_unsigned(most)};
    if (!db_query(db, arena,
                  "SELECT " JOB_COLUMNS " FROM jobs WHERE open = 1 AND id > ? ORDER BY id LIMIT ?",
                  values, COUNT_OF(values), &rows, err))
        return false;
    size_t count = db_rows_count(rows);
    struct job_fact *jobs = arena_calloc(arena, count + 1, sizeof *jobs);
    for (size_t i = 0; i < count; i++)
        read_job(rows, i, &jobs[i]);
    *ret_jobs = jobs;
    *ret_count = count;
    return true;
}

bool job_load_due(struct db *db, struct arena *arena, uint64_t now_us, size_t most,
                  struct uuid **ret_ids, size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    const struct db_value values[] = {db_unsigned(now_us), db_unsigned(most)};
    if (!db_query(db, arena, "SELECT id FROM jobs WHERE due_at <= ? ORDER BY due_at, id LIMIT ?",
                  values, COUNT_OF(values), &rows, err))
        return false;
    *ret_count = db_rows_count(rows);
    *ret_ids = arena_calloc(arena, *ret_count + 1, sizeof **ret_ids);
    for (size_t i = 0; i < *ret_count; i++)
        (*ret_ids)[i] = db_rows_uuid(rows, i, 0);
    return true;
}

bool job_delete_of(struct db *db, const struct uuid *owner_id, enum owner_kind kind,
                   struct error *err)
{
    const struct db_value values[] = {db_text(owner_kind_name(kind)), db_uuid(owner_id)};
    return db_execute(db, "DELETE FROM steps WHERE owner_id = ?", &values[1], 1, NULL, err) &&
           db_execute(db, "DELETE FROM jobs WHERE owner_kind = ? AND owner_id = ?", values,
                      COUNT_OF(values), NULL, err);
}

bool job_postpone(struct db *db, const struct uuid *id, uint64_t due_at, struct error *err)
{
    const struct db_value values[] = {db_unsigned(due_at), db_uuid(id)};
    return db_execute(db, "UPDATE jobs SET due_at = ? WHERE id = ?", values, COUNT_OF(values), NULL,
                      err);
}

struct pruned_job {
    struct uuid id, owner;
};

/* A migration's steps go with it; nobody else shows the steps of what has closed. */
static bool delete_steps(struct db *db, const struct pruned_job *job, struct error *err)
{
    const struct db_value values[] = {db_uuid(&job->owner), db_uuid(&job->id)};
    return db_execute(db, "DELETE FROM steps WHERE owner_id = ? AND job_id = ?", values,
                      COUNT_OF(values), NULL, err);
}

static bool delete_pruned(struct db *db, struct arena *arena, const struct db_rows *rows,
                          uint64_t before_us, uint64_t *ret_count, struct error *err)
{
    size_t count = 0;
    struct pruned_job *jobs = arena_calloc(arena, db_rows_count(rows) + 1, sizeof *jobs);
    struct db_value *ids = arena_calloc(arena, db_rows_count(rows) + 1, sizeof *ids);
    for (size_t i = 0; i < db_rows_count(rows); i++) {
        if (db_rows_unsigned(rows, i, 3) == 1 || db_rows_unsigned(rows, i, 4) >= before_us)
            continue;
        struct pruned_job *job = &jobs[count];
        *job = (struct pruned_job){db_rows_uuid(rows, i, 0), db_rows_uuid(rows, i, 2)};
        ids[count++] = db_uuid(&job->id);
        if (owner_kind_parse(db_rows_text(rows, i, 1)) != OWNER_MIGRATION &&
            !delete_steps(db, job, err))
            return false;
    }
    *ret_count = count;
    return count == 0 || db_execute_list(db, "DELETE FROM jobs WHERE id IN (%LIST%)", NULL, 0, ids,
                                         count, NULL, err);
}

bool job_prune(struct db *db, uint64_t before_us, size_t most, struct uuid *cursor,
               uint64_t *ret_count, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct db_rows *rows;
    const struct uuid bound = bind_id_at(before_us);
    const struct db_value values[] = {db_bytes(cursor->bytes, UUID_BYTES),
                                      db_bytes(bound.bytes, UUID_BYTES), db_unsigned(most)};
    if (!db_query(db, arena,
                  "SELECT id, owner_kind, owner_id, open, COALESCE(finished_at, created_at)"
                  " FROM jobs WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                  values, COUNT_OF(values), &rows, err) ||
        !delete_pruned(db, arena, rows, before_us, ret_count, err))
        return false;
    size_t count = db_rows_count(rows);
    *cursor = count < most ? (struct uuid){{0}} : db_rows_uuid(rows, count - 1, 0);
    return true;
}
