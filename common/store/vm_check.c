/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether many texts name a vm each, answered by counting: from one index, and without reading a row.
 * They travel as one JSON document, which the database joins to its vms: a list of thousands in the
 * statement would take longer to parse than to answer.
 */
#include <string.h>

#include "common/store/query.h"
#include "common/store/vm_view.h"

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

/* -- a JSON array of texts ------------------------------------------------------------------------- */

static void put_text(struct buffer *json, const char *text)
{
    buffer_append_text(json, json->length > 1 ? ",\"" : "\"");
    for (const char *at = text; *at != '\0'; at++)
        if (*at == '"' || *at == '\\')
            buffer_printf(json, "\\%c", *at);
        else if ((unsigned char)*at < ' ')
            buffer_printf(json, "\\u%04x", (unsigned)*at);
        else
            buffer_append(json, at, 1);
    buffer_append_text(json, "\"");
}

static void put_id(struct buffer *json, const struct uuid *id)
{
    buffer_append_text(json, json->length > 1 ? ",\"" : "\"");
    for (size_t i = 0; i < UUID_BYTES; i++)
        buffer_printf(json, "%02x", id->bytes[i]);
    buffer_append_text(json, "\"");
}

/* -- counting -------------------------------------------------------------------------------------- */

/* `head` joins each of the `count` texts, all different, to the vms that it names, or to none: column 0
 * counts these pairs, 1 those with a vm, 2 those whose vm is of no use. A text that names several makes
 * more pairs than there are texts; one that names none makes a pair without a vm. */
static bool count_pairs(const struct check *check, const char *head, struct buffer *json,
                        size_t count, bool *ret_sound, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = check->arena};
    struct db_rows *rows;
    buffer_append_text(json, "]");
    query_bind(&query, head, db_text(check->home));
    query.values[query.count++] = db_text(json->data);
    query_match_text(&query, " AND v.project = ?", check->scope);
    query_match_uuid(&query, " AND v.source_id = ?", check->source);
    if (!query_run(&query, check->store, &rows, err))
        return false;
    *ret_sound = db_rows_unsigned(rows, 0, 0) == count && db_rows_unsigned(rows, 0, 1) == count &&
                 db_rows_unsigned(rows, 0, 2) == 0;
    return true;
}

static bool check_ids(const struct check *check, struct uuid *ids, size_t count, bool *ret_sound,
                      struct error *err)
{
    CLEANUP(buffer_fini) struct buffer json = {0};
    if (count == 0 || !*ret_sound)
        return true;
    count = drop_equal(ids, count, sizeof(*ids), compare_ids);
    buffer_append_text(&json, "[");
    for (size_t i = 0; i < count; i++)
        put_id(&json, &ids[i]);
    return count_pairs(
        check,
        "SELECT STRAIGHT_JOIN COUNT(*), COUNT(v.id), IFNULL(SUM(v.project <> ?), 0) FROM"
        " JSON_TABLE(?, '$[*]' COLUMNS (text CHAR(32) CHARACTER SET ascii PATH '$')) j"
        " LEFT JOIN vms v ON v.id = UNHEX(j.text)",
        &json, count, ret_sound, err);
}

static bool ends_with_space(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && text[length - 1] == ' ';
}

/* Equal for the database are also texts that differ by spaces at their end alone: where there are
 * such, counting proves nothing. */
static bool check_names(const struct check *check, const char **names, size_t count,
                        bool *ret_sound, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer json = {0};
    if (count == 0)
        return true;
    count = drop_equal(names, count, sizeof(*names), compare_texts);
    buffer_append_text(&json, "[");
    for (size_t i = 0; i < count; i++) {
        if (ends_with_space(names[i]))
            *ret_sound = false;
        put_text(&json, names[i]);
    }
    return !*ret_sound ||
           count_pairs(check,
                       "SELECT STRAIGHT_JOIN COUNT(*), COUNT(v.id), IFNULL(SUM(v.project <> ? OR"
                       " v.name LIKE '% '), 0) FROM JSON_TABLE(?, '$[*]' COLUMNS (text VARCHAR(255)"
                       " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) j"
                       " LEFT JOIN vms v FORCE INDEX (by_name_site) ON v.name = j.text"
                       " AND v.gone_at IS NULL",
                       &json, count, ret_sound, err);
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
