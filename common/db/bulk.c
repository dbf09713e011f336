/* SPDX-License-Identifier: Apache-2.0
 *
 * Many rows through a statement that was prepared for one (MariaDB's bulk operations): the server
 * walks a short statement once for each row, instead of a tree of thousands of parameters. MySQL has
 * no such thing; there, and where a column mixes types, rows go as one long text.
 */
#include "common/db/inside.h"

#include <string.h>

#ifdef LIBMARIADB

bool db_has_bulk(const struct db *db)
{
    uint64_t extended = 0;
    return db->mysql != NULL &&
           mariadb_get_infov(db->mysql, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES,
                             &extended) == 0 &&
           (extended & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

/* The type that all values of a column share, NULL aside; false when there are two. */
static bool column_type(const struct db_value *values, size_t width, size_t rows, size_t column,
                        enum db_type *ret_type)
{
    enum db_type type = DB_NULL;
    for (size_t row = 0; row < rows; row++) {
        enum db_type found = values[row * width + column].type;
        if (found != DB_NULL && type != DB_NULL && found != type)
            return false;
        if (found != DB_NULL)
            type = found;
    }
    *ret_type = type == DB_NULL ? DB_UNSIGNED : type;
    return true;
}

bool db_bulk_fits(const struct db_value *values, size_t width, size_t rows)
{
    enum db_type type;
    for (size_t column = 0; column < width; column++)
        if (!column_type(values, width, rows, column, &type))
            return false;
    return true;
}

static void bind_column(struct arena *arena, const struct db_value *values, size_t width,
                        size_t rows, size_t column, MYSQL_BIND *bind)
{
    enum db_type type = DB_NULL;
    bool is_number = column_type(values, width, rows, column, &type) &&
                     (type == DB_UNSIGNED || type == DB_SIGNED);
    char *indicators = arena_calloc(arena, rows, 1);
    uint64_t *numbers = is_number ? arena_calloc(arena, rows, sizeof(*numbers)) : NULL;
    const char **texts = is_number ? NULL : arena_calloc(arena, rows, sizeof(*texts));
    unsigned long *lengths = is_number ? NULL : arena_calloc(arena, rows, sizeof(*lengths));
    for (size_t row = 0; row < rows; row++) {
        const struct db_value *value = &values[row * width + column];
        indicators[row] = value->type == DB_NULL ? STMT_INDICATOR_NULL : STMT_INDICATOR_NONE;
        if (is_number) {
            numbers[row] = value->number;
        } else {
            texts[row] = value->length > 0 ? value->data : "";
            lengths[row] = value->length;
        }
    }
    *bind = (MYSQL_BIND){
        .buffer_type = is_number         ? MYSQL_TYPE_LONGLONG
                       : type == DB_TEXT ? MYSQL_TYPE_STRING
                                         : MYSQL_TYPE_BLOB,
        .is_unsigned = type == DB_UNSIGNED,
        .buffer = is_number ? (void *)numbers : (void *)texts,
        .length = lengths,
    };
    bind->u.indicator = indicators;
}

bool db_send_bulk(struct db *db, struct statement *statement, const struct db_value *values,
                  size_t rows, enum db_deed deed, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    size_t width = statement->param_count;
    unsigned count = (unsigned)rows;
    for (size_t column = 0; column < width; column++)
        bind_column(arena, values, width, rows, column, &statement->params[column]);
    if (mysql_stmt_attr_set(statement->handle, STMT_ATTR_ARRAY_SIZE, &count) != 0 ||
        mysql_stmt_bind_param(statement->handle, statement->params) != 0 ||
        mysql_stmt_execute(statement->handle) != 0)
        return db_fail(db, mysql_stmt_errno(statement->handle), mysql_stmt_error(statement->handle),
                       deed, err);
    return true;
}

#else

bool db_has_bulk(const struct db *db)
{
    return false;
}

bool db_bulk_fits(const struct db_value *values, size_t width, size_t rows)
{
    return false;
}

bool db_send_bulk(struct db *db, struct statement *statement, const struct db_value *values,
                  size_t rows, enum db_deed deed, struct error *err)
{
    return error_set(err, &FAULT_INTERNAL, "%zu rows at once", rows);
}

#endif
