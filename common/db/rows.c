/* SPDX-License-Identifier: Apache-2.0
 *
 * Results: each row is fetched into the statement's own buffers, which grow when a cell did not fit,
 * and then copied whole into the arena with one allocation. Numbers are kept as numbers.
 */
#include "common/db/inside.h"

#include <assert.h>
#include <string.h>

#define COLUMN_FIRST_BYTES 256
#define RESULT_MOST_BYTES ((size_t)64 << 20)

struct column {
    bool is_number;
    uint64_t number;
    char *data; /* of a text */
    unsigned long capacity, length;
    client_bool is_null;
};

enum cell_type { CELL_NULL, CELL_NUMBER, CELL_TEXT };
struct cell {
    union {
        uint64_t number;
        const char *text;
    };
    uint32_t length;
    enum cell_type type;
};
struct db_rows {
    size_t count, capacity, column_count;
    struct cell **rows;
    size_t bytes;
};

static bool field_is_number(const MYSQL_FIELD *field)
{
    switch (field->type) {
    case MYSQL_TYPE_TINY:
    case MYSQL_TYPE_SHORT:
    case MYSQL_TYPE_INT24:
    case MYSQL_TYPE_LONG:
    case MYSQL_TYPE_LONGLONG:
    case MYSQL_TYPE_YEAR:
        return true;
    default:
        return false; /* decimals too: sums are read from their text */
    }
}

static void column_bind(struct column *column, MYSQL_BIND *bind)
{
    bind->length = &column->length;
    bind->is_null = &column->is_null;
    if (column->is_number) {
        bind->buffer_type = MYSQL_TYPE_LONGLONG;
        bind->buffer = &column->number;
        bind->buffer_length = sizeof(column->number);
    } else {
        bind->buffer_type = MYSQL_TYPE_STRING;
        bind->buffer = column->data;
        bind->buffer_length = column->capacity;
    }
}

void statement_columns_make(struct statement *statement, MYSQL_RES *metadata)
{
    statement->column_count = mysql_num_fields(metadata);
    statement->columns = xcalloc(statement->column_count, sizeof(struct column));
    statement->results = xcalloc(statement->column_count, sizeof(MYSQL_BIND));
    for (size_t i = 0; i < statement->column_count; i++) {
        const MYSQL_FIELD *field = mysql_fetch_field_direct(metadata, (unsigned)i);
        struct column *column = &statement->columns[i];
        column->is_number = field_is_number(field);
        if (!column->is_number) {
            column->capacity = COLUMN_FIRST_BYTES;
            column->data = xcalloc(1, column->capacity);
        }
        statement->results[i].is_unsigned = (field->flags & UNSIGNED_FLAG) != 0;
        column_bind(column, &statement->results[i]);
    }
}

void statement_columns_free(struct statement *statement)
{
    for (size_t i = 0; i < statement->column_count; i++)
        free(statement->columns[i].data);
    free(statement->columns);
    free(statement->results);
}

/* Cells that did not fit are fetched again into a larger buffer, which stays for the next rows. */
static bool columns_grow(struct db *db, struct statement *statement, struct error *err)
{
    for (size_t i = 0; i < statement->column_count; i++) {
        struct column *column = &statement->columns[i];
        if (column->is_number || column->is_null || column->length <= column->capacity)
            continue;
        if (column->length > RESULT_MOST_BYTES)
            return error_set(err, &FAULT_TOO_LARGE, "a cell of %lu bytes", column->length);
        free(column->data);
        column->capacity = column->length + column->length / 2;
        column->data = xcalloc(1, column->capacity);
        column_bind(column, &statement->results[i]);
        if (mysql_stmt_fetch_column(statement->handle, &statement->results[i], (unsigned)i, 0) != 0)
            return db_fail(db, mysql_stmt_errno(statement->handle),
                           mysql_stmt_error(statement->handle), DB_DEED_HARMLESS, err);
    }
    if (mysql_stmt_bind_result(statement->handle, statement->results) != 0)
        return db_fail(db, mysql_stmt_errno(statement->handle), mysql_stmt_error(statement->handle),
                       DB_DEED_HARMLESS, err);
    return true;
}

static size_t row_text_bytes(const struct statement *statement)
{
    size_t bytes = 0;
    for (size_t i = 0; i < statement->column_count; i++)
        if (!statement->columns[i].is_number && !statement->columns[i].is_null)
            bytes += statement->columns[i].length + 1;
    return bytes;
}

static char *cell_fill(struct cell *cell, const struct column *column, char *text)
{
    if (column->is_null) {
        cell->type = CELL_NULL;
    } else if (column->is_number) {
        cell->type = CELL_NUMBER;
        cell->number = column->number;
    } else {
        cell->type = CELL_TEXT;
        cell->text = text;
        cell->length = (uint32_t)column->length;
        memcpy(text, column->data, column->length);
        text[column->length] = '\0';
        text += column->length + 1;
    }
    return text;
}

