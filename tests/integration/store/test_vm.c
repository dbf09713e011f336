/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/store/world.h"

#include <stdio.h>
#include <string.h>

#include "common/store/vm_view.h"

static void a_vm_comes_with_its_devices_in_order(void **state)
{
    struct vm_view vm;
    world_ends();
    struct uuid id = world_vm("red", "wéb");
    OK(vm_view_get(world.store, world.arena, "red", &id, &vm, &world.err));
    assert_string_equal(vm.vm.name, "wéb");
    assert_string_equal(vm.source_name, "src");
    assert_int_equal(vm.vm.power, VM_POWER_OFF);
    assert_int_equal(vm.vm.firmware, VM_FIRMWARE_EFI);
    assert_int_equal(vm.vm.cpus, 2);
    assert_int_equal(vm.vm.disk_count, 2);
    assert_string_equal(vm.vm.disks[0].key, "a.vmdk");
    assert_string_equal(vm.vm.disks[0].controller, "pvscsi");
    assert_int_equal(vm.vm.disks[0].capacity_bytes, 1000);
    assert_string_equal(vm.vm.disks[1].key, "b.vmdk");
    assert_null(vm.vm.disks[1].controller);
    assert_int_equal(vm.vm.nic_count, 1);
    assert_string_equal(vm.vm.nics[0].mac, "00:0c:29:00:00:01");
    assert_true(vm.vm.nics[0].connected);
    assert_true(uuid_is_nil(&vm.migration_id));
    FAILS(vm_view_get(world.store, world.arena, "blue", &id, &vm, &world.err), FAULT_NOT_FOUND);
}

static void a_vm_names_its_open_migration(void **state)
{
    struct vm_list list;
    struct page page = {0};
    struct vm_filter filter = {.project = "red"};
    world_ends();
    struct uuid id = world_migration("red", "web");
    OK(vm_view_list(world.store, world.arena, &filter, &page, &list, &world.err));
    assert_int_equal(list.count, 1);
    assert_true(uuid_equal(&list.items[0].migration_id, &id));
    assert_int_equal(list.items[0].migration_state, MIGRATION_PENDING);
    assert_int_equal(list.items[0].disk_total, 2);
    assert_int_equal(list.items[0].vm.disk_count, 0);
}

/* How many rows a walk over all pages sees; checks the order on its way. */
static size_t walk(const struct vm_filter *filter, bool descending)
{
    struct page page = {.most = 3, .descending = descending};
    bool by_name = filter->name_prefix != NULL;
    struct vm_list list;
    const struct vm_view *last = NULL;
    size_t seen = 0;
    do {
        OK(vm_view_list(world.store, world.arena, filter, &page, &list, &world.err));
        for (size_t i = 0; i < list.count; i++, seen++) {
            const struct vm_view *vm = &list.items[i];
            int order = last == NULL ? 0 : by_name ? strcmp(vm->vm.name, last->vm.name) : 0;
            if (last != NULL && order == 0)
                order = uuid_compare(&vm->id, &last->id);
            assert_true(last == NULL || (descending ? order < 0 : order > 0));
            last = vm;
        }
        page.cursor = list.next;
    } while (list.next != NULL);
    return seen;
}

static void every_filter_pages_to_its_end(void **state)
{
    static const char *const names[] = {"web", "web", "web2", "db", "w%b", "we_", "größe", "web"};
    world_ends();
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct uuid id = world_vm(i == 7 ? "blue" : "red", names[i]);
        if (i == 3)
            world_sql("UPDATE vms SET gone_at = 5 WHERE id = %s", world_hex(&id));
        if (i == 2)
            world_sql("UPDATE vms SET power = 'on' WHERE id = %s", world_hex(&id));
    }
    const struct {
        struct vm_filter filter;
        size_t count;
    } cases[] = {
        {{0}, 7},
        {{.gone = VM_GONE_SHOWN}, 8},
        {{.gone = VM_GONE_ONLY}, 1},
        {{.project = "red"}, 6},
        {{.project = "red", .name = "web"}, 2},
        {{.name = "web"}, 3},
        {{.name_prefix = ""}, 7},
        {{.project = "red", .name_prefix = ""}, 6},
        {{.project = "red", .name_prefix = "we"}, 4},
        {{.name_prefix = "w%"}, 1},
        {{.name_prefix = "we_"}, 1},
        {{.has_power = true, .power = VM_POWER_ON}, 1},
        {{.source_id = world.source, .project = "blue"}, 1},
        {{.source_id = uuid_new()}, 0},
        {{.name = "x' OR '1' = '1"}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(walk(&cases[i].filter, false), cases[i].count);
        assert_int_equal(walk(&cases[i].filter, true), cases[i].count);
    }
}

