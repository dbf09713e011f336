/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/store/world.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/store/migration_view.h"

static const struct migration_new_shared shared = {"red", "{\"boot\": true}", "keep", true, "ann"};

static bool create(const struct migration_new *rows, size_t count,
                   struct migration_created *results)
{
    size_t done = 0;
    bool created =
        migration_create(world.store, &shared, rows, count, NULL, NULL, results, &done, &world.err);
    assert_true(!created || done == count);
    return created;
}

static struct migration_new new_row(const struct uuid *vm)
{
    return (struct migration_new){uuid_new(), *vm, world.source, world.destination, "vm", "srv"};
}

static void a_migration_begins_as_pending_and_due(void **state)
{
    struct migration_detail detail;
    struct migration_created result;
    world_ends();
    struct uuid vm = world_vm("red", "web");
    struct migration_new row = new_row(&vm);
    OK(create(&row, 1, &result));
    assert_true(uuid_is_nil(&result.existing));
    OK(migration_view_get(world.store, world.arena, "red", &row.id, &detail, &world.err));
    assert_int_equal(detail.view.state, MIGRATION_PENDING);
    assert_int_equal(detail.view.version, 0);
    assert_true(detail.view.due_at > 1700000000000000);
    assert_int_equal(detail.view.created_at, detail.view.due_at);
    assert_string_equal(detail.view.on_failure, "keep");
    assert_true(detail.view.dry_run);
    assert_string_equal(detail.view.who, "ann");
    assert_string_equal(detail.options_json, "{\"boot\": true}");
    assert_string_equal(detail.view.source_name, "src");
    assert_string_equal(detail.view.destination_name, "dst");
    assert_true(uuid_equal(&detail.view.vm_id, &vm));
    assert_int_equal(detail.disk_count + detail.step_count + detail.ledger_count, 0);
}

static void asking_again_answers_with_the_one_that_exists(void **state)
{
    struct migration_created results[3];
    world_ends();
    struct uuid vm = world_vm("red", "web"), other = world_vm("red", "db");
    struct migration_new first = new_row(&vm);
    OK(create(&first, 1, results));
    struct migration_new rows[] = {new_row(&vm), new_row(&other), new_row(&other)};
    OK(create(rows, 3, results));
    assert_true(uuid_equal(&results[0].existing, &first.id));
    assert_true(uuid_is_nil(&results[1].existing));
    assert_true(uuid_equal(&results[2].existing, &rows[1].id)); /* named twice in one call */
    assert_int_equal(world_number("SELECT COUNT(*) FROM migrations"), 2);
    world_sql("UPDATE migrations SET state = 'ROLLED_BACK', open_vm = NULL");
    OK(create(rows, 1, results)); /* its end frees the vm */
    assert_true(uuid_is_nil(&results[0].existing));
}

static void rows_of_our_own_ids_count_as_created(void **state)
{
    struct migration_created result;
    world_ends();
    struct uuid vm = world_vm("red", "web");
    struct migration_new row = new_row(&vm);
    OK(create(&row, 1, &result));
    OK(create(&row, 1, &result)); /* as after a commit whose answer was lost */
    assert_true(uuid_is_nil(&result.existing));
    assert_int_equal(world_number("SELECT COUNT(*) FROM migrations"), 1);
}

static void an_end_that_is_gone_refuses_the_whole_chunk(void **state)
{
    struct migration_created results[2];
    world_ends();
    struct uuid vm = world_vm("red", "web"), other = world_vm("red", "db");
    struct migration_new rows[] = {new_row(&vm), new_row(&other)};
    rows[1].destination_id = uuid_new();
    FAILS(create(rows, 2, results), FAULT_NOT_FOUND);
    assert_int_equal(world_number("SELECT COUNT(*) FROM migrations"), 0);
}

enum { RACED = 700 };

/* Creates a migration for each vm; returns how many were created, or −1. */
static int create_all(struct store *store, const struct uuid *vms)
{
    struct migration_new *rows = arena_calloc(world.arena, RACED, sizeof(*rows));
    struct migration_created *results = arena_calloc(world.arena, RACED, sizeof(*results));
    size_t done;
    int created = 0;
    for (size_t i = 0; i < RACED; i++)
        rows[i] = new_row(&vms[i]);
    if (!migration_create(store, &shared, rows, RACED, NULL, NULL, results, &done, &world.err)) {
        print_error("%s\n", world.err.text);
        return -1;
    }
    for (size_t i = 0; i < RACED; i++)
        created += uuid_is_nil(&results[i].existing);
    return created;
}

static void two_callers_at_once_open_one_migration_a_vm(void **state)
{
    struct uuid vms[RACED];
    int pipes[2], theirs = -1, status;
    world_ends();
    for (size_t i = 0; i < RACED; i++)
        vms[i] = uuid_new();
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    struct store *own = store_new(&world.settings);
    if (child == 0) {
        for (size_t i = 0; i < RACED / 2; i++) { /* from the other end: they meet head on */
            struct uuid kept = vms[i];
            vms[i] = vms[RACED - 1 - i];
            vms[RACED - 1 - i] = kept;
        }
        int created = create_all(own, vms);
        _exit(write(pipes[1], &created, sizeof(created)) == sizeof(created) ? 0 : 1);
    }
    int ours = create_all(own, vms);
    assert_int_equal(read(pipes[0], &theirs, sizeof(theirs)), sizeof(theirs));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(ours >= 0 && theirs >= 0);
    assert_int_equal(ours + theirs, RACED);
    assert_int_equal(world_number("SELECT COUNT(*) FROM migrations"), RACED);
    store_free(own);
    close(pipes[0]);
    close(pipes[1]);
}

