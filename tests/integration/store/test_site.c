/* SPDX-License-Identifier: Apache-2.0
 *
 * Wishes, events, access tokens, nodes, services.
 */
#include "tests/integration/store/world.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/store/access_token.h"
#include "common/store/event_view.h"
#include "common/store/node_view.h"
#include "common/store/service.h"
#include "common/store/wish.h"
#include "proto/fault.h"

static struct wish new_wish(const char *verb, const struct uuid *owner)
{
    return (struct wish){.id = uuid_new(),
                         .verb = verb,
                         .owner_kind = OWNER_MIGRATION,
                         .owner_id = *owner,
                         .project = "red",
                         .arguments_json = "{\"a\": 1}",
                         .who = "ann"};
}

static void a_wish_is_open_and_due_at_once(void **state)
{
    struct uuid owner = uuid_new();
    struct wish wish = new_wish("cancel", &owner), read;
    struct wish_list list;
    OK(wish_insert(world.store, &wish, &world.err));
    OK(wish_get(world.store, world.arena, "red", &wish.id, &read, &world.err));
    assert_string_equal(read.verb, "cancel");
    assert_string_equal(read.state, "open");
    assert_string_equal(read.arguments_json, "{\"a\": 1}");
    assert_int_equal(read.owner_kind, OWNER_MIGRATION);
    assert_true(uuid_equal(&read.owner_id, &owner));
    assert_null(read.fault_code);
    OK(wish_list_due(world.store, world.arena, 10, &list, &world.err));
    assert_int_equal(list.count, 1);
    world_sql("UPDATE wishes SET due_at = NULL, state = 'taken'");
    OK(wish_list_due(world.store, world.arena, 10, &list, &world.err));
    assert_int_equal(list.count, 0);
    FAILS(wish_get(world.store, world.arena, "blue", &wish.id, &read, &world.err), FAULT_NOT_FOUND);
}

static void wishes_of_an_owner_page_by_age(void **state)
{
    struct uuid owner = uuid_new(), other = uuid_new();
    struct page page = {.most = 2, .descending = true};
    struct wish_list list;
    size_t seen = 0;
    for (int i = 0; i < 5; i++) {
        struct wish wish = new_wish("retry", &owner), foreign = new_wish("retry", &other);
        OK(wish_insert(world.store, &wish, &world.err));
        OK(wish_insert(world.store, &foreign, &world.err));
    }
    do {
        OK(wish_list(world.store, world.arena, "red", OWNER_MIGRATION, &owner, &page, &list,
                     &world.err));
        seen += list.count;
        page.cursor = list.next;
    } while (list.next != NULL);
    assert_int_equal(seen, 5);
    page.cursor = NULL;
    OK(wish_list(world.store, world.arena, "blue", OWNER_MIGRATION, &owner, &page, &list,
                 &world.err));
    assert_int_equal(list.count, 0);
}

static void events_are_read_after_and_before_a_number(void **state)
{
    struct event_view *events;
    size_t count;
    uint64_t highest;
    struct uuid owner = uuid_new();
    for (int i = 1; i <= 12; i++)
        world_sql("INSERT INTO events VALUES (%d, 5, '%s', 'migration.state', 'info', "
                  "'migration', %s, 'text', '{}')",
                  i * 10,
                  i % 4 == 0   ? ""
                  : i % 2 == 0 ? "blue"
                               : "red",
                  i % 3 == 0 ? world_hex(&owner) : "NULL");
    world_sql("UPDATE leader SET event_number = 120");
    OK(event_view_highest(world.store, &highest, &world.err));
    assert_int_equal(highest, 120);
    struct event_filter all = {0}, red = {.project = "red"}, owned = {.owner_id = owner};
    OK(event_view_after(world.store, world.arena, &all, 40, 5, &events, &count, &world.err));
    assert_int_equal(count, 5);
    assert_int_equal(events[0].number, 50);
    assert_int_equal(events[4].number, 90);
    OK(event_view_after(world.store, world.arena, &red, 0, 100, &events, &count, &world.err));
    assert_int_equal(count, 6); /* without those of the site */
    OK(event_view_before(world.store, world.arena, &owned, 0, 3, &events, &count, &world.err));
    assert_int_equal(count, 3);
    assert_int_equal(events[0].number, 120);
    assert_true(uuid_equal(&events[0].owner_id, &owner));
    OK(event_view_before(world.store, world.arena, &owned, 60, 3, &events, &count, &world.err));
    assert_int_equal(count, 1);
    assert_int_equal(events[0].number, 30);
    FAILS(event_view_after(world.store, world.arena, &all, 0, 1001, &events, &count, &world.err),
          FAULT_INVALID);
}

