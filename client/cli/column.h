/* SPDX-License-Identifier: Apache-2.0
 *
 * Which columns are shown: the command's own, or those that -c asks for, by heading or by field, in
 * upper or lower case, with blanks, dashes or underscores between words.
 *
 * Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_COLUMN_H
#define GUTS_CLIENT_CLI_COLUMN_H

#include "client/cli/output.h"
#include "common/base/error.h"

#define CHOSEN_MOST 128 /* more than the fields of any object of the API */

struct chosen {
    struct column columns[CHOSEN_MOST];
    size_t count;
    bool is_sorted;
    struct column by;             /* where it is sorted */
    char *names[CHOSEN_MOST + 1]; /* heap: of columns that nobody declared */
    size_t name_count;
};

/* Where it is strict, false after a complaint on stderr about the first column that is neither known nor in
 * any row: an empty column would pass for an answer. End it with chosen_fini in either case; `output` and
 * `columns` are borrowed until then. */
bool columns_choose(const struct output *output, const json_t *rows, const struct column *columns,
                    size_t count, bool is_strict, struct chosen *ret_chosen) MUST_CHECK;
void chosen_fini(struct chosen *chosen);

#endif