struct announced {
    size_t calls, ids, first;
};

static void announce(void *context, const struct uuid *ids, size_t count)
{
    struct announced *announced = context;
    struct db_value value = db_uuid(&ids[count - 1]);
    struct store *reader = store_new(&world.settings); /* sees only what is committed */
    struct db_rows *rows;
    OK(db_query(store_db(reader), world.arena, "SELECT 1 FROM migrations WHERE id = ?", &value, 1,
                &rows, &world.err));
    assert_int_equal(db_rows_count(rows), 1);
    store_free(reader);
    if (announced->calls++ == 0)
        announced->first = count;
    announced->ids += count;
}

static void many_are_announced_chunk_by_chunk(void **state)
{
    enum { COUNT = 1500 };
    struct migration_new *rows = arena_calloc(world.arena, COUNT, sizeof(*rows));
    struct migration_created *results = arena_calloc(world.arena, COUNT, sizeof(*results));
    struct announced announced = {0};
    size_t done;
    world_ends();
    for (size_t i = 0; i < COUNT; i++) {
        struct uuid vm = uuid_new();
        rows[i] = new_row(&vm);
    }
    OK(migration_create(world.store, &shared, rows, COUNT, announce, &announced, results, &done,
                        &world.err));
    assert_int_equal(done, COUNT);
    assert_int_equal(announced.ids, COUNT);
    assert_true(announced.calls >= 3);
    assert_true(announced.first <= 512);
    assert_int_equal(world_number("SELECT COUNT(*) FROM migrations"), COUNT);
}

static void a_page_shows_every_child_in_order(void **state)
{
    struct migration_detail detail;
    world_ends();
    struct uuid id = world_migration("red", "web");
    world_children(&id);
    world_sql("UPDATE migrations SET state = 'FAILED', fault_code = 'io', fault_text = 'no disk', "
              "faults_json = '[]', evidence_json = '{\"a\": 1}', server_json = '{\"b\": 2}', "
              "way = 'UPLOADING', total_bytes = 1700, done_bytes = 170, started_at = 4");
    OK(migration_view_get(world.store, world.arena, "red", &id, &detail, &world.err));
    assert_int_equal(detail.view.state, MIGRATION_FAILED);
    assert_int_equal(detail.view.way, MIGRATION_UPLOADING);
    assert_string_equal(detail.view.fault_text, "no disk");
    assert_string_equal(detail.evidence_json, "{\"a\": 1}");
    assert_string_equal(detail.server_json, "{\"b\": 2}");
    assert_int_equal(detail.view.total_bytes, 1700);
    assert_int_equal(detail.view.finished_at, 0);
    assert_int_equal(detail.disk_count, 2);
    assert_int_equal(detail.disks[0].number, 0);
    assert_int_equal(detail.disks[0].capacity_bytes, 1000);
    assert_int_equal(detail.disks[0].written_bytes, 82);
    assert_string_equal(detail.disks[0].digest, "xxh3:00ff");
    assert_int_equal(detail.disks[1].total_bytes, 900);
    assert_int_equal(detail.step_count, 3);
    assert_string_equal(detail.steps[0].name, "inspect");
    assert_string_equal(detail.steps[1].fault_text, "no disk");
    assert_string_equal(detail.steps[1].state, "failed");
    assert_int_equal(detail.steps[2].attempt, 2);
    assert_int_equal(detail.steps[2].finished_at, 0);
    assert_null(detail.steps[2].fault_code);
    assert_int_equal(detail.ledger_count, 2);
    assert_string_equal(detail.ledger[0].key, "k1");
    assert_int_equal(detail.ledger[0].end, END_SOURCE);
    assert_int_equal(detail.ledger[0].state, LEDGER_UNDONE);
    assert_string_equal(detail.ledger[0].prior_json, "{\"on\": true}");
    assert_int_equal(detail.ledger[0].run, 3);
    assert_string_equal(detail.ledger[1].external_id, "ext");
    assert_string_equal(detail.ledger[1].detail, "second");
    assert_int_equal(detail.ledger[1].updated_at, 31);
    assert_null(detail.ledger[1].prior_json);
}

