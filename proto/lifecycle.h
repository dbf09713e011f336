/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a migration: its states and the one table of legal moves (design: "The life of a
 * migration"). Pure data; the scheduler's one function performs the moves, the API reads the table
 * to refuse early what would be refused anyway.
 *
 * Threads: constant data.
 */
#ifndef GUTS_PROTO_LIFECYCLE_H
#define GUTS_PROTO_LIFECYCLE_H

#include <stdbool.h>
#include <stddef.h>

/* Values are those of guts.v1.MigrationState and never change. */
enum migration_state {
    MIGRATION_UNKNOWN = 0,
    MIGRATION_PENDING = 1,
    MIGRATION_SCHEDULED = 2,
    MIGRATION_DISCOVERED = 3,
    MIGRATION_CONVERTING = 4,
    MIGRATION_UPLOADING = 5,
    MIGRATION_SYNCING = 6,
    MIGRATION_WAITING = 7,
    MIGRATION_DEPLOYED = 8,
    MIGRATION_VERIFIED = 9,
    MIGRATION_CLEANING = 10,
    MIGRATION_CLEANED = 11,
    MIGRATION_FAILED = 12,
    MIGRATION_ROLLING_BACK = 13,
    MIGRATION_ROLLED_BACK = 14,
    MIGRATION_CANCELLING = 15,
    MIGRATION_CANCELLED = 16,
};
#define MIGRATION_STATE_COUNT 17

/* What an operator may ask of a migration. */
enum migration_verb {
    VERB_CANCEL,
    VERB_RETRY,
    VERB_ROLLBACK,
    VERB_CLEANUP,
    VERB_DELETE,
};

const char *migration_state_name(enum migration_state state); /* "PENDING" … "UNKNOWN" */
enum migration_state migration_state_parse(const char *name); /* MIGRATION_UNKNOWN if none */
const char *migration_verb_name(enum migration_verb verb);    /* "cancel" … */

bool lifecycle_allows(enum migration_state from, enum migration_state to);
/* Whether the verb makes sense in a state, without looking at the ledger. */
bool lifecycle_accepts(enum migration_state state, enum migration_verb verb);
/* The vm may not be migrated by another migration meanwhile (FAILED and VERIFIED count as open). */
bool lifecycle_is_open(enum migration_state state);
/* Nothing more happens unless somebody asks (CLEANED, ROLLED_BACK, CANCELLED; FAILED, VERIFIED). */
bool lifecycle_is_resting(enum migration_state state);
/* CLEANED, ROLLED_BACK, CANCELLED: the end; what remains is history. */
bool lifecycle_is_final(enum migration_state state);
/* Before DEPLOYED's proof: a fault here leads to FAILED, a cancel to CANCELLING. */
bool lifecycle_is_unfinished(enum migration_state state);
/* The states to pass from `from` until `to` is reached by a job that works forward (messages carry
 * levels, so a report may be several moves ahead). `way` is MIGRATION_CONVERTING or
 * MIGRATION_UPLOADING. Returns how many were written into ret_path (at most MIGRATION_STATE_COUNT),
 * 0 when `to` does not lie ahead of `from`. */
size_t lifecycle_path(enum migration_state from, enum migration_state to, enum migration_state way,
                      enum migration_state ret_path[MIGRATION_STATE_COUNT]);

#endif
