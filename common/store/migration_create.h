/* SPDX-License-Identifier: Apache-2.0
 *
 * New migrations, one or thousands at once. Rows begin as PENDING, version 0, due now; what follows
 * is the scheduler's. A unique index allows one open migration a vm: asking again answers with the
 * one that exists.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_MIGRATION_CREATE_H
#define GUTS_COMMON_STORE_MIGRATION_CREATE_H

#include "common/store/store.h"

struct migration_new {
    struct uuid id; /* uuid_new() by the caller */
    struct uuid vm_id, source_id, destination_id;
    const char *vm_name, *server_name;
};
struct migration_new_shared {
    const char *project;
    const char *options_json; /* validated */
    const char *on_failure;   /* "rollback", "keep" */
    bool dry_run;
    const char *who;
    /* Asked in each transaction, between its rows and its commit (and again when it is done again): false,
     * with an error, takes them back. NULL: all are committed. */
    bool (*consent)(void *context, struct error *err);
    void *consent_context;
};

/* What became of each: `existing` is nil when it was created, else the open migration of that vm
 * (an earlier one of the same call when the call names a vm twice). */
struct migration_created {
    struct uuid existing;
};

/* Called after each commit with the ids that it created, so that the scheduler can be woken while the
 * rest is written. May be NULL. */
typedef void migration_created_handler(void *context, const struct uuid *ids, size_t count);

/* Opens its own transactions, one for each few hundred rows; a chunk that met a deadlock, a duplicate
 * or a commit of unknown outcome is looked at and done again. FAULT_NOT_FOUND when a source or the
 * destination went away meanwhile. On an error, *ret_done says how many rows of the front were
 * committed (or skipped); ret_results, with one element a row, is filled as far as that. */
bool migration_create(struct store *store, const struct migration_new_shared *shared,
                      const struct migration_new *rows, size_t count,
                      migration_created_handler *handler, void *context,
                      struct migration_created *ret_results, size_t *ret_done,
                      struct error *err) MUST_CHECK;

#endif