static void names_and_ids_are_matched_in_one_call(void **state)
{
    struct vm_match *matches;
    world_ends();
    struct uuid web = world_vm("red", "web"), twin = world_vm("red", "twin"),
                gone = world_vm("red", "gone"), blue = world_vm("blue", "blue");
    world_vm("red", "twin");
    world_sql("UPDATE vms SET gone_at = 7 WHERE id = %s", world_hex(&gone));
    struct uuid odd = world_vm("red", UUID_TEXT(&blue)); /* a name that looks like an id */
    const char *texts[] = {"web",
                           arena_strdup(world.arena, UUID_TEXT(&twin)),
                           "twin",
                           "nobody",
                           "gone",
                           arena_strdup(world.arena, UUID_TEXT(&gone)),
                           arena_strdup(world.arena, UUID_TEXT(&blue)),
                           "web"};
    OK(vm_view_match(world.store, world.arena, "red", NULL, texts, COUNT_OF(texts), &matches,
                     &world.err));
    assert_int_equal(matches[0].found, 1);
    assert_true(uuid_equal(&matches[0].id, &web));
    assert_true(uuid_equal(&matches[0].source_id, &world.source));
    assert_int_equal(matches[0].capacity_bytes, 3000);
    assert_int_equal(matches[1].found, 1);
    assert_true(uuid_equal(&matches[1].id, &twin));
    assert_int_equal(matches[2].found, 2);
    assert_int_equal(matches[3].found, 0);
    assert_int_equal(matches[4].found, 0);
    assert_int_equal(matches[5].found, 1);
    assert_int_equal(matches[5].gone_at, 7);
    assert_int_equal(matches[6].found, 1);
    assert_true(uuid_equal(&matches[6].id, &odd));
    assert_true(uuid_equal(&matches[7].id, &web));
    struct uuid elsewhere = uuid_new();
    OK(vm_view_match(world.store, world.arena, "red", &elsewhere, texts, 1, &matches, &world.err));
    assert_int_equal(matches[0].found, 0);
    OK(vm_view_match(world.store, world.arena, NULL, NULL, texts, 0, &matches, &world.err));
}

static void thousands_of_names_are_matched(void **state)
{
    enum { COUNT = 1300 };
    const char **texts = arena_calloc(world.arena, COUNT, sizeof(*texts));
    struct vm_match *matches;
    world_ends();
    for (size_t i = 0; i < COUNT; i++) {
        texts[i] = arena_printf(world.arena, "vm%zu", i);
        if (i % 3 != 0)
            world_vm("red", texts[i]);
    }
    OK(vm_view_match(world.store, world.arena, "red", &world.source, texts, COUNT, &matches,
                     &world.err));
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(matches[i].found, i % 3 != 0);
        assert_true(i % 3 == 0 || strcmp(matches[i].name, texts[i]) == 0);
    }
}

static bool plain(const char *project, const char *const *texts, size_t count)
{
    bool told;
    OK(vm_view_are_plain(world.store, world.arena, project, NULL, "red", texts, count, &told,
                         &world.err));
    return told;
}

#define ODD "a \"quoted\" \\ back\tslash \xf0\x9f\x98\x80 \xc3\xa9"
#define ODD_IN_SQL "a \"quoted\" \\\\ back\tslash \xf0\x9f\x98\x80 \xc3\xa9"

static void plain_are_those_that_name_one_vm_each(void **state)
{
    world_ends();
    struct uuid web = world_vm("red", "web"), twin = world_vm("red", "twin"),
                gone = world_vm("red", "gone"), blue = world_vm("blue", "blue");
    world_vm("red", "twin");
    world_vm("red", "trailing ");
    world_vm("red", "Case");
    world_vm("red", ODD_IN_SQL);
    world_sql("UPDATE vms SET gone_at = 7 WHERE id = %s", world_hex(&gone));
    const char *by_id = arena_strdup(world.arena, UUID_TEXT(&twin)),
               *gone_id = arena_strdup(world.arena, UUID_TEXT(&gone)),
               *blue_id = arena_strdup(world.arena, UUID_TEXT(&blue)),
               *web_id = arena_strdup(world.arena, UUID_TEXT(&web));
    const struct {
        const char *texts[3];
        size_t count;
        bool plain;
    } cases[] = {
        {{"web"}, 1, true},
        {{"web", "web", by_id}, 3, true},
        {{web_id, gone_id, "web"}, 3, true},
        {{"web", "nobody"}, 2, false},
        {{"twin"}, 1, false},
        {{"gone"}, 1, false},
        {{"blue"}, 1, false},
        {{blue_id}, 1, false},
        {{"trailing"}, 1, false},
        {{"trailing ", "trailing"}, 2, false},
        {{"case"}, 1, false},
        {{"x' OR '1' = '1"}, 1, false},
        {{ODD, "web"}, 2, true},
        {{"\"],[\"web"}, 1, false},
        {{"00000000-0000-7000-8000-000000000000"}, 1, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(plain(NULL, cases[i].texts, cases[i].count), cases[i].plain);
        assert_int_equal(plain("red", cases[i].texts, cases[i].count), cases[i].plain);
    }
    assert_true(plain("red", NULL, 0));
}

static void thousands_are_plain_until_one_is_not(void **state)
{
    enum { COUNT = 1300 };
    const char **texts = arena_calloc(world.arena, COUNT + 1, sizeof(*texts));
    world_ends();
    for (size_t i = 0; i < COUNT; i++) {
        texts[i] = arena_printf(world.arena, "vm%zu", i);
        world_vm("red", texts[i]);
    }
    assert_true(plain("red", texts, COUNT));
    texts[COUNT] = "vm-of-nobody";
    assert_false(plain("red", texts, COUNT + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_vm_comes_with_its_devices_in_order), TEST(a_vm_names_its_open_migration),
        TEST(every_filter_pages_to_its_end),        TEST(names_and_ids_are_matched_in_one_call),
        TEST(thousands_of_names_are_matched),       TEST(plain_are_those_that_name_one_vm_each),
        TEST(thousands_are_plain_until_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
