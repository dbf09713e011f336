/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "scheduler/intern.h"
#include "scheduler/picture.h"

#define GIB ((uint64_t)1 << 30)

static struct picture *picture;
static struct node *node;
static struct pool *pool;

static int set_up(void **state)
{
    struct uuid id = uuid_new(), pool_id = uuid_new();
    picture = picture_new();
    node = picture_add_node(picture, &id, "node-1");
    node->up = true;
    node->slots_total = 2;
    pool = picture_get_pool(picture, &pool_id);
    const struct node_pool seen = {pool, "/space", 100 * GIB, 0, 100 * GIB};
    picture_set_node_pool(picture, node, 0, &seen);
    picture_judge_pool(picture, pool);
    return 0;
}

static int tear_down(void **state)
{
    picture_free(picture);
    intern_end();
    return 0;
}

static struct job *add_job(void)
{
    const struct job_fact fact = {
        .id = uuid_new(), .kind = JOB_MIGRATE, .project = "p", .state = JOB_WAITING, .live = true};
    return picture_add_job(picture, &fact);
}

static void a_reservation_counts_until_the_directory_is_gone(void **state)
{
    struct job *job = add_job();
    picture_place_job(picture, job, node, pool, 40 * GIB);
    assert_int_equal(pool->fact.available_bytes, 60 * GIB);
    picture_set_allocated(picture, job, 10 * GIB);
    assert_int_equal(pool->fact.available_bytes,
                     70 * GIB); /* the report's free space shows the rest */
    picture_end_job(picture, job);
    assert_int_equal(pool->fact.available_bytes, 70 * GIB);
    assert_int_equal(node->live_jobs, 0);
    picture_drop_job(picture, job);
    assert_int_equal(pool->fact.available_bytes, 100 * GIB);
}

static void a_shared_pool_is_judged_by_the_least_that_its_nodes_see(void **state)
{
    struct uuid id = uuid_new();
    struct node *other = picture_add_node(picture, &id, "node-2");
    const struct node_pool seen = {pool, "/shared", 100 * GIB, 0, 30 * GIB};
    other->up = true;
    picture_set_node_pool(picture, other, 0, &seen);
    picture_judge_pool(picture, pool);
    assert_int_equal(pool->fact.available_bytes, 30 * GIB);
    struct job *job = add_job();
    picture_place_job(picture, job, node, pool, 10 * GIB);
    assert_int_equal(pool->fact.available_bytes, 20 * GIB); /* for both */
    other->up = false;
    picture_judge_pool(picture, pool);
    assert_int_equal(pool->fact.available_bytes, 90 * GIB);
}

static void a_node_that_gains_space_is_tried_again(void **state)
{
    node->has_gained = false;
    list_remove(&node->gained_link);
    const struct node_pool less = {pool, "/space", 100 * GIB, 0, 50 * GIB};
    picture_set_node_pool(picture, node, 0, &less);
    picture_judge_pool(picture, pool);
    assert_false(node->has_gained);
    const struct node_pool more = {pool, "/space", 100 * GIB, 0, 60 * GIB};
    picture_set_node_pool(picture, node, 0, &more);
    picture_judge_pool(picture, pool);
    assert_true(node->has_gained);
}

static void equal_needs_are_one_group(void **state)
{
    const struct uuid source = uuid_new(), destination = uuid_new();
    const struct place_need need = {.source_driver = intern("fake"), .slots = 1, .space_bytes = 5};
    struct place_need larger = need;
    larger.space_bytes = 6;
    struct group *group = picture_get_group(picture, &need, &source, &destination, false);
    assert_ptr_equal(group, picture_get_group(picture, &need, &source, &destination, false));
    assert_ptr_not_equal(group, picture_get_group(picture, &larger, &source, &destination, false));
    assert_ptr_not_equal(group, picture_get_group(picture, &need, &source, &destination, true));
}

static void a_map_keeps_what_is_put_until_it_is_taken(void **state)
{
    enum { COUNT = 5000 };
    static struct uuid ids[COUNT];
    struct map map = {0};
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = uuid_new();
        map_put(&map, &ids[i], &ids[i]);
    }
    for (size_t i = 0; i < COUNT; i += 2)
        assert_ptr_equal(map_take(&map, &ids[i]), &ids[i]);
    for (size_t i = 0; i < COUNT; i++)
        assert_ptr_equal(map_find(&map, &ids[i]), i % 2 == 0 ? NULL : &ids[i]);
    assert_int_equal(map.count, COUNT / 2);
    assert_null(map_take(&map, &ids[0]));
    map_fini(&map);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reservation_counts_until_the_directory_is_gone),
        TEST(a_shared_pool_is_judged_by_the_least_that_its_nodes_see),
        TEST(a_node_that_gains_space_is_tried_again),
        TEST(equal_needs_are_one_group),
        TEST(a_map_keeps_what_is_put_until_it_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
