/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs as the scheduler writes them: one row for each piece of work, from its waiting to its closing.
 * Steps and pages that belong to jobs stand in step.h and page.h.
 */
#ifndef GUTS_COMMON_STORE_JOB_H
#define GUTS_COMMON_STORE_JOB_H

#include "common/db/db.h"
#include "proto/words.h"

enum job_state {
    JOB_STATE_NONE,
    JOB_WAITING,  /* for a node */
    JOB_ASSIGNED, /* sent to a node */
    JOB_ACCEPTED, /* the node's journal has it */
    JOB_FINISHED, /* its result is stored; the node still has its directory */
    JOB_CLOSED,   /* nothing of it is left on any node */
};
const char *job_state_name(enum job_state state); /* "waiting" … */
enum job_state job_state_parse(const char *name);

#define JOB_INSTANCE_SIZE 65

struct job_fact {
    struct uuid id;
    enum job_kind kind;
    enum owner_kind owner_kind;
    struct uuid owner_id;
    const char *project;
    struct uuid wish_id; /* nil: none */
    enum job_state state;
    bool live; /* until its result is stored */
    enum wanted wanted;
    uint32_t attempt;
    uint32_t run;
    struct uuid needs_hash;
    const char *request_json; /* or NULL */
    struct uuid node_id;      /* nil while waiting */
    char node_instance[JOB_INSTANCE_SIZE];
    struct uuid pool_id;
    uint64_t reserved_bytes;
    uint64_t allocated_bytes;
    uint64_t created_at, assigned_at, accepted_at, finished_at; /* 0: not yet */
    const char *outcome; /* "done", "failed", "cancelled", or NULL */
    const struct fault *fault;
    const char *fault_text;
    uint64_t due_at;      /* 0: never */
    uint64_t note_number; /* of the attempt's last note that became an event */
};

/* Inserts or replaces whole rows. */
bool job_save(struct db *db, const struct job_fact *const *jobs, size_t count,
              struct error *err) MUST_CHECK;
/* These were accepted, and nothing else of them changed. FAULT_CONFLICT when a row is missing. */
bool job_accept(struct db *db, const struct uuid *ids, size_t count, uint64_t accepted_at,
                struct error *err) MUST_CHECK;
/* Jobs that are not closed with ids above `after`, in order of id. Texts live in arena. */
bool job_load_open(struct db *db, struct arena *arena, const struct uuid *after, size_t most,
                   struct job_fact **ret_jobs, size_t *ret_count, struct error *err) MUST_CHECK;
/* Ids of jobs that are due, in order of due_at. */
bool job_load_due(struct db *db, struct arena *arena, uint64_t now_us, size_t most,
                  struct uuid **ret_ids, size_t *ret_count, struct error *err) MUST_CHECK;
bool job_delete_of(struct db *db, const struct uuid *owner_id, enum owner_kind kind,
                   struct error *err) MUST_CHECK;

/* When to look at it again; nothing else changes. */
bool job_postpone(struct db *db, const struct uuid *id, uint64_t due_at,
                  struct error *err) MUST_CHECK;

/* Looks at the `most` jobs behind `*cursor`, from nil on, and removes those that are closed and ended
 * before that time. The steps of a migration's jobs stay with the migration. The cursor is nil again
 * when all that could be old enough was looked at. */
bool job_prune(struct db *db, uint64_t before_us, size_t most, struct uuid *cursor,
               uint64_t *ret_count, struct error *err) MUST_CHECK;

#endif
