/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the store is on one connection, with 100,000 migrations in place: shows (alone and in
 * batches), creating 5,000, the first and the last page of lists. Prints one line each; asserts only
 * what must hold on any machine: that the last page costs what the first does.
 */
#include "tests/integration/store/world.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/store/migration_view.h"

#define ROWS 100000
#define CREATED 5000

static struct uuid ids[ROWS];
static size_t id_count;

static void keep_ids(void *context, const struct uuid *created, size_t count)
{
    for (size_t i = 0; i < count && id_count < ROWS; i++)
        ids[id_count++] = created[i];
}

static void create(size_t count, const char *what)
{
    struct migration_new_shared shared = {"red", "{\"boot\": true}", "rollback", false, "ann"};
    struct migration_new *rows = xcalloc(count, sizeof(*rows));
    struct migration_created *results = xcalloc(count, sizeof(*results));
    size_t done;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct migration_new){uuid_new(),        uuid_new(), world.source,
                                         world.destination, "machine",  "machine"};
    uint64_t from = clock_mono_us();
    OK(migration_create(world.store, &shared, rows, count, keep_ids, NULL, results, &done,
                        &world.err));
    printf("%s: %zu in %.3f s\n", what, count, (double)(clock_mono_us() - from) / 1e6);
    free(rows);
    free(results);
}

/* Two disks, four steps, four ledger entries each: the children of a migration under way. */
static void add_children(void)
{
    struct db *db = store_db(world.store);
    OK(db_begin(db, &world.err));
    world_sql("INSERT INTO migration_disks SELECT id, n, 1, 2, 3, 4, 5, 'xxh3:00' FROM migrations "
              "JOIN (SELECT 0 AS n UNION ALL SELECT 1) t");
    OK(db_commit(db, &world.err));
    for (int part = 0; part < 16; part++) {
        world_sql("INSERT INTO steps SELECT id, 1, n, id, 'copy-the-disks', 'done', 5, 6, NULL, "
                  "NULL FROM migrations JOIN (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3 "
                  "UNION ALL SELECT 4) t WHERE ASCII(RIGHT(id, 1)) %% 16 = %d",
                  part);
        world_sql("INSERT INTO ledger SELECT id, 'destination', 'disk', n, 'migration', n, 'made', "
                  "'external-id', NULL, 'a disk', id, 1, 1, 30, 31 FROM migrations JOIN (SELECT 1 "
                  "AS n UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) t "
                  "WHERE ASCII(RIGHT(id, 1)) %% 16 = %d",
                  part);
    }
    world_sql("UPDATE migrations SET state = 'CONVERTING', evidence_json = '{\"transport\": 1}'");
    world_sql("ANALYZE TABLE migrations, migration_disks, steps, ledger");
}

static void show(size_t batch, uint64_t duration_ms)
{
    struct migration_detail *details[MIGRATION_VIEW_BATCH];
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    uint64_t from = clock_mono_us(), shown = 0, most_us = duration_ms * 1000;
    while (clock_mono_us() - from < most_us) {
        size_t first = (size_t)(shown * 7919) % (id_count - batch);
        arena_reset(arena);
        OK(migration_view_get_many(world.store, arena, ids + first, batch, details, &world.err));
        assert_int_equal(details[batch - 1]->ledger_count, 4);
        shown += batch;
    }
    double seconds = (double)(clock_mono_us() - from) / 1e6;
    printf("show, batches of %zu: %.0f a second\n", batch, (double)shown / seconds);
}

static double page_ms(const struct migration_filter *filter, const char *cursor)
{
    struct page page = {.most = 100, .descending = true, .cursor = cursor};
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct migration_list list;
    uint64_t from = clock_mono_us();
    for (int i = 0; i < 50; i++) {
        arena_reset(arena);
        OK(migration_view_list(world.store, arena, filter, &page, &list, &world.err));
        assert_int_equal(list.count, 100);
    }
    return (double)(clock_mono_us() - from) / 50e3;
}

static void page(const char *what, const struct migration_filter *filter)
{
    struct page_cursor cursor = {ids[100], ""}; /* newest first: the oldest hundred are the last */
    double first = page_ms(filter, NULL);
    double last = page_ms(filter, page_cursor_format(world.arena, &cursor));
    printf("list %s, pages of 100: first %.2f ms, last %.2f ms\n", what, first, last);
    assert_true(last < first * 3 + 1);
}

static void the_store_keeps_its_pace_with_100000_migrations(void **state)
{
    world_ends();
    create(ROWS - CREATED, "create");
    create(CREATED, "create into 95,000");
    add_children();
    for (size_t batch = 1; batch <= MIGRATION_VIEW_BATCH; batch *= 2)
        show(batch, 1000);
    page("all", &(struct migration_filter){0});
    page("of a project", &(struct migration_filter){.project = "red"});
    page("of a state", &(struct migration_filter){.state = MIGRATION_CONVERTING});
    page("of a source in a project",
         &(struct migration_filter){.project = "red", .source_id = world.source});
    page("of a name", &(struct migration_filter){.name = "machine"});
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(the_store_keeps_its_pace_with_100000_migrations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
