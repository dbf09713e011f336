/* SPDX-License-Identifier: Apache-2.0
 *
 * The public calls: values, statements, queries.
 */
#include "common/db/db.h"

#include <string.h>

#include "common/base/crashpoint.h"
#include "common/db/inside.h"

#define BINDS_MOST 65535
#define PIECE_MOST_BYTES ((size_t)4 << 20)

struct db_value db_null(void)
{
    return (struct db_value){.type = DB_NULL};
}

struct db_value db_unsigned(uint64_t number)
{
    return (struct db_value){.type = DB_UNSIGNED, .number = number};
}

struct db_value db_signed(int64_t number)
{
    return (struct db_value){.type = DB_SIGNED, .number = (uint64_t)number};
}

struct db_value db_text(const char *text)
{
    if (text == NULL)
        return db_null();
    return (struct db_value){.type = DB_TEXT, .data = text, .length = strlen(text)};
}

struct db_value db_bytes(const void *data, size_t length)
{
    if (data == NULL)
        return db_null();
    return (struct db_value){.type = DB_BYTES, .data = data, .length = length};
}

struct db_value db_uuid(const struct uuid *id)
{
    if (id == NULL || uuid_is_nil(id))
        return db_null();
    return (struct db_value){.type = DB_BYTES, .data = id->bytes, .length = sizeof(id->bytes)};
}

/* What is bound: the list is of STATEMENT_LIST. */
struct binds {
    const struct db_value *values;
    size_t value_count;
    const struct db_value *list;
    size_t list_count;
};

static bool send(struct db *db, struct statement *statement, const struct binds *binds,
                 struct error *err)
{
    enum db_deed deed = db_change_deed(db);
    if (statement->key.form == STATEMENT_BULK)
        return db_send_bulk(db, statement, binds->values,
                            binds->value_count / statement->param_count, deed, err);
    return db_send(db, statement, binds->values, binds->value_count, binds->list, binds->list_count,
                   deed, err);
}

static bool execute_key(struct db *db, const struct statement_key *key, const struct binds *binds,
                        uint64_t *ret_affected, struct error *err)
{
    if (!db_make_ready(db, err))
        return false;
    struct statement *statement = db_prepare(db, key, err);
    if (statement == NULL)
        return false;
    if (statement->column_count > 0)
        return error_set(err, &FAULT_INTERNAL, "\"%.100s\" has a result", key->head);
    bool is_alone = db_change_deed(db) == DB_DEED_CHANGE; /* the server commits it at once */
    if (is_alone)
        crashpoint("before_db_change");
    if (!send(db, statement, binds, err))
        return false;
    if (is_alone)
        crashpoint("after_db_change");
    if (ret_affected != NULL)
        *ret_affected = mysql_stmt_affected_rows(statement->handle);
    return true;
}

bool db_execute(struct db *db, const char *sql, const struct db_value *values, size_t value_count,
                uint64_t *ret_affected, struct error *err)
{
    struct statement_key key = {.form = STATEMENT_PLAIN, .head = sql};
    const struct binds binds = {values, value_count, NULL, 0};
    return execute_key(db, &key, &binds, ret_affected, err);
}

static size_t values_bytes(const struct db_value *values, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].length + 9;
    return bytes;
}

/* The largest piece that the rest of the rows fills and that stays within the bounds. */
static size_t piece_rows(const struct db_value *values, size_t values_per_row, size_t left)
{
    static const size_t pieces[] = {512, 64, 8};
    for (size_t i = 0; i < COUNT_OF(pieces); i++)
        if (pieces[i] <= left && pieces[i] * values_per_row <= BINDS_MOST &&
            values_bytes(values, pieces[i] * values_per_row) <= PIECE_MOST_BYTES)
            return pieces[i];
    return 1;
}

/* As many rows as stay within the bounds. */
static size_t bulk_rows(const struct db_value *values, size_t values_per_row, size_t left)
{
    size_t rows = 0, bytes = 0;
    while (rows < left && (rows + 1) * values_per_row <= BINDS_MOST) {
        bytes += values_bytes(values + rows * values_per_row, values_per_row);
        if (rows > 0 && bytes > PIECE_MOST_BYTES)
            break;
        rows++;
    }
    return rows;
}

