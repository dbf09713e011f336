/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of common/db share; no other room includes it. connection.c opens, breaks and
 * judges; statement.c prepares and caches; bulk.c sends many rows; rows.c reads results; db.c joins them to the public
 * calls. Written for libmariadb and libmysqlclient alike.
 *
 * Threads: as db.h.
 */
#ifndef GUTS_COMMON_DB_INSIDE_H
#define GUTS_COMMON_DB_INSIDE_H

#include <errmsg.h>
#include <mysql.h>
#include <mysqld_error.h>

#include "common/db/db.h"

#ifdef LIBMARIADB
typedef my_bool client_bool;
#else
typedef bool client_bool;
#endif

enum db_transaction {
    DB_TRANSACTION_NONE,
    DB_TRANSACTION_OPEN,
    DB_TRANSACTION_LOST, /* rolled back under our feet: refused until its owner rolls back */
};

/* What was being done when an error came: it decides what is known about the outcome. */
enum db_deed {
    DB_DEED_HARMLESS, /* a connect, a prepare, a read, or anything before a commit was sent */
    DB_DEED_CHANGE,   /* a change by itself: the server commits it at once */
    DB_DEED_COMMIT,
};

/* ---- error.c ---- */

/* Whether the connection is of no use after this error. */
bool db_number_is_lost(unsigned number);
const struct fault *db_number_fault(unsigned number, enum db_deed deed);

/* ---- statement.c ---- */

enum statement_form { STATEMENT_PLAIN, STATEMENT_ROWS, STATEMENT_LIST, STATEMENT_BULK };
/* What makes a text: kept apart, so that a cached statement is found without building its text. */
struct statement_key {
    enum statement_form form;
    const char *head; /* the whole of it, unless form is STATEMENT_ROWS or STATEMENT_BULK */
    const char *row, *tail;
    size_t repeat; /* rows (1 of STATEMENT_BULK), or values of the list */
};
void statement_key_text(const struct statement_key *key, struct buffer *ret_text);
size_t statement_key_lists(const struct statement_key *key); /* how often "%LIST%" occurs */

struct column; /* rows.c */
struct statement {
    struct statement *next_in_bucket, *newer, *older;
    uint64_t hash;
    struct statement_key key; /* texts are its own */
    MYSQL_STMT *handle;
    size_t param_count, column_count;
    MYSQL_BIND *params;  /* filled before each execution */
    MYSQL_BIND *results; /* point into the columns' buffers */
    struct column *columns;
};

#define STATEMENTS_MOST 256
#define STATEMENT_BUCKETS 512
struct statement_cache {
    struct statement *buckets[STATEMENT_BUCKETS];
    struct statement *newest, *oldest;
    size_t count;
};
struct statement *statement_cache_find(struct statement_cache *cache,
                                       const struct statement_key *key);
/* Makes room when it is full. Takes the statement. */
void statement_cache_add(struct statement_cache *cache, struct statement *statement);
void statement_cache_clear(struct statement_cache *cache);
struct statement *statement_new(const struct statement_key *key);
void statement_free(struct statement *statement);

/* Finds or prepares. Sets the connection's state on failure. */
struct statement *db_prepare(struct db *db, const struct statement_key *key, struct error *err);
/* Binds and sends; values fill the first parameters, the list (repeated) what is left. */
bool db_send(struct db *db, struct statement *statement, const struct db_value *values,
             size_t value_count, const struct db_value *list, size_t list_count, enum db_deed deed,
             struct error *err) MUST_CHECK;

/* ---- bulk.c ---- */

/* Whether this server takes many rows for a statement of one. */
bool db_has_bulk(const struct db *db);
/* Whether the rows can go so: each column holds one type and NULL. */
bool db_bulk_fits(const struct db_value *values, size_t width, size_t rows);
/* Binds and sends; the statement is of STATEMENT_BULK. */
bool db_send_bulk(struct db *db, struct statement *statement, const struct db_value *values,
                  size_t rows, enum db_deed deed, struct error *err) MUST_CHECK;

/* ---- rows.c ---- */

void statement_columns_make(struct statement *statement, MYSQL_RES *metadata);
void statement_columns_free(struct statement *statement);
bool db_fetch_all(struct db *db, struct arena *arena, struct statement *statement,
                  struct db_rows **ret_rows, struct error *err) MUST_CHECK;

/* ---- connection.c ---- */

struct db {
    const struct db_settings *settings;
    MYSQL *mysql; /* NULL while not connected */
    size_t address;
    uint64_t connection_count;
    enum db_transaction transaction;
    const struct fault *lost_fault; /* why, while DB_TRANSACTION_LOST */
    struct statement_cache statements;
};
/* Connected, or in a transaction that is whole. */
bool db_make_ready(struct db *db, struct error *err) MUST_CHECK;
/* Sets err from the number and text of the library, and the state that follows. Returns false. */
bool db_fail(struct db *db, unsigned number, const char *text, enum db_deed deed,
             struct error *err);
/* A text that is sent as it stands; rows that it answers with are dropped. */
bool db_run_text(struct db *db, const char *sql, size_t length, enum db_deed deed,
                 struct error *err) MUST_CHECK;
/* A change by itself, or part of a transaction? */
enum db_deed db_change_deed(const struct db *db);

/* ---- address.c ---- */

struct db_address {
    char host[256]; /* "" for a socket */
    char socket[256];
    unsigned port;
};
bool db_address_parse(const char *text, struct db_address *ret_address);

/* ---- script.c ---- */

/* The next statement of a script: comments ("--" to the end of the line) are left out, ";" inside
 * quotes does not end it. False at the end. */
bool script_next(const char **script, struct buffer *ret_statement);

#endif
