/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection and its state: how it is opened, what breaks it, and what a break means for the
 * transaction on it. All changes of db->mysql and db->transaction are here.
 */
#include "common/base/crashpoint.h"
#include "common/db/inside.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

void db_library_begin(void)
{
    if (mysql_library_init(0, NULL, NULL) != 0)
        abort(); /* out of memory */
}

void db_library_end(void)
{
    mysql_library_end();
}

struct db *db_new(const struct db_settings *settings)
{
    struct db *db = xcalloc(1, sizeof(*db));
    db->settings = settings;
    return db;
}

void db_free(struct db *db)
{
    if (db == NULL)
        return;
    db_disconnect(db);
    free(db);
}

void db_freep(struct db **db)
{
    db_free(*db);
    *db = NULL;
}

uint64_t db_connection_id(const struct db *db)
{
    return db->mysql != NULL ? mysql_thread_id(db->mysql) : 0;
}

uint64_t db_connection_count(const struct db *db)
{
    return db->connection_count;
}

static void transaction_lose(struct db *db, const struct fault *fault)
{
    if (db->transaction != DB_TRANSACTION_OPEN)
        return;
    db->transaction = DB_TRANSACTION_LOST;
    db->lost_fault = fault;
}

/* Closing the connection first detaches the statements from it, so that closing them says nothing to
 * a server that may not listen. */
void db_disconnect(struct db *db)
{
    if (db->mysql != NULL) {
        mysql_close(db->mysql);
        db->mysql = NULL;
        statement_cache_clear(&db->statements);
    }
    transaction_lose(db, &FAULT_DB_UNAVAILABLE);
}

bool db_fail(struct db *db, unsigned number, const char *text, enum db_deed deed, struct error *err)
{
    const struct fault *fault = db_number_fault(number, deed);
    error_set(err, fault, "database: %s (%u)", text, number);
    if (db_number_is_lost(number)) {
        transaction_lose(db, fault);
        db_disconnect(db);
    } else if (fault == &FAULT_DB_READ_ONLY || deed == DB_DEED_COMMIT) {
        if (fault == &FAULT_DB_READ_ONLY)
            db->address++; /* a replica, or one that became so: the next may take writes */
        transaction_lose(db, fault);
        db_disconnect(db);
    } else if (fault == &FAULT_DB_DEADLOCK || fault == &FAULT_DB_UNAVAILABLE) {
        /* A lock wait that timed out rolls back its statement only: the rest must go too. */
        if (db->transaction == DB_TRANSACTION_OPEN && mysql_rollback(db->mysql) != 0)
            db_disconnect(db);
        transaction_lose(db, fault);
    }
    return false;
}

bool db_run_text(struct db *db, const char *sql, size_t length, enum db_deed deed,
                 struct error *err)
{
    if (mysql_real_query(db->mysql, sql, length) != 0)
        return db_fail(db, mysql_errno(db->mysql), mysql_error(db->mysql), deed, err);
    /* Some statements that are no queries answer with rows all the same. */
    mysql_free_result(mysql_store_result(db->mysql));
    if (mysql_errno(db->mysql) != 0)
        return db_fail(db, mysql_errno(db->mysql), mysql_error(db->mysql), deed, err);
    return true;
}

static unsigned seconds(uint64_t duration_ms)
{
    uint64_t rounded = (duration_ms + 999) / 1000;
    return rounded == 0 ? 1 : rounded > 86400 * 365 ? 86400 * 365 : (unsigned)rounded;
}

static void set_tls(MYSQL *mysql, const struct db_settings *settings)
{
    if (settings->tls_ca == NULL || settings->tls_ca[0] == '\0')
        return;
    mysql_options(mysql, MYSQL_OPT_SSL_CA, settings->tls_ca);
    if (settings->tls_certificate != NULL && settings->tls_certificate[0] != '\0')
        mysql_options(mysql, MYSQL_OPT_SSL_CERT, settings->tls_certificate);
    if (settings->tls_key != NULL && settings->tls_key[0] != '\0')
        mysql_options(mysql, MYSQL_OPT_SSL_KEY, settings->tls_key);
#ifdef LIBMARIADB
    client_bool yes = 1;
    mysql_options(mysql, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_options(mysql, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
#else
    unsigned mode = SSL_MODE_VERIFY_IDENTITY;
    mysql_options(mysql, MYSQL_OPT_SSL_MODE, &mode);
#endif
}

static void set_options(MYSQL *mysql, const struct db_settings *settings)
{
    unsigned connect = seconds(settings->connect_timeout_ms);
    unsigned answer = seconds(settings->answer_timeout_ms);
    client_bool report = 1;
    unsigned local_files = 0; /* a server, or who stands in its place, may not ask for our files */
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &answer);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &answer);
    mysql_options(mysql, MYSQL_REPORT_DATA_TRUNCATION, &report);
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &local_files);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set_tls(mysql, settings);
}

/* What every session holds. Waits for locks end before our own patience does, so that they are told
 * as what they are and the connection survives them. */
