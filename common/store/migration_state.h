/* SPDX-License-Identifier: Apache-2.0
 *
 * The facts of migrations: their life, as the scheduler alone writes it. Whether a move is legal is
 * decided in scheduler/advance.c; here it is compared (migration_state_lock) and stored.
 */
#ifndef GUTS_COMMON_STORE_MIGRATION_STATE_H
#define GUTS_COMMON_STORE_MIGRATION_STATE_H

#include "common/db/db.h"
#include "proto/lifecycle.h"

struct migration_fact {
    struct uuid id;
    /* The definition, read only. */
    const char *project;
    struct uuid vm_id, source_id, destination_id;
    bool rollback_on_failure;
    bool dry_run;
    uint64_t created_at;
    uint64_t reserve_bytes; /* the option "reserve_bytes"; 0: not given */
    /* What placing needs of its ends; NULL or 0 when that row is gone. */
    const char *source_driver, *destination_driver;
    const char *source_labels_json, *destination_labels_json;
    uint64_t capacity_bytes; /* of the vm's disks */
    bool vm_known;           /* the vm's row exists and the last discovery saw it */
    /* Facts. */
    enum migration_state state;
    uint32_t version;
    uint32_t attempt;
    struct uuid job_id, node_id, needs_hash;
    enum migration_state way; /* MIGRATION_UNKNOWN: not known yet */
    const struct fault *fault;
    const char *fault_text;
    uint32_t retries, resumes;
    uint64_t total_bytes, done_bytes, read_bytes, written_bytes;
    uint64_t updated_at, started_at, finished_at, due_at; /* 0: NULL */
};

/* How many are due, counted up to `most`. */
bool migration_state_count_due(struct db *db, uint64_t now_us, size_t most, size_t *ret_count,
                               struct error *err) MUST_CHECK;
struct migration_option {
    struct uuid id;
    const char *options_json;
    const char *server_name;
};
/* What is due, longest due first. As many options, most of which are needed at once: long ones have no
 * options_json, and are to be asked for. */
bool migration_state_load_due(struct db *db, struct arena *arena, uint64_t now_us, size_t most,
                              struct migration_fact **ret_rows,
                              struct migration_option **ret_options, size_t *ret_count,
                              struct error *err) MUST_CHECK;
bool migration_state_load(struct db *db, struct arena *arena, const struct uuid *ids, size_t count,
                          struct migration_fact **ret_rows, size_t *ret_count,
                          struct error *err) MUST_CHECK;

/* Locks the rows in order of id and compares: FAULT_CONFLICT names the first whose state or version
 * is not what is expected. */
struct migration_expected {
    struct uuid id;
    enum migration_state state;
    uint32_t version;
};
bool migration_state_lock(struct db *db, const struct migration_expected *expected, size_t count,
                          struct error *err) MUST_CHECK;
/* Stores the facts of rows that migration_state_lock has locked. */
bool migration_state_save(struct db *db, const struct migration_fact *const *rows, size_t count,
                          struct error *err) MUST_CHECK;
/* The documents of a result; NULL leaves a column as it is. */
bool migration_state_save_result(struct db *db, const struct uuid *id, const char *faults_json,
                                 const char *evidence_json, const char *server_json,
                                 struct error *err) MUST_CHECK;

struct migration_disk_fact {
    struct uuid migration_id;
    uint16_t number;
    uint64_t capacity_bytes, total_bytes, done_bytes, read_bytes, written_bytes;
    const char *digest;
};
bool migration_disk_save(struct db *db, const struct migration_disk_fact *disks, size_t count,
                         struct error *err) MUST_CHECK;

bool migration_state_load_options(struct db *db, struct arena *arena, const struct uuid *ids,
                                  size_t count, struct migration_option **ret_options,
                                  size_t *ret_count, struct error *err) MUST_CHECK;
/* The row with its disks; events stay. */
bool migration_state_delete(struct db *db, const struct uuid *id, struct error *err) MUST_CHECK;
/* How many migrations stand in each state: once a term, for the gauges. */
bool migration_state_count(struct db *db, uint64_t ret_counts[MIGRATION_STATE_COUNT],
                           struct error *err) MUST_CHECK;

/* When to look at it again; nothing else changes. */
bool migration_state_postpone(struct db *db, const struct uuid *id, uint64_t due_at,
                              struct error *err) MUST_CHECK;

#endif