static struct access_token insert_token(const char *name, uint64_t expires_at, uint8_t *ret_hash)
{
    char text[ACCESS_TOKEN_TEXT_SIZE];
    struct access_token token = {.id = uuid_new(),
                                 .name = name,
                                 .role = ACCESS_MEMBER,
                                 .project = "red",
                                 .expires_at = expires_at};
    access_token_make(text);
    assert_int_equal(strlen(text), ACCESS_TOKEN_TEXT_SIZE - 1);
    access_token_hash(text, ret_hash);
    OK(access_token_insert(world.store, &token, ret_hash, &world.err));
    return token;
}

static void a_token_is_found_by_its_hash_while_it_is_valid(void **state)
{
    uint8_t hash[ACCESS_TOKEN_HASH_BYTES], old[ACCESS_TOKEN_HASH_BYTES];
    struct access_token found;
    uint64_t now;
    OK(store_now(world.store, &now, &world.err));
    struct access_token token = insert_token("ci", 0, hash);
    insert_token("old", now - 1, old);
    OK(access_token_find(world.store, world.arena, hash, &found, &world.err));
    assert_true(uuid_equal(&found.id, &token.id));
    assert_int_equal(found.role, ACCESS_MEMBER);
    assert_string_equal(found.project, "red");
    FAILS(access_token_find(world.store, world.arena, old, &found, &world.err), FAULT_NOT_FOUND);
    FAILS(access_token_insert(world.store, &token, old, &world.err), FAULT_NAME_TAKEN);
    OK(access_token_revoke(world.store, "ci", &world.err));
    FAILS(access_token_find(world.store, world.arena, hash, &found, &world.err), FAULT_NOT_FOUND);
    FAILS(access_token_revoke(world.store, "ci", &world.err), FAULT_NOT_FOUND);
    OK(access_token_revoke(world.store, UUID_TEXT(&token.id), &world.err)); /* twice: no error */
    insert_token("ci", 0, old); /* the name is free again */
}

static void tokens_are_listed_with_those_that_ended(void **state)
{
    uint8_t hash[ACCESS_TOKEN_HASH_BYTES];
    struct page page = {.most = 2};
    struct access_token_list list;
    insert_token("a", 1, hash);
    insert_token("b", 0, hash);
    insert_token("c", 0, hash);
    OK(access_token_list(world.store, world.arena, &page, &list, &world.err));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].expires_at, 1);
    page.cursor = list.next;
    OK(access_token_list(world.store, world.arena, &page, &list, &world.err));
    assert_int_equal(list.count, 1);
    assert_null(list.next);
}

static struct uuid add_node(const char *name)
{
    struct uuid id = uuid_new();
    world_sql("INSERT INTO nodes (id, name, host, instance, first_seen_at, seen_at, labels_json) "
              "VALUES (%s, '%s', 'h', 'i1', 1, " STORE_NOW " - 5000000, '[]')",
              world_hex(&id), name);
    return id;
}

static void nodes_come_with_their_pools(void **state)
{
    struct page page = {.most = 2};
    struct node_list list;
    struct node_view node;
    struct uuid a = add_node("a"), b = add_node("b"), pool = uuid_new();
    add_node("c");
    world_sql("INSERT INTO pools VALUES (%s, 1000, 300, 900, -5, 9)", world_hex(&pool));
    world_sql("INSERT INTO node_pools VALUES (%s, %s, '/one'), (%s, %s, '/two')", world_hex(&a),
              world_hex(&pool), world_hex(&b), world_hex(&pool));
    OK(node_view_list(world.store, world.arena, &page, &list, &world.err));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0].name, "a");
    assert_int_equal(list.items[0].pool_count, 1);
    assert_string_equal(list.items[0].pools[0].path, "/one");
    assert_int_equal(list.items[0].pools[0].available_bytes, -5);
    assert_string_equal(list.items[1].pools[0].path, "/two");
    assert_in_range(list.items[0].silent_ms, 4900, 60000);
    page.cursor = list.next;
    OK(node_view_list(world.store, world.arena, &page, &list, &world.err));
    assert_int_equal(list.count, 1);
    assert_int_equal(list.items[0].pool_count, 0);
    OK(node_view_find(world.store, world.arena, "b", &node, &world.err));
    assert_true(uuid_equal(&node.id, &b));
    assert_int_equal(node.pool_count, 1);
    OK(node_view_find(world.store, world.arena, UUID_TEXT(&a), &node, &world.err));
    assert_string_equal(node.name, "a");
    FAILS(node_view_find(world.store, world.arena, "d", &node, &world.err), FAULT_NOT_FOUND);
}

