/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to MySQL or MariaDB: prepared statements with typed binds, transactions, errors
 * that tell "it did not happen" from "nobody knows". Knows no table. Only common/store calls it.
 * This is the one room that includes mysql.h.
 *
 * Every statement is a prepared one, cached by its text (at most 256 a connection, least recently
 * used goes first). Sessions run in READ COMMITTED, autocommit on, sql_mode strict, UTC, utf8mb4,
 * with the settings' time-outs; a connection that broke is opened again by the next call outside a
 * transaction. A transaction that broke or lost a deadlock is rolled back at once; until db_rollback
 * (or db_commit, which then fails) its later statements are refused, so that none of them runs alone.
 *
 * Errors: FAULT_DB_UNAVAILABLE (not sent, or surely rolled back; again), FAULT_UNCERTAIN (a commit
 * or an autocommitted change was sent and no answer came), FAULT_DB_DEADLOCK (1205, 1213: rolled
 * back; again), FAULT_DB_DUPLICATE (1062), FAULT_DB_READ_ONLY (1290, 1792, 1836), FAULT_INTERNAL
 * (all others: the statement is wrong).
 *
 * Threads: a connection belongs to one thread at a time.
 */
#ifndef GUTS_COMMON_DB_DB_H
#define GUTS_COMMON_DB_DB_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/secret.h"
#include "common/base/uuid.h"
#include "common/conf/conf.h"

struct db_settings {
    struct conf_strings addresses; /* "host", "host:port" or "/path/of/socket"; tried in turn */
    const char *database;
    const char *user;
    struct secret *password; /* NULL: none */
    const char *tls_ca;      /* "": no TLS */
    const char *tls_certificate;
    const char *tls_key;
    uint64_t connect_timeout_ms;
    uint64_t answer_timeout_ms; /* a read or write on the connection that takes longer breaks it */
    uint64_t wait_timeout_ms;   /* the server ends our session (and its locks) after this silence */
};
extern const struct conf_key db_conf_keys[];
extern const size_t db_conf_key_count;

struct db;
void db_library_begin(void); /* once a process, before its threads */
void db_library_end(void);
/* Does not connect: the first statement does. */
struct db *db_new(const struct db_settings *settings);
void db_free(struct db *db);
void db_freep(struct db **db);
bool db_ping(struct db *db, struct error *err) MUST_CHECK; /* connects when needed */
void db_disconnect(struct db *db);
uint64_t db_connection_id(const struct db *db); /* the server's, 0 while not connected */
/* Counts the connections made: a caller that holds state of its session compares it. */
uint64_t db_connection_count(const struct db *db);

bool db_begin(struct db *db, struct error *err) MUST_CHECK;
bool db_commit(struct db *db, struct error *err) MUST_CHECK;
void db_rollback(struct db *db); /* also when nothing is open */

/* A value to bind. Bytes and texts are borrowed until the call returns. */
enum db_type { DB_NULL, DB_UNSIGNED, DB_SIGNED, DB_TEXT, DB_BYTES };
struct db_value {
    enum db_type type;
    uint64_t number; /* DB_SIGNED: the same bits */
    const void *data;
    size_t length;
};
struct db_value db_null(void);
struct db_value db_unsigned(uint64_t number);
struct db_value db_signed(int64_t number);
struct db_value db_text(const char *text); /* NULL binds NULL */
struct db_value db_bytes(const void *data, size_t length);
struct db_value db_uuid(const struct uuid *id); /* nil binds NULL; borrowed */

/* Runs a statement that returns no rows. ret_affected may be NULL (rows matched, not only changed:
 * CLIENT_FOUND_ROWS is set). */
bool db_execute(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
                uint64_t *ret_affected, struct error *err) MUST_CHECK;

/* A multi-row statement: `head`, then `row` count times separated by commas, then `tail`
 * ("INSERT INTO t (a, b) VALUES ", "(?, ?)", " ON DUPLICATE KEY UPDATE …"). values holds
 * count × values_per_row values. MariaDB gets a statement of one row and all rows for it; a MySQL
 * server, or rows whose columns mix types, statements of 1, 8, 64 or 512 rows. Each is prepared once;
 * what is sent at once stays below 65,535 binds and 4 MiB. Call it inside a transaction. */
bool db_execute_rows(struct db *db, const char *head, const char *row, const char *tail,
                     const struct db_value *values, size_t values_per_row, size_t count,
                     uint64_t *ret_affected, struct error *err) MUST_CHECK;

/* Runs a query and holds its result (all of it, allocated in arena; at most 64 MiB). */
struct db_rows;
bool db_query(struct db *db, struct arena *arena, const char *sql, const struct db_value *values,
              size_t value_count, struct db_rows **ret_rows, struct error *err) MUST_CHECK;
/* The same for "… IN (" lists: each "%LIST%" in sql is replaced by as many "?" as there are list
 * values (padded with the last one to a power of two, so that few texts are prepared); they are
 * bound behind `values`, once for each "%LIST%". An empty list binds one NULL: nothing matches. */
bool db_query_list(struct db *db, struct arena *arena, const char *sql,
                   const struct db_value *values, size_t value_count, const struct db_value *list,
                   size_t list_count, struct db_rows **ret_rows, struct error *err) MUST_CHECK;
/* A change with such a list, which holds at least one value. */
bool db_execute_list(struct db *db, const char *sql, const struct db_value *values,
                     size_t value_count, const struct db_value *list, size_t list_count,
                     uint64_t *ret_affected, struct error *err) MUST_CHECK;
size_t db_rows_count(const struct db_rows *rows);
/* Cells; the columns are numbered from 0 as in the SELECT. NULL reads as 0, NULL or nil. Texts and
 * bytes live in the arena, texts are NUL-terminated. */
bool db_rows_is_null(const struct db_rows *rows, size_t row, size_t column);
uint64_t db_rows_unsigned(const struct db_rows *rows, size_t row, size_t column);
int64_t db_rows_signed(const struct db_rows *rows, size_t row, size_t column);
const char *db_rows_text(const struct db_rows *rows, size_t row, size_t column);
const void *db_rows_bytes(const struct db_rows *rows, size_t row, size_t column,
                          size_t *ret_length);
struct uuid db_rows_uuid(const struct db_rows *rows, size_t row, size_t column);

/* Several statements of our own (schema files), each ended by ";"; no binds, no results. */
bool db_run_script(struct db *db, const char *script, struct error *err) MUST_CHECK;

#endif