/* Chooses how the next rows go, and how many of them. */
static struct statement_key rows_key(struct db *db, const struct db_value *values,
                                     size_t values_per_row, size_t left, size_t *ret_rows)
{
    size_t rows = left > 1 && db_has_bulk(db) ? bulk_rows(values, values_per_row, left) : 0;
    if (rows > 1 && db_bulk_fits(values, values_per_row, rows)) {
        *ret_rows = rows;
        return (struct statement_key){.form = STATEMENT_BULK, .repeat = 1};
    }
    *ret_rows = piece_rows(values, values_per_row, left);
    return (struct statement_key){.form = STATEMENT_ROWS, .repeat = *ret_rows};
}

bool db_execute_rows(struct db *db, const char *head, const char *row, const char *tail,
                     const struct db_value *values, size_t values_per_row, size_t count,
                     uint64_t *ret_affected, struct error *err)
{
    if (count > 0 && !db_make_ready(db, err))
        return false;
    uint64_t affected = 0;
    for (size_t done = 0; done < count;) {
        const struct db_value *piece = values + done * values_per_row;
        size_t rows;
        struct statement_key key = rows_key(db, piece, values_per_row, count - done, &rows);
        key.head = head;
        key.row = row;
        key.tail = tail;
        uint64_t changed = 0;
        const struct binds binds = {piece, rows * values_per_row, NULL, 0};
        if (!execute_key(db, &key, &binds, &changed, err))
            return false;
        affected += changed;
        done += rows;
    }
    if (ret_affected != NULL)
        *ret_affected = affected;
    return true;
}

static bool query_key(struct db *db, struct arena *arena, const struct statement_key *key,
                      const struct db_value *values, size_t value_count,
                      const struct db_value *list, size_t list_count, struct db_rows **ret_rows,
                      struct error *err)
{
    if (!db_make_ready(db, err))
        return false;
    struct statement *statement = db_prepare(db, key, err);
    if (statement == NULL)
        return false;
    if (statement->column_count == 0)
        return error_set(err, &FAULT_INTERNAL, "\"%.100s\" has no result", key->head);
    return db_send(db, statement, values, value_count, list, list_count, DB_DEED_HARMLESS, err) &&
           db_fetch_all(db, arena, statement, ret_rows, err);
}

bool db_query(struct db *db, struct arena *arena, const char *sql, const struct db_value *values,
              size_t value_count, struct db_rows **ret_rows, struct error *err)
{
    struct statement_key key = {.form = STATEMENT_PLAIN, .head = sql};
    return query_key(db, arena, &key, values, value_count, NULL, 0, ret_rows, err);
}

static size_t power_of_two(size_t least)
{
    size_t power = 1;
    while (power < least)
        power *= 2;
    return power;
}

bool db_query_list(struct db *db, struct arena *arena, const char *sql,
                   const struct db_value *values, size_t value_count, const struct db_value *list,
                   size_t list_count, struct db_rows **ret_rows, struct error *err)
{
    struct statement_key key = {
        .form = STATEMENT_LIST, .head = sql, .repeat = power_of_two(list_count)};
    if (value_count + key.repeat * statement_key_lists(&key) > BINDS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "a list of %zu values", list_count);
    return query_key(db, arena, &key, values, value_count, list, list_count, ret_rows, err);
}

bool db_execute_list(struct db *db, const char *sql, const struct db_value *values,
                     size_t value_count, const struct db_value *list, size_t list_count,
                     uint64_t *ret_affected, struct error *err)
{
    struct statement_key key = {
        .form = STATEMENT_LIST, .head = sql, .repeat = power_of_two(list_count)};
    const struct binds binds = {values, value_count, list, list_count};
    if (list_count == 0 || value_count + key.repeat * statement_key_lists(&key) > BINDS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "a list of %zu values", list_count);
    return execute_key(db, &key, &binds, ret_affected, err);
}

bool db_run_script(struct db *db, const char *script, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer statement = {0};
    while (script_next(&script, &statement)) {
        if (!db_make_ready(db, err))
            return false;
        if (!db_run_text(db, statement.data, statement.length, db_change_deed(db), err))
            return error_prefix(err, "at \"%.60s\"", statement.data);
    }
    return true;
}