static bool session_begin(struct db *db, struct error *err)
{
    static const char isolation[] = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
    char text[256];
    unsigned lock_wait = seconds(db->settings->answer_timeout_ms / 2);
    int length = snprintf(text, sizeof(text),
                          "SET SESSION autocommit = 1, time_zone = '+00:00', wait_timeout = %u, "
                          "innodb_lock_wait_timeout = %u, sql_mode = "
                          "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
                          seconds(db->settings->wait_timeout_ms), lock_wait);
    return db_run_text(db, isolation, strlen(isolation), DB_DEED_HARMLESS, err) &&
           db_run_text(db, text, (size_t)length, DB_DEED_HARMLESS, err);
}

static bool connect_to(struct db *db, const char *name, struct error *err)
{
    struct db_address address;
    if (!db_address_parse(name, &address))
        return error_set(err, &FAULT_CONFIG, "database: \"%s\" is no address", name);
    MYSQL *mysql = mysql_init(NULL);
    if (mysql == NULL)
        abort(); /* out of memory */
    set_options(mysql, db->settings);
    unsigned protocol = address.socket[0] != '\0' ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    mysql_options(mysql, MYSQL_OPT_PROTOCOL, &protocol);
    const char *password =
        db->settings->password != NULL ? secret_reveal(db->settings->password) : NULL;
    const char *socket = address.socket[0] != '\0' ? address.socket : NULL;
    if (mysql_real_connect(mysql, socket != NULL ? NULL : address.host, db->settings->user,
                           password, db->settings->database, address.port, socket,
                           CLIENT_FOUND_ROWS) == NULL) {
        error_set(err, &FAULT_DB_UNAVAILABLE, "database \"%s\": %s (%u)", name, mysql_error(mysql),
                  mysql_errno(mysql));
        mysql_close(mysql);
        return false;
    }
    db->mysql = mysql;
    db->connection_count++;
    if (!session_begin(db, err)) {
        db_disconnect(db);
        return error_prefix(err, "session at \"%s\"", name);
    }
    return true;
}

static bool db_connect(struct db *db, struct error *err)
{
    const struct conf_strings *addresses = &db->settings->addresses;
    if (addresses->count == 0)
        return error_set(err, &FAULT_CONFIG, "database: no address is configured");
    for (size_t tried = 0; tried < addresses->count; tried++) {
        if (connect_to(db, addresses->items[db->address % addresses->count], err))
            return true;
        db->address++;
    }
    return false;
}

static int connection_descriptor(MYSQL *mysql)
{
#ifdef LIBMARIADB
    return mysql_get_socket(mysql);
#else
    return (int)mysql->net.fd;
#endif
}

/* Something to read while nothing was asked: the server ended the session (an idle time-out, a kill,
 * a restart), or TLS has news. Found before a statement is sent, it costs nobody an uncertain
 * outcome. */
static bool connection_is_stale(struct db *db)
{
    struct pollfd waiting = {connection_descriptor(db->mysql), POLLIN | POLLRDHUP, 0};
    if (poll(&waiting, 1, 0) == 0)
        return false;
    return mysql_ping(db->mysql) != 0;
}

bool db_make_ready(struct db *db, struct error *err)
{
    if (db->transaction == DB_TRANSACTION_OPEN)
        return true;
    if (db->transaction == DB_TRANSACTION_LOST)
        return error_set(err, db->lost_fault, "database: the transaction was rolled back");
    if (db->mysql != NULL && connection_is_stale(db))
        db_disconnect(db);
    return db->mysql != NULL || db_connect(db, err);
}

bool db_ping(struct db *db, struct error *err)
{
    if (!db_make_ready(db, err))
        return false;
    if (mysql_ping(db->mysql) != 0)
        return db_fail(db, mysql_errno(db->mysql), mysql_error(db->mysql), DB_DEED_HARMLESS, err);
    return true;
}

enum db_deed db_change_deed(const struct db *db)
{
    return db->transaction == DB_TRANSACTION_OPEN ? DB_DEED_HARMLESS : DB_DEED_CHANGE;
}

bool db_begin(struct db *db, struct error *err)
{
    static const char begin[] = "START TRANSACTION";
    assert(db->transaction == DB_TRANSACTION_NONE);
    if (!db_make_ready(db, err) || !db_run_text(db, begin, strlen(begin), DB_DEED_HARMLESS, err))
        return false;
    db->transaction = DB_TRANSACTION_OPEN;
    return true;
}

bool db_commit(struct db *db, struct error *err)
{
    static const char commit[] = "COMMIT";
    assert(db->transaction != DB_TRANSACTION_NONE);
    crashpoint("before_db_commit");
    bool done =
        db_make_ready(db, err) && db_run_text(db, commit, strlen(commit), DB_DEED_COMMIT, err);
    crashpoint("after_db_commit");
    db->transaction = DB_TRANSACTION_NONE;
    return done;
}

void db_rollback(struct db *db)
{
    if (db->transaction == DB_TRANSACTION_OPEN && mysql_rollback(db->mysql) != 0)
        db_disconnect(db);
    db->transaction = DB_TRANSACTION_NONE;
}
