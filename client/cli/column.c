/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/column.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* -- names that mean the same --------------------------------------------------------------------- */

static int plain(char letter)
{
    return letter == ' ' || letter == '-' ? '_' : tolower((unsigned char)letter);
}

/* The first `length` letters of `asked` are `name`. */
static bool is_same(const char *name, const char *asked, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (name[i] == '\0' || plain(name[i]) != plain(asked[i]))
            return false;
    return name[length] == '\0';
}

static const struct column *find_column(const struct column *columns, size_t count,
                                        const char *asked)
{
    for (size_t i = 0; i < count; i++)
        if (is_same(columns[i].title, asked, strlen(asked)) || strcmp(columns[i].field, asked) == 0)
            return &columns[i];
    return NULL;
}

/* -- fields of objects ---------------------------------------------------------------------------- */

static char *find_inner(const json_t *object, const char *asked);

/* The field that is meant, as the object writes it (heap), or NULL. What is null has no members to
 * look for: it may have any. */
static char *find_field(const json_t *object, const char *asked)
{
    const char *key;
    json_t *value;
    if (output_field(object, asked) != NULL)
        return xstrdup(asked);
    json_object_foreach((json_t *)object, key, value)
        if (is_same(key, asked, strlen(asked)))
            return xstrdup(key);
    return find_inner(object, asked);
}

static char *find_inner(const json_t *object, const char *asked)
{
    const char *key, *dot = strchr(asked, '.');
    json_t *value;
    if (dot == NULL)
        return NULL;
    json_object_foreach((json_t *)object, key, value) {
        if (!is_same(key, asked, (size_t)(dot - asked)))
            continue;
        CLEANUP(xfreep)
        char *inner = json_is_null(value) ? xstrdup(dot + 1) : find_field(value, dot + 1);
        return inner == NULL ? NULL : xasprintf("%s.%s", key, inner);
    }
    return NULL;
}

static bool find_in_rows(const json_t *rows, const char *asked, struct chosen *chosen,
                         struct column *ret_column)
{
    size_t index;
    json_t *row;
    char *name = NULL;
    if (json_array_size(rows) == 0 || asked[0] == '#')
        name = xstrdup(asked); /* of nothing, nothing can be said */
    json_array_foreach((json_t *)rows, index, row) {
        if (name != NULL)
            break;
        name = find_field(row, asked);
    }
    if (name == NULL)
        return false;
    chosen->names[chosen->name_count++] = name;
    *ret_column = (struct column){name, name, LOOK_PLAIN};
    return true;
}

/* -- choosing ------------------------------------------------------------------------------------- */

static bool complain(bool is_strict, const json_t *rows, const char *wrong)
{
    const char *key;
    json_t *value;
    if (!is_strict)
        return true;
    fprintf(stderr, "guts: no column \"%s\"; there are:", wrong);
    json_object_foreach(json_array_get(rows, 0), key, value)
        fprintf(stderr, " %s", key);
    fputc('\n', stderr);
    return false;
}

static bool choose_one(const json_t *rows, const struct column *columns, size_t count,
                       const char *asked, struct chosen *chosen, struct column *ret_column)
{
    const struct column *known = find_column(columns, count, asked);
    *ret_column = known != NULL ? *known : (struct column){asked, asked, LOOK_PLAIN};
    return known != NULL || find_in_rows(rows, asked, chosen, ret_column);
}

bool columns_choose(const struct output *output, const json_t *rows, const struct column *columns,
                    size_t count, bool is_strict, struct chosen *ret_chosen)
{
    struct chosen *chosen = ret_chosen;
    const char *wrong = NULL;
    *chosen = (struct chosen){0};
    for (size_t i = 0; output->column_count == 0 && i < count && i < CHOSEN_MOST; i++)
        chosen->columns[chosen->count++] = columns[i];
    for (size_t i = 0; i < output->column_count && i < CHOSEN_MOST; i++)
        if (!choose_one(rows, columns, count, output->columns[i], chosen,
                        &chosen->columns[chosen->count++]))
            wrong = wrong != NULL ? wrong : output->columns[i];
    chosen->is_sorted = output->sort_column != NULL;
    if (chosen->is_sorted &&
        !choose_one(rows, columns, count, output->sort_column, chosen, &chosen->by))
        wrong = wrong != NULL ? wrong : output->sort_column;
    return wrong == NULL || complain(is_strict, rows, wrong);
}

void chosen_fini(struct chosen *chosen)
{
    for (size_t i = 0; i < chosen->name_count; i++)
        free(chosen->names[i]);
    chosen->name_count = chosen->count = 0;
}
