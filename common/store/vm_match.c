/* SPDX-License-Identifier: Apache-2.0
 *
 * Many vms by name or id at once: two lists of the database, joined here to the texts of the caller
 * by a sorted index.
 */
#include <string.h>

#include "common/store/query.h"
#include "common/store/vm_view.h"

#define PIECE 512 /* values of one list */
#define COLUMNS                                                                                    \
    "SELECT id, source_id, project, name, power, capacity_bytes, gone_at, obstacle_code, "         \
    "obstacle_text FROM vms WHERE 1 = 1"
enum column {
    ID,
    SOURCE_ID,
    PROJECT,
    NAME,
    POWER,
    CAPACITY,
    GONE_AT,
    OBSTACLE_CODE,
    OBSTACLE_TEXT
};

/* A text of the caller and where its answer goes. */
struct wanted_vm {
    const char *text;
    struct uuid id; /* nil: only a name */
    struct vm_match *match;
};
struct search {
    struct store *store;
    struct arena *arena;
    const char *project;
    const struct uuid *source;
    struct wanted_vm *wanted;
    size_t count;
};

static int compare_texts(const void *a, const void *b)
{
    return strcmp(((const struct wanted_vm *)a)->text, ((const struct wanted_vm *)b)->text);
}

static int compare_ids(const void *a, const void *b)
{
    return uuid_compare(&((const struct wanted_vm *)a)->id, &((const struct wanted_vm *)b)->id);
}

static void read_match(const struct db_rows *rows, size_t row, struct vm_match *match)
{
    match->found = 1;
    match->id = db_rows_uuid(rows, row, ID);
    match->source_id = db_rows_uuid(rows, row, SOURCE_ID);
    match->project = db_rows_text(rows, row, PROJECT);
    match->name = db_rows_text(rows, row, NAME);
    match->power = vm_power_parse(db_rows_text(rows, row, POWER));
    match->capacity_bytes = db_rows_unsigned(rows, row, CAPACITY);
    match->gone_at = db_rows_unsigned(rows, row, GONE_AT);
    match->obstacle_code = db_rows_text(rows, row, OBSTACLE_CODE);
    match->obstacle_text = db_rows_text(rows, row, OBSTACLE_TEXT);
}

/* The first of the wanted, sorted by `compare`, that is equal to `key`. */
static struct wanted_vm *first_equal(struct search *search, const struct wanted_vm *key,
                                     int (*compare)(const void *, const void *))
{
    size_t low = 0, high = search->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(&search->wanted[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return &search->wanted[low];
}

static void hand_out(struct search *search, const struct db_rows *rows,
                     int (*compare)(const void *, const void *))
{
    const struct wanted_vm *end = search->wanted + search->count;
    for (size_t i = 0; i < db_rows_count(rows); i++) {
        struct wanted_vm key = {.text = db_rows_text(rows, i, NAME),
                                .id = db_rows_uuid(rows, i, ID)};
        for (struct wanted_vm *wanted = first_equal(search, &key, compare);
             wanted < end && compare(wanted, &key) == 0; wanted++) {
            if (wanted->match->found == 0)
                read_match(rows, i, wanted->match);
            else if (!uuid_equal(&wanted->match->id, &key.id))
                wanted->match->found = 2;
        }
    }
}

static bool query_piece(struct search *search, const char *condition, const struct db_value *list,
                        size_t count, struct db_rows **ret_rows, struct error *err)
{
    CLEANUP(query_fini) struct query query = {.arena = search->arena};
    query_add(&query, COLUMNS);
    query_match_text(&query, " AND project = ?", search->project);
    query_match_uuid(&query, " AND source_id = ?", search->source);
    query_add(&query, condition);
    return db_query_list(store_db(search->store), search->arena, query.text.data, query.values,
                         query.count, list, count, ret_rows, err);
}

static bool search_list(struct search *search, const char *condition, struct db_value *list,
                        size_t count, int (*compare)(const void *, const void *), struct error *err)
{
    qsort(search->wanted, search->count, sizeof(*search->wanted), compare);
    for (size_t done = 0; done < count; done += PIECE) {
        size_t piece = count - done < PIECE ? count - done : PIECE;
        struct db_rows *rows;
        if (!query_piece(search, condition, list + done, piece, &rows, err))
            return false;
        hand_out(search, rows, compare);
    }
    return true;
}

static bool search_ids(struct search *search, struct error *err)
{
    struct db_value *list = arena_calloc(search->arena, search->count + 1, sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < search->count; i++)
        if (!uuid_is_nil(&search->wanted[i].id)) {
            const struct uuid *kept =
                arena_memdup(search->arena, &search->wanted[i].id, sizeof(*kept));
            list[count++] = db_uuid(kept);
        }
    return search_list(search, " AND id IN (%LIST%)", list, count, compare_ids, err);
}

/* Only for texts that no id has answered: the found ones leave the list of the wanted. */
static bool search_names(struct search *search, struct error *err)
{
    struct db_value *list = arena_calloc(search->arena, search->count + 1, sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < search->count; i++)
        if (search->wanted[i].match->found == 0)
            search->wanted[count++] = search->wanted[i];
    search->count = count;
    for (size_t i = 0; i < count; i++)
        list[i] = db_text(search->wanted[i].text);
    return search_list(search, " AND name IN (%LIST%) AND gone_at IS NULL", list, count,
                       compare_texts, err);
}

bool vm_view_match(struct store *store, struct arena *arena, const char *project,
                   const struct uuid *source, const char *const *names_or_ids, size_t count,
                   struct vm_match **ret_matches, struct error *err)
{
    static const struct uuid any = {{0}};
    struct search search = {store, arena, project, source != NULL ? source : &any, NULL, count};
    struct vm_match *matches = arena_calloc(arena, count + 1, sizeof(*matches));
    search.wanted = arena_calloc(arena, count + 1, sizeof(*search.wanted));
    for (size_t i = 0; i < count; i++) {
        search.wanted[i] = (struct wanted_vm){.text = names_or_ids[i], .match = &matches[i]};
        if (!uuid_parse(names_or_ids[i], &search.wanted[i].id))
            search.wanted[i].id = (struct uuid){{0}};
    }
    if (!search_ids(&search, err) || !search_names(&search, err))
        return false;
    *ret_matches = matches;
    return true;
}
