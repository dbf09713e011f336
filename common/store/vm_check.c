/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether many texts name a vm each, answered by counting: from one index, and without reading a row.
 */
#include <string.h>

#include "common/store/query.h"
#include "common/store/vm_view.h"

#define PIECE 1024 /* values of one list */

struct check {
    struct store *store;
    struct arena *arena;
    const char *scope;
    const struct uuid *source;
    const char *home;
};

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_ids(const void *a, const void *b)
{
    return uuid_compare(a, b);
}

/* The sorted array without its repetitions: how many are left. */
static size_t drop_equal(void *items, size_t count, size_t size,
                         int (*compare)(const void *, const void *))
{
    size_t kept = 0;
    char *bytes = items;
    qsort(items, count, size, compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || compare(bytes + (kept - 1) * size, bytes + i * size) != 0)
            memmove(bytes + kept++ * size, bytes + i * size, size);
    return kept;
}

/* Column 0 of the answer counts the rows, 1 those that are different, 2 those that are of no use. */
static bool count_piece(const struct check *check, const char *head, const char *condition,
                        const struct db_value *list, size_t count, bool *ret_sound,
                        struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = check->arena};
    struct db_rows *rows;
    query_bind(&query, head, db_text(check->home));
    query_match_text(&query, " AND project = ?", check->scope);
    query_match_uuid(&query, " AND source_id = ?", check->source);
    query_add(&query, condition);
    if (!db_query_list(store_db(check->store), check->arena, query.text.data, query.values,
                       query.count, list, count, &rows, err))
        return false;
    *ret_sound = db_rows_unsigned(rows, 0, 0) == count && db_rows_unsigned(rows, 0, 1) == count &&
                 db_rows_unsigned(rows, 0, 2) == 0;
    return true;
}

static bool count_list(const struct check *check, const char *head, const char *condition,
                       const struct db_value *list, size_t count, bool *ret_sound,
                       struct error *err)
{
    for (size_t done = 0; *ret_sound && done < count; done += PIECE) {
        size_t piece = count - done < PIECE ? count - done : PIECE;
        if (!count_piece(check, head, condition, list + done, piece, ret_sound, err))
            return false;
    }
    return true;
}

static bool check_ids(const struct check *check, struct uuid *ids, size_t count, bool *ret_sound,
                      struct error *err)
{
    struct db_value *list = arena_calloc(check->arena, count + 1, sizeof(*list));
    count = drop_equal(ids, count, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < count; i++)
        list[i] = db_uuid(&ids[i]);
    return count_list(
        check, "SELECT COUNT(*), COUNT(*), IFNULL(SUM(project <> ?), 0) FROM vms WHERE 1 = 1",
        " AND id IN (%LIST%)", list, count, ret_sound, err);
}

/* Equal for the database are also texts that differ by spaces at their end alone: where there are
 * such, counting proves nothing. */
static bool check_names(const struct check *check, const char **names, size_t count,
                        bool *ret_sound, struct error *err)
{
    struct db_value *list = arena_calloc(check->arena, count + 1, sizeof(*list));
    count = drop_equal(names, count, sizeof(*names), compare_texts);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(names[i]);
        if (length > 0 && names[i][length - 1] == ' ')
            *ret_sound = false;
        list[i] = db_text(names[i]);
    }
    return count_list(check,
                      "SELECT COUNT(*), COUNT(DISTINCT name), IFNULL(SUM(project <> ? OR name LIKE "
                      "'% '), 0) FROM vms FORCE INDEX (by_name_site) WHERE gone_at IS NULL",
                      " AND name IN (%LIST%)", list, count, ret_sound, err);
}

bool vm_view_are_plain(struct store *store, struct arena *arena, const char *project,
                       const struct uuid *source, const char *home, const char *const *names_or_ids,
                       size_t count, bool *ret_plain, struct error *err)
{
    static const struct uuid any = {{0}};
    const struct check check = {store, arena, project, source != NULL ? source : &any, home};
    struct uuid *ids = arena_calloc(arena, count + 1, sizeof(*ids));
    const char **names = arena_calloc(arena, count + 1, sizeof(*names));
    size_t id_count = 0, name_count = 0;
    bool sound = true;
    for (size_t i = 0; i < count; i++)
        if (uuid_parse(names_or_ids[i], &ids[id_count]))
            id_count++;
        else
            names[name_count++] = names_or_ids[i];
    if (!check_names(&check, names, name_count, &sound, err) ||
        !check_ids(&check, ids, id_count, &sound, err))
        return false;
    *ret_plain = sound;
    return true;
}
