/* SPDX-License-Identifier: Apache-2.0
 *
 * What the numbers of server and client library mean for an outcome. Numbers below 2000, from 3000
 * to 4999 are the server's answers (so the statement is known to have failed, unless the answer
 * speaks of the connection); 2000 to 2999 and 5000 up are the library's.
 */
#include "common/db/inside.h"

/* Not in every header of the two client libraries. */
enum {
    NUMBER_CONNECTION_KILLED = 1927,   /* MariaDB ER_CONNECTION_KILLED */
    NUMBER_STATEMENT_TIMEOUT = 1969,   /* MariaDB ER_STATEMENT_TIMEOUT */
    NUMBER_QUERY_TIMEOUT = 3024,       /* MySQL ER_QUERY_TIMEOUT */
    NUMBER_INTERACTION_TIMEOUT = 4031, /* MySQL ER_CLIENT_INTERACTION_TIMEOUT */
    NUMBER_NOT_READY = 1047,           /* Galera: "WSREP has not yet prepared node" */
    NUMBER_READ_ONLY_MODE = 1836,      /* ER_READ_ONLY_MODE */
    NUMBER_READ_ONLY_TRANSACTION = 1792,
    NUMBER_TOO_MANY_STATEMENTS = 1461,
};

static bool number_in(unsigned number, const unsigned *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == number)
            return true;
    return false;
}

bool db_number_is_lost(unsigned number)
{
    static const unsigned lost[] = {
        CR_UNKNOWN_ERROR,
        CR_CONNECTION_ERROR,
        CR_CONN_HOST_ERROR,
        CR_SERVER_GONE_ERROR,
        CR_OUT_OF_MEMORY,
        CR_SERVER_HANDSHAKE_ERR,
        CR_SERVER_LOST,
        CR_COMMANDS_OUT_OF_SYNC,
        CR_NET_PACKET_TOO_LARGE,
        CR_SSL_CONNECTION_ERROR,
        CR_MALFORMED_PACKET,
        CR_SERVER_LOST_EXTENDED,
        ER_SERVER_SHUTDOWN,
        ER_NORMAL_SHUTDOWN,
        ER_FORCING_CLOSE,
        ER_NET_READ_ERROR,
        ER_NET_READ_INTERRUPTED,
        ER_NET_ERROR_ON_WRITE,
        ER_NET_WRITE_INTERRUPTED,
        ER_NET_PACKETS_OUT_OF_ORDER,
        ER_NEW_ABORTING_CONNECTION,
        ER_UNKNOWN_STMT_HANDLER,
        NUMBER_CONNECTION_KILLED,
        NUMBER_INTERACTION_TIMEOUT,
        NUMBER_NOT_READY,
    };
    return number_in(number, lost, COUNT_OF(lost));
}

static bool number_is_unavailable(unsigned number)
{
    static const unsigned passing[] = {
        CR_UNKNOWN_HOST,        ER_CON_COUNT_ERROR,
        ER_ACCESS_DENIED_ERROR, ER_DBACCESS_DENIED_ERROR,
        ER_BAD_DB_ERROR,        ER_HOST_IS_BLOCKED,
        ER_HOST_NOT_PRIVILEGED, ER_TOO_MANY_USER_CONNECTIONS,
        ER_USER_LIMIT_REACHED,  ER_QUERY_INTERRUPTED,
        ER_DISK_FULL,           ER_OUT_OF_RESOURCES,
        ER_RECORD_FILE_FULL,    NUMBER_STATEMENT_TIMEOUT,
        NUMBER_QUERY_TIMEOUT,   NUMBER_TOO_MANY_STATEMENTS,
    };
    return number_in(number, passing, COUNT_OF(passing));
}

static bool number_is_read_only(unsigned number)
{
    return number == ER_OPTION_PREVENTS_STATEMENT || number == NUMBER_READ_ONLY_TRANSACTION ||
           number == NUMBER_READ_ONLY_MODE;
}

const struct fault *db_number_fault(unsigned number, enum db_deed deed)
{
    if (number == ER_LOCK_DEADLOCK || number == ER_LOCK_WAIT_TIMEOUT)
        return &FAULT_DB_DEADLOCK;
    if (number_is_read_only(number))
        return &FAULT_DB_READ_ONLY;
    if (deed == DB_DEED_COMMIT)
        return &FAULT_UNCERTAIN; /* any other error of a commit: it may have happened */
    if (number == NUMBER_NOT_READY || number == ER_UNKNOWN_STMT_HANDLER)
        return &FAULT_DB_UNAVAILABLE; /* answers that refuse the statement */
    if (db_number_is_lost(number))
        return deed == DB_DEED_CHANGE ? &FAULT_UNCERTAIN : &FAULT_DB_UNAVAILABLE;
    if (number == ER_DUP_ENTRY)
        return &FAULT_DB_DUPLICATE;
    if (number_is_unavailable(number))
        return &FAULT_DB_UNAVAILABLE;
    return &FAULT_INTERNAL;
}