static void rows_reserve(struct db_rows *rows, struct arena *arena)
{
    if (rows->count < rows->capacity)
        return;
    size_t capacity = rows->capacity == 0 ? 8 : rows->capacity * 4;
    struct cell **larger = arena_calloc(arena, capacity, sizeof(*larger));
    if (rows->count > 0)
        memcpy(larger, rows->rows, rows->count * sizeof(*larger));
    rows->rows = larger;
    rows->capacity = capacity;
}

static void row_keep(struct db_rows *rows, struct arena *arena, const struct statement *statement)
{
    size_t cells = statement->column_count * sizeof(struct cell);
    size_t bytes = cells + row_text_bytes(statement);
    struct cell *row = arena_alloc(arena, bytes);
    char *text = (char *)row + cells;
    for (size_t i = 0; i < statement->column_count; i++)
        text = cell_fill(&row[i], &statement->columns[i], text);
    rows_reserve(rows, arena);
    rows->rows[rows->count++] = row;
    rows->bytes += bytes;
}

static bool fetch_rows(struct db *db, struct arena *arena, struct statement *statement,
                       struct db_rows *rows, struct error *err)
{
    if (mysql_stmt_bind_result(statement->handle, statement->results) != 0)
        return db_fail(db, mysql_stmt_errno(statement->handle), mysql_stmt_error(statement->handle),
                       DB_DEED_HARMLESS, err);
    for (;;) {
        int status = mysql_stmt_fetch(statement->handle);
        if (status == MYSQL_NO_DATA)
            return true;
        if (status != 0 && status != MYSQL_DATA_TRUNCATED)
            return db_fail(db, mysql_stmt_errno(statement->handle),
                           mysql_stmt_error(statement->handle), DB_DEED_HARMLESS, err);
        if (status == MYSQL_DATA_TRUNCATED && !columns_grow(db, statement, err))
            return false;
        row_keep(rows, arena, statement);
        if (rows->bytes > RESULT_MOST_BYTES)
            return error_set(err, &FAULT_TOO_LARGE, "a result of more than %zu MiB",
                             RESULT_MOST_BYTES >> 20);
    }
}

bool db_fetch_all(struct db *db, struct arena *arena, struct statement *statement,
                  struct db_rows **ret_rows, struct error *err)
{
    struct db_rows *rows = arena_alloc(arena, sizeof(*rows));
    rows->column_count = statement->column_count;
    if (!fetch_rows(db, arena, statement, rows, err)) {
        if (db->mysql != NULL) /* the rest of the result must not meet the next statement */
            mysql_stmt_free_result(statement->handle);
        return false;
    }
    *ret_rows = rows;
    return true;
}

size_t db_rows_count(const struct db_rows *rows)
{
    return rows->count;
}

static const struct cell *cell_at(const struct db_rows *rows, size_t row, size_t column)
{
    assert(row < rows->count && column < rows->column_count);
    return &rows->rows[row][column];
}

bool db_rows_is_null(const struct db_rows *rows, size_t row, size_t column)
{
    return cell_at(rows, row, column)->type == CELL_NULL;
}

uint64_t db_rows_unsigned(const struct db_rows *rows, size_t row, size_t column)
{
    const struct cell *cell = cell_at(rows, row, column);
    if (cell->type == CELL_NULL)
        return 0;
    return cell->type == CELL_NUMBER ? cell->number : strtoull(cell->text, NULL, 10);
}

int64_t db_rows_signed(const struct db_rows *rows, size_t row, size_t column)
{
    const struct cell *cell = cell_at(rows, row, column);
    if (cell->type == CELL_NULL)
        return 0;
    return cell->type == CELL_NUMBER ? (int64_t)cell->number : strtoll(cell->text, NULL, 10);
}

const char *db_rows_text(const struct db_rows *rows, size_t row, size_t column)
{
    const struct cell *cell = cell_at(rows, row, column);
    assert(cell->type != CELL_NUMBER); /* the SELECT and its reader disagree */
    return cell->type == CELL_TEXT ? cell->text : NULL;
}

const void *db_rows_bytes(const struct db_rows *rows, size_t row, size_t column, size_t *ret_length)
{
    const char *text = db_rows_text(rows, row, column);
    *ret_length = text != NULL ? cell_at(rows, row, column)->length : 0;
    return text;
}

struct uuid db_rows_uuid(const struct db_rows *rows, size_t row, size_t column)
{
    struct uuid id = {{0}};
    size_t length = 0;
    const void *bytes = db_rows_bytes(rows, row, column, &length);
    if (bytes != NULL && !uuid_from_bytes(bytes, length, &id))
        return (struct uuid){{0}};
    return id;
}