#define RACERS 6
static pthread_barrier_t start;

static void *make_token(void *context)
{
    struct error err;
    char text[ACCESS_TOKEN_TEXT_SIZE];
    uint8_t hash[ACCESS_TOKEN_HASH_BYTES];
    struct store *store = store_new(&world.settings);
    const struct access_token token = {
        .id = uuid_new(), .name = "race", .role = ACCESS_READER, .project = "red"};
    bool *made = context;
    access_token_make(text);
    access_token_hash(text, hash);
    *made = store_ping(store, &err);
    pthread_barrier_wait(&start);
    *made = *made && access_token_insert(store, &token, hash, &err);
    store_free(store);
    return NULL;
}

static void one_of_many_at_once_gets_the_name_of_a_token(void **state)
{
    pthread_t threads[RACERS];
    bool made[RACERS];
    size_t count = 0;
    pthread_barrier_init(&start, NULL, RACERS);
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_token, &made[i]), 0);
    for (size_t i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        count += made[i];
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(count, 1);
    OK(access_token_revoke(world.store, "race", &world.err));
    FAILS(access_token_revoke(world.store, "race", &world.err), FAULT_NOT_FOUND);
}

static void a_nodes_live_jobs_name_their_owners(void **state)
{
    struct node_job_view *jobs;
    struct node_view node;
    size_t count;
    struct uuid id = add_node("a"), live = uuid_new(), closed = uuid_new();
    world_ends();
    struct uuid migration = world_migration("red", "web");
    world_sql("INSERT INTO jobs (id, kind, owner_kind, owner_id, project, state, live, node_id, "
              "reserved_bytes, created_at) VALUES (%s, 'migrate', 'migration', %s, 'red', "
              "'accepted', 1, %s, 77, 1), (%s, 'discover', 'source', %s, 'red', 'closed', NULL, "
              "%s, 0, 1)",
              world_hex(&live), world_hex(&migration), world_hex(&id), world_hex(&closed),
              world_hex(&world.source), world_hex(&id));
    OK(node_view_jobs(world.store, world.arena, &id, &jobs, &count, &world.err));
    assert_int_equal(count, 1);
    assert_true(uuid_equal(&jobs[0].id, &live));
    assert_int_equal(jobs[0].kind, JOB_MIGRATE);
    assert_string_equal(jobs[0].owner_name, "web");
    assert_int_equal(jobs[0].reserved_bytes, 77);
    OK(node_view_find(world.store, world.arena, "a", &node, &world.err));
    assert_int_equal(node.job_count, 1);
    assert_true(node.seen_at > 0);
    assert_int_equal(jobs[0].renewed_at, node.seen_at);
}

static void a_service_keeps_one_row_alive(void **state)
{
    struct service service = {.name = "guts-api@h:7000",
                              .kind = "api",
                              .host = "h",
                              .instance = "i1",
                              .version = "1",
                              .role = "",
                              .started_at = 5};
    struct service *services;
    size_t count;
    world_sql("INSERT INTO services VALUES ('guts-api@gone:1', 'api', 'gone', 'x', '1', '', 1, 1)");
    OK(service_beat(world.store, &service, &world.err));
    service.instance = "i2";
    OK(service_beat(world.store, &service, &world.err));
    OK(service_list(world.store, world.arena, &services, &count, &world.err));
    assert_int_equal(count, 1); /* what was silent for long went */
    assert_string_equal(services[0].instance, "i2");
    assert_in_range(services[0].silent_ms, 0, 60000);
    assert_true(services[0].seen_at > 1700000000000000);
    OK(service_leave(world.store, service.name, &world.err));
    OK(service_list(world.store, world.arena, &services, &count, &world.err));
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wish_is_open_and_due_at_once),
        TEST(wishes_of_an_owner_page_by_age),
        TEST(events_are_read_after_and_before_a_number),
        TEST(a_token_is_found_by_its_hash_while_it_is_valid),
        TEST(tokens_are_listed_with_those_that_ended),
        TEST(nodes_come_with_their_pools),
        TEST(one_of_many_at_once_gets_the_name_of_a_token),
        TEST(a_nodes_live_jobs_name_their_owners),
        TEST(a_service_keeps_one_row_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
