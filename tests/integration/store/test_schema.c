/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/integration/store/world.h"

#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

static void a_second_sync_changes_nothing(void **state)
{
    unsigned from = 99, to = 99;
    world_ends();
    OK(store_schema_sync(world.store, &from, &to, &world.err));
    assert_int_equal(from, schema_file_count);
    assert_int_equal(to, schema_file_count);
    assert_int_equal(world_number("SELECT COUNT(*) FROM sources"), 1);
    OK(store_schema_verify(world.store, &world.err));
}

static void a_sync_that_broke_off_can_be_run_again(void **state)
{
    unsigned from, to;
    world_ends();
    world_sql("DELETE FROM schema_versions");
    world_sql("DROP TABLE events");
    FAILS(store_schema_verify(world.store, &world.err), FAULT_CONFLICT);
    OK(store_schema_sync(world.store, &from, &to, &world.err));
    assert_int_equal(from, 0);
    assert_int_equal(to, schema_file_count);
    assert_int_equal(world_number("SELECT COUNT(*) FROM sources"), 1);
    assert_int_equal(world_number("SELECT COUNT(*) FROM events"), 0);
}

static void a_newer_schema_is_refused(void **state)
{
    unsigned from, to, version;
    world_sql("INSERT INTO schema_versions VALUES (%zu, 'future', 1)", schema_file_count + 1);
    FAILS(store_schema_verify(world.store, &world.err), FAULT_CONFLICT);
    assert_non_null(strstr(world.err.text, "upgrade guts"));
    FAILS(store_schema_sync(world.store, &from, &to, &world.err), FAULT_CONFLICT);
    OK(store_schema_version(world.store, &version, &world.err));
    assert_int_equal(version, schema_file_count + 1);
    world_sql("DELETE FROM schema_versions WHERE number > %zu", schema_file_count);
    OK(store_schema_verify(world.store, &world.err));
}

static void an_empty_database_is_older(void **state)
{
    unsigned version = 99;
    world_sql("RENAME TABLE schema_versions TO schema_versions_kept");
    bool read = store_schema_version(world.store, &version, &world.err);
    bool verified = store_schema_verify(world.store, &world.err);
    world_sql("RENAME TABLE schema_versions_kept TO schema_versions");
    assert_true(read);
    assert_int_equal(version, 0);
    assert_false(verified);
    assert_non_null(strstr(world.err.text, "db-sync"));
}

static void two_syncs_at_once_both_pass(void **state)
{
    world_sql("DELETE FROM schema_versions");
    pid_t child = fork();
    struct store *own = store_new(&world.settings);
    unsigned from, to;
    if (child == 0)
        _exit(store_schema_sync(own, &from, &to, &world.err) ? 0 : 1);
    OK(store_schema_sync(own, &from, &to, &world.err));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    store_free(own);
    OK(store_schema_verify(world.store, &world.err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_sync_changes_nothing), TEST(a_sync_that_broke_off_can_be_run_again),
        TEST(a_newer_schema_is_refused),     TEST(an_empty_database_is_older),
        TEST(two_syncs_at_once_both_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
