/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/output.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/column.h"
#include "client/cli/yaml_print.h"
#include "common/base/memory.h"

/* -- sorting -------------------------------------------------------------------------------------- */

struct sorted {
    const json_t *object;
    char *text;
    double number;
    bool is_number;
    size_t position;
};

static int compare_sorted(const void *a, const void *b)
{
    const struct sorted *left = a, *right = b;
    int order;
    if (left->is_number && right->is_number)
        order = (left->number > right->number) - (left->number < right->number);
    else
        order = strcoll(left->text, right->text);
    return order != 0 ? order
                      : (left->position > right->position) - (left->position < right->position);
}

/* The rows in the order in which they are shown (heap). */
static const json_t **order_rows(const struct output *output, const json_t *array,
                                 const struct chosen *chosen)
{
    size_t count = json_array_size(array);
    struct sorted *rows = xcalloc(count + 1, sizeof(*rows));
    const struct column *by = chosen->is_sorted ? &chosen->by : NULL;
    for (size_t i = 0; i < count; i++) {
        rows[i].object = json_array_get(array, i);
        rows[i].position = i;
        if (by == NULL)
            continue;
        const json_t *value = output_field(rows[i].object, by->field);
        rows[i].is_number = json_is_number(value);
        rows[i].number = json_number_value(value);
        rows[i].text = output_field_text(rows[i].object, by, false);
    }
    if (by != NULL)
        qsort(rows, count, sizeof(*rows), compare_sorted);
    const json_t **ordered = xcalloc(count + 1, sizeof(*ordered));
    for (size_t i = 0; i < count; i++) {
        ordered[output->descending ? count - 1 - i : i] = rows[i].object;
        free(rows[i].text);
    }
    free(rows);
    return ordered;
}

/* -- formats -------------------------------------------------------------------------------------- */

static struct libscols_table *new_table(void)
{
    struct libscols_table *table = scols_new_table();
    if (table == NULL)
        abort();
    if (!isatty(STDOUT_FILENO))
        scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
    return table;
}

static void print_table(const json_t *const *rows, size_t row_count, const struct chosen *chosen)
{
    struct libscols_table *table = new_table();
    for (size_t i = 0; i < chosen->count; i++) {
        bool right = chosen->columns[i].look == LOOK_BYTES || chosen->columns[i].look == LOOK_MIB;
        scols_table_new_column(table, chosen->columns[i].title, 0, right ? SCOLS_FL_RIGHT : 0);
    }
    for (size_t row = 0; row < row_count; row++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        for (size_t i = 0; line != NULL && i < chosen->count; i++) {
            char *text = output_field_text(rows[row], &chosen->columns[i], true);
            scols_line_set_data(line, i, text);
            free(text);
        }
    }
    scols_print_table(table);
    scols_unref_table(table);
}

/* RFC 4180: quoted where a comma, a quote or a line break stands. */
static void print_csv_cell(const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"')
            putchar('"');
        putchar(*p);
    }
    putchar('"');
}

/* A field as programs read it; a terminal gets it harmless. */
static char *plain_text(const json_t *object, const struct column *column)
{
    CLEANUP(xfreep) char *text = output_field_text(object, column, false);
    return isatty(STDOUT_FILENO) ? output_clean_lines(text) : xstrdup(text);
}

static void print_cells(const json_t *object, const struct chosen *chosen, bool csv)
{
    for (size_t i = 0; i < chosen->count; i++) {
        CLEANUP(xfreep) char *text = plain_text(object, &chosen->columns[i]);
        if (i > 0)
            putchar(csv ? ',' : ' ');
        if (csv)
            print_csv_cell(text);
        else
            fputs(text, stdout);
    }
    putchar('\n');
}

static void print_rows(const json_t *const *rows, size_t row_count, const struct chosen *chosen,
                       bool csv)
{
    for (size_t i = 0; csv && i < chosen->count; i++) {
        fputs(i > 0 ? "," : "", stdout);
        print_csv_cell(chosen->columns[i].title);
    }
    if (csv)
        putchar('\n');
    for (size_t row = 0; row < row_count; row++) {
        print_cells(rows[row], chosen, csv);
    }
}

/* The object with the chosen fields only, under their field names. */
static json_t *pick(const json_t *object, const struct chosen *chosen)
{
    json_t *picked = json_object();
    for (size_t i = 0; i < chosen->count; i++) {
        const json_t *value = output_field(object, chosen->columns[i].field);
        json_object_set_new(picked, chosen->columns[i].field,
                            value != NULL ? json_deep_copy(value) : json_null());
    }
    return picked;
}

static void print_document(const json_t *document, enum output_format format)
{
    if (format == OUTPUT_YAML) {
        yaml_print(document);
        return;
    }
    CLEANUP(xfreep) char *text = json_dumps(document, JSON_INDENT(2) | JSON_ENCODE_ANY);
    CLEANUP(xfreep) char *clean = isatty(STDOUT_FILENO) ? output_clean_lines(text) : NULL;
    puts(clean != NULL ? clean : text);
}

