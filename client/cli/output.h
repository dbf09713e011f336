/* SPDX-License-Identifier: Apache-2.0
 *
 * Showing what the API answered: -f table|json|yaml|csv|value, -c COLUMN, --sort-column. Tables are for
 * people (sizes and times are made readable); all other formats carry the values as the API gave them.
 *
 * Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_OUTPUT_H
#define GUTS_CLIENT_CLI_OUTPUT_H

#include "client/cli/command.h"

enum column_look { LOOK_PLAIN, LOOK_BYTES, LOOK_MIB, LOOK_TIME };

/* A column: its heading and the field that it shows; "a.b" reaches into objects, "#a" counts a's
 * elements. */
struct column {
    const char *title;
    const char *field;
    enum column_look look;
};

/* An array of objects, one a row. With --column those that were asked for, by title or by field; a column
 * that is neither known nor in any row is a complaint and EXIT_USAGE. */
int output_list(const struct output *output, const json_t *array, const struct column *columns,
                size_t count);
/* One object: a table of field and value; without columns all of its fields. */
int output_show(const struct output *output, const json_t *object, const struct column *columns,
                size_t count);
/* Tells on stderr what went wrong, with code, hint and all field errors; clears err and returns the
 * exit code that fits. */
int output_error(struct guts_error *err);
/* One of many objects that come one after the other: as JSON a line each, as CSV without a heading. */
void output_row(const struct output *output, const json_t *object, const struct column *columns,
                size_t count);

void format_bytes(uint64_t bytes, char *ret_text, size_t size);         /* "1.5 GiB" */
void format_duration(uint64_t duration_s, char *ret_text, size_t size); /* "1h02m", "3m20s", "7s" */
/* A field as text (heap, "" when absent): objects and arrays as compact JSON; as people read it where
 * `pretty`. Control characters are replaced, so that a name cannot drive a terminal. */
char *output_field_text(const json_t *object, const struct column *column, bool pretty);
const json_t *output_field(const json_t *object, const char *field);
const char *output_text(const json_t *object, const char *field); /* "" when absent */
/* Heap. Characters that drive a terminal or turn a line around become '?', line breaks become blanks,
 * so that a name can neither write elsewhere nor pass for a line of ours. */
char *output_clean(const char *text);
char *output_clean_lines(const char *text); /* … but line breaks stay */
/* How a field is shown whose column nobody declared, by its name's end: "_bytes", "_mib", "_at". */
enum column_look output_look(const char *field);
/* An object as lines "name: value", a list as one line an element, so that people can read it (heap). */
char *output_nested_text(const json_t *value);

#endif
