/* SPDX-License-Identifier: Apache-2.0
 *
 * What is old goes, what is needed stays: on a real database, with the bus in memory and the clock
 * faked. tests/integration/test_scheduler.py runs it.
 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "tests/integration/scheduler/stage.h"

#define DAY_MS 86400000ull
#define OLD_ID "UNHEX(CONCAT('01800000000070008000', LPAD(HEX(seq), 12, '0')))" /* of 2022 */
#define MANY "seq_1_to_1203"                                                    /* some pieces */

static uint64_t count(const char *table)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", table);
    return world_number(&world, sql, NULL);
}

static void keep(uint64_t duration_ms)
{
    world.settings.keep_events_ms = world.settings.keep_jobs_ms = world.settings.keep_wishes_ms =
        duration_ms;
    world_turn(&world, 75); /* a pause between passes, and then some pieces */
}

static void old_jobs_and_wishes_go_piece_by_piece(void **state)
{
    run_sql("INSERT INTO jobs (id, kind, owner_kind, owner_id, project, state, created_at,"
            " finished_at) SELECT " OLD_ID ", 'discover', 'source', x'aa', 'red', 'closed', 1, 2"
            " FROM " MANY);
    run_sql("INSERT INTO wishes (id, verb, owner_kind, owner_id, project, who, created_at, state,"
            " finished_at) SELECT " OLD_ID ", 'test', 'source', x'aa', 'red', 'ann', 1,"
            " ELT(1 + seq % 3, 'done', 'refused', 'failed'), 2 FROM " MANY);
    keep(30 * DAY_MS);
    assert_int_equal(count("jobs"), 0);
    assert_int_equal(count("wishes"), 0);
}

static void what_is_open_or_young_stays(void **state)
{
    run_sql("INSERT INTO jobs (id, kind, owner_kind, owner_id, project, state, open, created_at,"
            " finished_at) SELECT " OLD_ID ", 'discover', 'source', x'aa', 'red',"
            " IF(seq = 1, 'finished', 'closed'), IF(seq = 1, 1, NULL), 1,"
            " IF(seq = 1, 2, UNIX_TIMESTAMP() * 1000000) FROM seq_1_to_2");
    run_sql("INSERT INTO wishes (id, verb, owner_kind, owner_id, project, who, created_at, state,"
            " finished_at) SELECT " OLD_ID ", 'test', 'source', x'aa', 'red', 'ann', 1,"
            " IF(seq = 1, 'taken', 'done'), IF(seq = 1, NULL, UNIX_TIMESTAMP() * 1000000)"
            " FROM seq_1_to_2");
    keep(30 * DAY_MS);
    assert_int_equal(count("jobs"), 2);
    assert_int_equal(count("wishes"), 2);
}

static void steps_stay_with_their_migration(void **state)
{
    run_sql("INSERT INTO jobs (id, kind, owner_kind, owner_id, project, state, created_at,"
            " finished_at) SELECT " OLD_ID ", 'migrate', IF(seq = 1, 'migration', 'source'),"
            " x'aa', 'red', 'closed', 1, 2 FROM seq_1_to_2");
    run_sql("INSERT INTO steps (job_id, attempt, number, owner_id, name, state) SELECT " OLD_ID
            ", 1, 1, x'aa', 'copy', 'done' FROM seq_1_to_2");
    keep(30 * DAY_MS);
    assert_int_equal(count("jobs"), 0);
    assert_int_equal(count("steps"), 1);
    assert_int_equal(count("steps WHERE job_id = x'01800000000070008000000000000001'"), 1);
}

static void old_events_go_and_young_ones_stay(void **state)
{
    run_sql("UPDATE events SET at = 1");
    assert_true(count("events") > 0);
    struct uuid wish = world_wish(&world, "drain", OWNER_NODE, &one.id);
    world_turn(&world, 1);
    keep(90 * DAY_MS);
    assert_int_equal(count("events WHERE at = 1"), 0);
    assert_int_equal(count("events WHERE kind = 'node.state'"), 1);
    assert_string_equal(world_text(&world, "SELECT state FROM wishes WHERE id = ?", &wish), "done");
}

static void nothing_goes_that_is_to_be_kept_for_ever(void **state)
{
    run_sql("UPDATE events SET at = 1");
    run_sql("INSERT INTO jobs (id, kind, owner_kind, owner_id, project, state, created_at,"
            " finished_at) SELECT " OLD_ID ", 'discover', 'source', x'aa', 'red', 'closed', 1, 2"
            " FROM seq_1_to_1");
    keep(0);
    assert_int_equal(count("jobs"), 1);
    assert_true(count("events WHERE at = 1") > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(old_jobs_and_wishes_go_piece_by_piece),    TEST(what_is_open_or_young_stays),
        TEST(steps_stay_with_their_migration),          TEST(old_events_go_and_young_ones_stay),
        TEST(nothing_goes_that_is_to_be_kept_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