static void many_pages_come_at_once_each_with_its_own_children(void **state)
{
    struct uuid ids[MIGRATION_VIEW_BATCH];
    struct migration_detail *details[MIGRATION_VIEW_BATCH];
    world_ends();
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        if (i % 8 == 7) {
            ids[i] = i % 16 == 7 ? uuid_new() : ids[i - 1]; /* unknown, or asked twice */
            continue;
        }
        char name[16];
        snprintf(name, sizeof(name), "vm%zu", i);
        ids[i] = world_migration("red", name);
        if (i % 2 == 0)
            world_children(&ids[i]);
    }
    OK(migration_view_get_many(world.store, world.arena, ids, COUNT_OF(ids), details, &world.err));
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        if (i % 16 == 7) {
            assert_null(details[i]);
            continue;
        }
        char name[16];
        snprintf(name, sizeof(name), "vm%zu", i % 16 == 15 ? i - 1 : i);
        assert_string_equal(details[i]->view.vm_name, name);
        size_t children = (i % 16 == 15 ? i - 1 : i) % 2 == 0 ? 1 : 0;
        assert_int_equal(details[i]->disk_count, 2 * children);
        assert_int_equal(details[i]->step_count, 3 * children);
        assert_int_equal(details[i]->ledger_count, 2 * children);
    }
    OK(migration_view_get_many(world.store, world.arena, ids, 0, details, &world.err));
}

static void other_projects_find_nothing(void **state)
{
    struct migration_detail detail;
    struct migration_list list;
    struct page page = {0};
    const char *reasons;
    world_ends();
    struct uuid id = world_migration("red", "web");
    FAILS(migration_view_get(world.store, world.arena, "blue", &id, &detail, &world.err),
          FAULT_NOT_FOUND);
    FAILS(migration_view_reasons(world.store, world.arena, "blue", &id, &reasons, &world.err),
          FAULT_NOT_FOUND);
    struct migration_filter filter = {.project = "blue", .name = "web"};
    OK(migration_view_list(world.store, world.arena, &filter, &page, &list, &world.err));
    assert_int_equal(list.count, 0);
}

static void reasons_are_shown_while_it_waits(void **state)
{
    struct migration_detail detail;
    const char *reasons;
    world_ends();
    struct uuid id = world_migration("red", "web");
    world_sql("INSERT INTO needs VALUES (%s, '{}', '{\"counts\": {}}', '[1]', 77)", world_hex(&id));
    world_sql("UPDATE migrations SET needs_hash = id");
    OK(migration_view_get(world.store, world.arena, "red", &id, &detail, &world.err));
    assert_string_equal(detail.reasons_json, "{\"counts\": {}}");
    assert_int_equal(detail.reasons_at, 77);
    OK(migration_view_reasons(world.store, world.arena, "red", &id, &reasons, &world.err));
    assert_string_equal(reasons, "[1]");
    world_sql("UPDATE migrations SET state = 'SCHEDULED'");
    OK(migration_view_get(world.store, world.arena, "red", &id, &detail, &world.err));
    assert_null(detail.reasons_json);
}

static size_t walk(const struct migration_filter *filter, bool descending)
{
    struct page page = {.most = 7, .descending = descending};
    struct migration_list list;
    struct uuid last = {{0}};
    size_t seen = 0;
    do {
        OK(migration_view_list(world.store, world.arena, filter, &page, &list, &world.err));
        for (size_t i = 0; i < list.count; i++, seen++) {
            int order = uuid_compare(&list.items[i].id, &last);
            assert_true(seen == 0 || (descending ? order < 0 : order > 0));
            last = list.items[i].id;
        }
        page.cursor = list.next;
    } while (list.next != NULL);
    return seen;
}

static void every_filter_pages_to_its_end(void **state)
{
    struct uuid vm;
    world_ends();
    for (size_t i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "vm%zu", i % 10);
        struct uuid id = world_migration(i % 4 == 3 ? "blue" : "red", name);
        if (i % 2 == 0)
            world_sql("UPDATE migrations SET state = 'CLEANED' WHERE id = %s", world_hex(&id));
        struct migration_detail detail;
        OK(migration_view_get(world.store, world.arena, NULL, &id, &detail, &world.err));
        vm = detail.view.vm_id;
    }
    const struct {
        struct migration_filter filter;
        size_t count;
    } cases[] = {
        {{0}, 40},
        {{.project = "red"}, 30},
        {{.state = MIGRATION_CLEANED}, 20},
        {{.project = "blue", .state = MIGRATION_PENDING}, 10},
        {{.source_id = world.source}, 40},
        {{.project = "red", .destination_id = world.destination}, 30},
        {{.name = "vm3"}, 4},
        {{.project = "red", .name = "vm3"}, 2},
        {{.vm_id = vm}, 1},
        {{.source_id = uuid_new()}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(walk(&cases[i].filter, false), cases[i].count);
        assert_int_equal(walk(&cases[i].filter, true), cases[i].count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_migration_begins_as_pending_and_due),
        TEST(asking_again_answers_with_the_one_that_exists),
        TEST(rows_of_our_own_ids_count_as_created),
        TEST(an_end_that_is_gone_refuses_the_whole_chunk),
        TEST(two_callers_at_once_open_one_migration_a_vm),
        TEST(many_are_announced_chunk_by_chunk),
        TEST(a_page_shows_every_child_in_order),
        TEST(many_pages_come_at_once_each_with_its_own_children),
        TEST(other_projects_find_nothing),
        TEST(reasons_are_shown_while_it_waits),
        TEST(every_filter_pages_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
