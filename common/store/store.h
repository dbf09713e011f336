/* SPDX-License-Identifier: Apache-2.0
 *
 * The store: the one room that holds SQL. A store is one database connection and what its verbs
 * share. There is one file a table (or a view of several), each call is a verb over plain structs,
 * and none of them logs. It knows the tables and nothing of messages, routes or drivers.
 *
 * `project` is the scope of whoever asks: rows of other projects are simply not found. NULL means
 * all projects and is for admins and for the daemons' own work.
 *
 * Errors: those of common/db/db.h go up unchanged, plus FAULT_NOT_FOUND, FAULT_INVALID (a cursor
 * that we did not give out, a number beyond its bound) and what each verb names.
 *
 * Threads: a store belongs to one thread. Results live in the arena that the caller hands in.
 */
#ifndef GUTS_COMMON_STORE_STORE_H
#define GUTS_COMMON_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/uuid.h"
#include "common/db/db.h"

struct store;
/* Does not connect: the first verb does. The settings are borrowed for the store's life. */
struct store *store_new(const struct db_settings *settings);
void store_free(struct store *store);
void store_freep(struct store **store);
/* For the files of this room, and for transactions that span several verbs (db_begin, db_commit).
 * Verbs that open their own transaction say so. */
struct db *store_db(struct store *store);
/* Connects when needed; the database answers. */
bool store_ping(struct store *store, struct error *err) MUST_CHECK;

/* The database's clock in microseconds since 1970, as an expression: all times that the store
 * writes or compares are by this one clock. */
#define STORE_NOW "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS UNSIGNED)"
bool store_now(struct store *store, uint64_t *ret_now_us, struct error *err) MUST_CHECK;

#endif