int output_list(const struct output *output, const json_t *array, const struct column *columns,
                size_t count)
{
    CLEANUP(chosen_fini) struct chosen chosen;
    if (!columns_choose(output, array, columns, count, true, &chosen))
        return EXIT_USAGE;
    CLEANUP(xfreep) const json_t **rows = order_rows(output, array, &chosen);
    size_t row_count = json_array_size(array);
    if (output->format == OUTPUT_TABLE) {
        print_table(rows, row_count, &chosen);
    } else if (output->format == OUTPUT_CSV || output->format == OUTPUT_VALUE) {
        print_rows(rows, row_count, &chosen, output->format == OUTPUT_CSV);
    } else {
        json_t *document = json_array();
        for (size_t i = 0; i < row_count; i++)
            json_array_append_new(document, output->column_count > 0 ? pick(rows[i], &chosen)
                                                                     : json_deep_copy(rows[i]));
        print_document(document, output->format);
        json_decref(document);
    }
    return EXIT_DONE;
}

static void print_fields(const json_t *object, const struct chosen *chosen)
{
    struct libscols_table *table = new_table();
    scols_table_new_column(table, "FIELD", 0, 0);
    struct libscols_column *value = scols_table_new_column(table, "VALUE", 0, SCOLS_FL_WRAP);
    scols_column_set_safechars(value, "\n");
    scols_column_set_wrapfunc(value, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
    for (size_t i = 0; i < chosen->count; i++) {
        struct libscols_line *line = scols_table_new_line(table, NULL);
        const json_t *value_json = output_field(object, chosen->columns[i].field);
        bool nested = json_is_object(value_json) || json_is_array(value_json);
        char *text = nested ? output_nested_text(value_json)
                            : output_field_text(object, &chosen->columns[i], true);
        if (line != NULL) {
            scols_line_set_data(line, 0, chosen->columns[i].title);
            scols_line_set_data(line, 1, text);
        }
        free(text);
    }
    scols_print_table(table);
    scols_unref_table(table);
}

int output_show(const struct output *output, const json_t *object, const struct column *columns,
                size_t count)
{
    CLEANUP(chosen_fini) struct chosen chosen;
    json_t *alone = json_pack("[O]", object);
    struct output unsorted = *output;
    unsorted.sort_column = NULL;
    bool fine = columns_choose(&unsorted, alone, columns, count, true, &chosen);
    json_decref(alone);
    if (!fine)
        return EXIT_USAGE;
    const char *key;
    json_t *value;
    if (chosen.count == 0)
        json_object_foreach((json_t *)object, key, value)
            if (chosen.count < CHOSEN_MOST)
                chosen.columns[chosen.count++] = (struct column){key, key, output_look(key)};
    const json_t *rows[1] = {object};
    if (output->format == OUTPUT_TABLE) {
        print_fields(object, &chosen);
    } else if (output->format == OUTPUT_CSV) {
        print_rows(rows, 1, &chosen, true);
    } else if (output->format == OUTPUT_VALUE) {
        for (size_t i = 0; i < chosen.count; i++) {
            char *text = plain_text(object, &chosen.columns[i]);
            puts(text);
            free(text);
        }
    } else {
        json_t *document =
            output->column_count > 0 ? pick(object, &chosen) : json_deep_copy(object);
        print_document(document, output->format);
        json_decref(document);
    }
    return EXIT_DONE;
}

void output_row(const struct output *output, const json_t *object, const struct column *columns,
                size_t count)
{
    CLEANUP(chosen_fini) struct chosen chosen;
    json_t *alone = json_pack("[O]", object);
    bool fine = columns_choose(output, alone, columns, count, false, &chosen);
    json_decref(alone);
    if (!fine)
        return;
    if (output->format == OUTPUT_CSV || output->format == OUTPUT_VALUE) {
        print_cells(object, &chosen, output->format == OUTPUT_CSV);
        return;
    }
    json_t *document = output->column_count > 0 ? pick(object, &chosen) : json_deep_copy(object);
    if (output->format == OUTPUT_YAML) {
        json_t *list = json_pack("[O]", document);
        yaml_print(list);
        json_decref(list);
    } else {
        CLEANUP(xfreep) char *text = json_dumps(document, JSON_COMPACT);
        CLEANUP(xfreep) char *clean = isatty(STDOUT_FILENO) ? output_clean(text) : NULL;
        puts(clean != NULL ? clean : text);
    }
    json_decref(document);
}

/* -- errors --------------------------------------------------------------------------------------- */

static int error_exit_code(const struct guts_error *err)
{
    if (err->status == 0 || err->status == 503 || err->status == 502 || err->status == 504)
        return strcmp(err->code, "timeout") == 0 ? EXIT_TIMED_OUT : EXIT_UNREACHABLE;
    if (err->status == 401 || err->status == 403)
        return EXIT_DENIED;
    return err->status == 404 ? EXIT_NOT_FOUND : EXIT_REFUSED;
}

int output_error(struct guts_error *err)
{
    int code = strcmp(err->code, "cancelled") == 0 && interrupted ? EXIT_INTERRUPTED
                                                                  : error_exit_code(err);
    CLEANUP(xfreep) char *detail = output_clean(err->detail[0] != '\0' ? err->detail : err->title);
    fprintf(stderr, "guts: %s [%s]\n", detail, err->code);
    size_t index;
    json_t *entry;
    json_array_foreach(err->errors, index, entry) {
        CLEANUP(xfreep) char *pointer = output_clean(output_text(entry, "pointer"));
        CLEANUP(xfreep) char *text = output_clean(output_text(entry, "detail"));
        fprintf(stderr, "  %s: %s\n", pointer, text);
    }
    if (err->hint[0] != '\0') {
        CLEANUP(xfreep) char *hint = output_clean(err->hint);
        fprintf(stderr, "hint: %s\n", hint);
    }
    guts_error_clear(err);
    return code;
}
