/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place where migrations move (design: "The life of a migration"): compare-and-swap on
 * (id, state, version), legality by the lifecycle table, an event for each move in the same
 * transaction. It also makes the jobs that follow from moves. What follows from a job's end is
 * decided in decide.c.
 */
#ifndef GUTS_SCHEDULER_ADVANCE_H
#define GUTS_SCHEDULER_ADVANCE_H

#include "scheduler/decide.h"
#include "scheduler/tick.h"

/* How a job ended; texts may be NULL. */
struct job_end {
    enum outcome outcome;
    const struct fault *fault;
    const char *fault_text;
    const char *faults_json, *evidence_json, *server_json, *answer_json;
    enum migration_state reached;
    uint64_t pages;
    bool is_partial; /* the list lacks what could not be looked at */
};

/* Moves, or counts an illegal move and returns false. fault NULL: as it was. */
bool advance_move(struct tick *tick, struct migration *migration, enum migration_state to,
                  const struct fault *fault, const char *text);
/* A row that the API inserted is seen for the first time: its first event, its first job. */
void advance_begin(struct tick *tick, struct migration *migration);
/* A job of a migration was given to a node. */
void advance_assigned(struct tick *tick, struct job *job);
/* A report says how far a job that works forward has come. */
void advance_reached(struct tick *tick, struct job *job, enum migration_state reached,
                     enum migration_state way);
/* Stores a job's end and what follows. The owner's ledger was read into the tick. */
void advance_finished(struct tick *tick, struct job *job, const struct job_end *end);
/* What follows when the job was of a source or destination (advance_endpoint.c). */
void advance_endpoint_ended(struct tick *tick, struct job *job, const struct job_end *end);
/* The job has no node any more (lost, refused): it waits again, or has ended when it was to be
 * cancelled or has spent its attempts. The owner's ledger was read into the tick. */
void advance_requeue(struct tick *tick, struct job *job, const struct fault *fault,
                     const char *text, uint64_t wait_ms);

/* Verbs of the operator; the ledger was read into the tick. FAULT_STATE_FORBIDS, FAULT_LEDGER_OPEN. */
bool advance_verb(struct tick *tick, struct migration *migration, enum migration_verb verb,
                  const struct uuid *wish_id, struct error *err) MUST_CHECK;
/* One takeover time after a rollback, a cancel, or the result of an attempt that was not the first: a job
 * looks at the ends again. */
void advance_settle_check(struct tick *tick, struct migration *migration);

#endif
