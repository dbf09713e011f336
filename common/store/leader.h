/* SPDX-License-Identifier: Apache-2.0
 *
 * The leader row (design: "Leadership"): who may write facts, judged by the database's clock. Each
 * write transaction of a scheduler begins with leader_lock and ends with leader_advance.
 *
 * Called by guts-scheduler's leader.c; threads as common/db/db.h says.
 */
#ifndef GUTS_COMMON_STORE_LEADER_H
#define GUTS_COMMON_STORE_LEADER_H

#include "common/db/db.h"

#define LEADER_HOLDER_SIZE 129

struct leader_row {
    uint64_t term;
    char holder[LEADER_HOLDER_SIZE]; /* "": nobody */
    uint64_t connection_id;
    uint64_t batch;
    uint64_t event_number;
    uint64_t renewed_at;  /* microseconds, by the database's clock */
    uint64_t database_at; /* its clock when the row was read */
};

bool leader_read(struct db *db, struct leader_row *ret_row, struct error *err) MUST_CHECK;
/* Inside a transaction: locks the row to its end. */
bool leader_lock(struct db *db, struct leader_row *ret_row, struct error *err) MUST_CHECK;
/* Inside a transaction, after leader_lock: the next term is `holder`'s, on this connection. */
bool leader_take(struct db *db, const char *holder, struct leader_row *row,
                 struct error *err) MUST_CHECK;
/* The last statement of a transaction: this batch, these events, and the row is renewed. */
bool leader_advance(struct db *db, uint64_t term, uint64_t batch, uint64_t event_number,
                    struct error *err) MUST_CHECK;
/* Gives up: the row has no holder, if it is still that of this term. */
bool leader_release(struct db *db, uint64_t term, const char *holder, struct error *err) MUST_CHECK;
/* Ends another session, and with it its locks. False when we lack the right to: its wait_timeout
 * ends it then. A session that is gone already is no error. */
bool leader_end_connection(struct db *db, uint64_t connection_id, struct error *err) MUST_CHECK;

#endif
