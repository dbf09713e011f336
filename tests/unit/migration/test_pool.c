/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/file.h"
#include "migration/pool.h"
#include "proto/fault.h"

static char directory[64];

static int set_up(void **state)
{
    strcpy(directory, "/tmp/guts-pool-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct error err;
    return file_remove_tree(directory, &err) ? 0 : -1;
}

static void open_pool(struct pool *pool, const char *size, const char *node)
{
    struct error err;
    CLEANUP(xfreep) char *text = xasprintf("%s/p%s", directory, size);
    if (!pool_open(pool, text, node, &err))
        fail_msg("%s", err.text);
}

static void nodes_that_share_a_pool_agree_on_its_id(void **state)
{
    struct pool one, two;
    open_pool(&one, " 5GiB", "n1");
    open_pool(&two, "", "n2");
    assert_true(uuid_equal(&one.id, &two.id));
    assert_false(uuid_is_nil(&one.id));
    assert_int_equal(one.capacity_bytes, 5ull << 30);
    assert_true(two.capacity_bytes > 0);
    pool_fini(&one);
    pool_fini(&two);
}

static void a_node_keeps_its_id_and_locks_it(void **state)
{
    struct pool pool;
    struct uuid first, second;
    struct error err;
    int lock, other = -1;
    open_pool(&pool, "", "n1");
    assert_true(pool_node_id(&pool, "n1", &first, &lock, &err));
    assert_false(pool_node_id(&pool, "n1", &second, &other, &err));
    assert_ptr_equal(err.fault, &FAULT_NODE_NAME_TAKEN);
    close(lock);
    assert_true(pool_node_id(&pool, "n1", &second, &lock, &err));
    assert_true(uuid_equal(&first, &second));
    close(lock);
    assert_true(pool_node_id(&pool, "n2", &second, &lock, &err));
    assert_false(uuid_equal(&first, &second));
    close(lock);
    pool_fini(&pool);
}

static void what_jobs_take_is_measured_in_blocks(void **state)
{
    struct pool pool;
    struct pool_state before, after;
    struct error err;
    struct token token = {uuid_new(), 1, 0};
    char *path;
    open_pool(&pool, "", "n1");
    assert_true(pool_measure(&pool, &before, &err));
    assert_true(pool_job_make(&pool, &token, &path, &err));
    CLEANUP(xfreep) char *file = xasprintf("%s/stage", path);
    CLEANUP(xfreep) char *bytes = xcalloc(1, 1 << 20);
    memset(bytes, 1, 1 << 20);
    assert_true(file_replace(file, 0600, bytes, 1 << 20, &err));
    assert_int_equal(truncate(file, 1ll << 34), 0); /* a hole takes nothing */
    assert_true(pool_measure(&pool, &after, &err));
    uint64_t used = after.used_bytes - before.used_bytes;
    assert_true(used >= 1 << 20 && used < 2 << 20);
    assert_true(pool_allocated_bytes(path) >= 1 << 20);
    assert_int_equal(pool_allocated_bytes("/nowhere/at/all"), 0);
    free(path);
    pool_fini(&pool);
}

static void sizes_are_read_with_their_units(void **state)
{
    uint64_t bytes = 0;
    assert_true(pool_parse_size("4096", &bytes) && bytes == 4096);
    assert_true(pool_parse_size("2gib", &bytes) && bytes == 2ull << 30);
    assert_true(pool_parse_size("3MB", &bytes) && bytes == 3000000);
    assert_false(pool_parse_size("", &bytes));
    assert_false(pool_parse_size("-1", &bytes));
    assert_false(pool_parse_size("5 apples", &bytes));
    assert_false(pool_parse_size("99999999999999999999TiB", &bytes));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nodes_that_share_a_pool_agree_on_its_id),
        TEST(a_node_keeps_its_id_and_locks_it),
        TEST(what_jobs_take_is_measured_in_blocks),
        TEST(sizes_are_read_with_their_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
