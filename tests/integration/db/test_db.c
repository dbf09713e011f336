/* SPDX-License-Identifier: Apache-2.0
 *
 * common/db against a real server, named by the environment: GUTS_TEST_DB_ADDRESS, _USER, _PASSWORD,
 * _NAME, and _PID for the tests that freeze it. tests/integration/test_db.py runs it.
 */
#include "tests/unit/check.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/db/db.h"
#include "tests/integration/db/server.h"

#define OK(call) assert_true_or(&err, (call))

static void assert_true_or(const struct error *err, bool done)
{
    if (!done)
        print_error("%s\n", err->text);
    assert_true(done);
}

struct world {
    struct arena *arena;
    struct db *db, *other;
};
static struct world world;
static struct db_settings settings;

static int begin(void **state)
{
    struct error err = {0};
    test_server_settings(&settings);
    world = (struct world){arena_new(), db_new(&settings), db_new(&settings)};
    OK(db_execute(world.db, "DROP TABLE IF EXISTS db_test", NULL, 0, NULL, &err));
    OK(db_execute(world.db,
                  "CREATE TABLE db_test (id BIGINT UNSIGNED PRIMARY KEY, text VARCHAR(200), "
                  "bytes BLOB, small TINYINT, large MEDIUMTEXT, wide DECIMAL(20,2)) ENGINE=InnoDB "
                  "DEFAULT CHARSET=utf8mb4",
                  NULL, 0, NULL, &err));
    return 0;
}

static int end(void **state)
{
    struct error err = {0};
    db_rollback(world.db);
    db_rollback(world.other);
    OK(db_execute(world.db, "DROP TABLE db_test", NULL, 0, NULL, &err));
    db_free(world.db);
    db_free(world.other);
    arena_free(world.arena);
    return 0;
}

static uint64_t count_rows(struct db *db)
{
    struct error err = {0};
    struct db_rows *rows;
    OK(db_query(db, world.arena, "SELECT COUNT(*) FROM db_test", NULL, 0, &rows, &err));
    return db_rows_unsigned(rows, 0, 0);
}

static bool insert(struct db *db, uint64_t id, struct error *err)
{
    struct db_value value = db_unsigned(id);
    return db_execute(db, "INSERT INTO db_test (id) VALUES (?)", &value, 1, NULL, err);
}

static void kill_connection(uint64_t id)
{
    struct error err = {0};
    char sql[64];
    snprintf(sql, sizeof(sql), "KILL %llu", (unsigned long long)id);
    OK(db_run_script(world.other, sql, &err));
}

/* The server closes a connection before it takes it out of the list. */
static bool is_listed(uint64_t id)
{
    struct error err = {0};
    struct db_rows *rows;
    struct db_value value = db_unsigned(id);
    OK(db_query(world.other, world.arena,
                "SELECT 1 FROM information_schema.processlist WHERE id = ?", &value, 1, &rows,
                &err));
    return db_rows_count(rows) > 0;
}

static void every_type_of_value_comes_back_as_it_went(void **state)
{
    struct error err = {0};
    struct uuid id = uuid_new();
    struct db_value values[] = {db_unsigned(UINT64_MAX), db_text("größer 🐟"), db_uuid(&id),
                                db_signed(-7),           db_null(),           db_text("12345.67")};
    uint64_t affected = 0;
    OK(db_execute(world.db, "INSERT INTO db_test VALUES (?, ?, ?, ?, ?, ?)", values, 6, &affected,
                  &err));
    assert_int_equal(affected, 1);
    struct db_rows *rows;
    OK(db_query(world.db, world.arena, "SELECT * FROM db_test WHERE id = ?", values, 1, &rows,
                &err));
    assert_int_equal(db_rows_count(rows), 1);
    assert_true(db_rows_unsigned(rows, 0, 0) == UINT64_MAX);
    assert_string_equal(db_rows_text(rows, 0, 1), "größer 🐟");
    struct uuid back = db_rows_uuid(rows, 0, 2);
    assert_true(uuid_equal(&back, &id));
    assert_int_equal(db_rows_signed(rows, 0, 3), -7);
    assert_true(db_rows_is_null(rows, 0, 4));
    assert_null(db_rows_text(rows, 0, 4));
    assert_int_equal(db_rows_unsigned(rows, 0, 5), 12345);
}

static void cells_larger_than_the_buffers_come_whole(void **state)
{
    struct error err = {0};
    size_t sizes[] = {3, 300, 70000, 200, 2000000, 0};
    char *text = xcalloc(1, 2000001);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        memset(text, 'a' + (int)i, sizes[i]);
        text[sizes[i]] = '\0';
        struct db_value values[] = {db_unsigned(i), db_text(text)};
        OK(db_execute(world.db, "INSERT INTO db_test (id, large) VALUES (?, ?)", values, 2, NULL,
                      &err));
    }
    for (int again = 0; again < 2; again++) {
        struct db_rows *rows;
        OK(db_query(world.db, world.arena, "SELECT large, id FROM db_test ORDER BY id", NULL, 0,
                    &rows, &err));
        assert_int_equal(db_rows_count(rows), COUNT_OF(sizes));
        for (size_t i = 0; i < COUNT_OF(sizes); i++) {
            size_t length;
            const char *cell = db_rows_bytes(rows, i, 0, &length);
            assert_int_equal(length, sizes[i]);
            assert_true(length == 0 || (cell[0] == 'a' + (int)i && cell[length - 1] == cell[0]));
            assert_int_equal(db_rows_unsigned(rows, i, 1), i);
        }
    }
    free(text);
}

static void a_result_beyond_its_bound_is_refused_and_the_connection_lives(void **state)
{
    struct error err = {0};
    struct db_rows *rows;
    uint64_t connections;
    OK(db_ping(world.db, &err));
    connections = db_connection_count(world.db);
    assert_false(db_query(world.db, world.arena,
                          "SELECT REPEAT('x', 9000000) FROM (SELECT 1 UNION ALL SELECT 2 UNION ALL "
                          "SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION "
                          "ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) AS t",
                          NULL, 0, &rows, &err));
    assert_ptr_equal(err.fault, &FAULT_TOO_LARGE);
    assert_int_equal(count_rows(world.db), 0);
    assert_int_equal(db_connection_count(world.db), connections);
}

static void many_rows_go_in_pieces_of_any_number(void **state)
{
    struct error err = {0};
    enum { COUNT = 512 + 64 * 2 + 8 * 3 + 5 };
    struct db_value values[COUNT * 2];
    uint64_t affected;
    for (size_t i = 0; i < COUNT; i++) {
        values[2 * i] = db_unsigned(i);
        values[2 * i + 1] = db_text("row");
    }
    for (int again = 0; again < 2; again++) {
        OK(db_begin(world.db, &err));
        OK(db_execute_rows(world.db, "INSERT INTO db_test (id, text) VALUES ", "(?, ?)",
                           " ON DUPLICATE KEY UPDATE text = VALUES(text)", values, 2, COUNT,
                           &affected, &err));
        OK(db_commit(world.db, &err));
        assert_int_equal(affected, COUNT); /* rows that stayed as they were count as found */
        assert_int_equal(count_rows(world.db), COUNT);
    }
}

static void rows_keep_their_nulls_and_a_column_may_mix_types(void **state)
{
    struct error err = {0};
    struct db_rows *rows;
    enum { WIDTH = 4 };
    const struct db_value values[] = {
        db_unsigned(1), db_text("one"), db_bytes("a\0b", 3), db_signed(-1), /* the first row */
        db_unsigned(2), db_null(),      db_null(),           db_null(),     /* nothing in it */
        db_unsigned(3), db_text(""),    db_bytes("", 0),     db_signed(7),
    };
    struct db_value mixed[] = {db_unsigned(4), db_text("four"),     db_null(), db_signed(-2),
                               db_unsigned(5), db_bytes("five", 4), db_null(), db_unsigned(9)};
    static const char head[] = "INSERT INTO db_test (id, text, bytes, small) VALUES ";
    OK(db_execute_rows(world.db, head, "(?, ?, ?, ?)", "", values, WIDTH, 3, NULL, &err));
    OK(db_execute_rows(world.db, head, "(?, ?, ?, ?)", "", mixed, WIDTH, 2, NULL, &err));
    OK(db_query(world.db, world.arena, "SELECT text, HEX(bytes), small FROM db_test ORDER BY id",
                NULL, 0, &rows, &err));
    assert_int_equal(db_rows_count(rows), 5);
    assert_string_equal(db_rows_text(rows, 0, 0), "one");
    assert_string_equal(db_rows_text(rows, 0, 1), "610062");
    assert_int_equal(db_rows_signed(rows, 0, 2), -1);
    for (size_t column = 0; column < 3; column++)
        assert_true(db_rows_is_null(rows, 1, column));
    assert_string_equal(db_rows_text(rows, 2, 0), "");
    assert_string_equal(db_rows_text(rows, 2, 1), "");
    assert_string_equal(db_rows_text(rows, 3, 0), "four");
    assert_int_equal(db_rows_signed(rows, 3, 2), -2);
    assert_string_equal(db_rows_text(rows, 4, 0), "five");
    assert_int_equal(db_rows_signed(rows, 4, 2), 9);
}

static void one_duplicate_among_many_rows_is_told(void **state)
{
    struct error err = {0};
    const struct db_value values[] = {db_unsigned(1), db_unsigned(2), db_unsigned(1)};
    OK(db_begin(world.db, &err));
    assert_false(db_execute_rows(world.db, "INSERT INTO db_test (id) VALUES ", "(?)", "", values, 1,
                                 3, NULL, &err));
    assert_ptr_equal(err.fault, &FAULT_DB_DUPLICATE);
    db_rollback(world.db);
    assert_int_equal(count_rows(world.db), 0);
}

static void a_change_takes_a_list(void **state)
{
    struct error err = {0};
    uint64_t found;
    const struct db_value text = db_text("x"),
                          list[] = {db_unsigned(1), db_unsigned(2), db_unsigned(9)};
    for (uint64_t id = 1; id <= 3; id++)
        OK(insert(world.db, id, &err));
    OK(db_execute_list(world.db, "UPDATE db_test SET text = ? WHERE id IN (%LIST%)", &text, 1, list,
                       3, &found, &err));
    assert_int_equal(found, 2);
    assert_false(db_execute_list(world.db, "UPDATE db_test SET text = ? WHERE id IN (%LIST%)",
                                 &text, 1, list, 0, &found, &err));
}

static void lists_find_what_they_name_and_nothing_else(void **state)
{
    struct error err = {0};
    struct db_rows *rows;
    for (uint64_t id = 1; id <= 20; id++)
        OK(insert(world.db, id, &err));
    struct db_value list[] = {db_unsigned(3), db_unsigned(5), db_unsigned(8)};
    struct db_value least = db_unsigned(4);
    static const char sql[] = "SELECT id FROM db_test WHERE id >= ? AND id IN (%LIST%) UNION ALL "
                              "SELECT id + 100 FROM db_test WHERE id IN (%LIST%) ORDER BY 1";
    OK(db_query_list(world.db, world.arena, sql, &least, 1, list, 3, &rows, &err));
    assert_int_equal(db_rows_count(rows), 5);
    assert_int_equal(db_rows_unsigned(rows, 0, 0), 5);
    assert_int_equal(db_rows_unsigned(rows, 4, 0), 108);
    OK(db_query_list(world.db, world.arena, sql, &least, 1, list, 0, &rows, &err));
    assert_int_equal(db_rows_count(rows), 0);
}

static void duplicates_are_told_and_leave_the_transaction_whole(void **state)
{
    struct error err = {0};
    OK(db_begin(world.db, &err));
    OK(insert(world.db, 1, &err));
    assert_false(insert(world.db, 1, &err));
    assert_ptr_equal(err.fault, &FAULT_DB_DUPLICATE);
    OK(insert(world.db, 2, &err));
    OK(db_commit(world.db, &err));
    assert_int_equal(count_rows(world.db), 2);
}

static void a_wrong_statement_is_internal(void **state)
{
    struct error err = {0};
    assert_false(db_execute(world.db, "SELEKT 1", NULL, 0, NULL, &err));
    assert_ptr_equal(err.fault, &FAULT_INTERNAL);
    assert_false(db_execute(world.db, "SELECT 1", NULL, 0, NULL, &err));
    assert_ptr_equal(err.fault, &FAULT_INTERNAL);
}

static bool raise_text(struct db *db, uint64_t id, struct error *err)
{
    struct db_value value = db_unsigned(id);
    return db_execute(db, "UPDATE db_test SET small = 1 WHERE id = ?", &value, 1, NULL, err);
}

static void a_lock_wait_rolls_the_whole_transaction_back(void **state)
{
    struct error err = {0};
    OK(insert(world.db, 1, &err));
    OK(db_begin(world.other, &err));
    OK(raise_text(world.other, 1, &err));
    OK(db_begin(world.db, &err));
    OK(insert(world.db, 2, &err));
    assert_false(raise_text(world.db, 1, &err)); /* waits for less than our own patience */
    assert_ptr_equal(err.fault, &FAULT_DB_DEADLOCK);
    assert_false(insert(world.db, 3, &err)); /* does not run alone */
    assert_ptr_equal(err.fault, &FAULT_DB_DEADLOCK);
    assert_false(db_commit(world.db, &err));
    OK(db_commit(world.other, &err));
    assert_int_equal(count_rows(world.db), 1);
}

/* The other half of the deadlock: holds row 2 and wants row 1. Exit status: 0 passed, 1 lost. */
static int hold_two_want_one(int ready)
{
    struct error err = {0};
    struct db *db = db_new(&settings);
    if (!db_begin(db, &err) || !raise_text(db, 2, &err) || write(ready, "x", 1) != 1)
        return 2;
    bool done = raise_text(db, 1, &err) && db_commit(db, &err);
    if (!done && err.fault != &FAULT_DB_DEADLOCK)
        return 3;
    db_rollback(db);
    db_free(db);
    return done ? 0 : 1;
}

static void of_two_that_want_each_others_rows_one_loses(void **state)
{
    struct error err = {0};
    int ready[2], status = 0;
    char byte;
    OK(insert(world.db, 1, &err));
    OK(insert(world.db, 2, &err));
    assert_int_equal(pipe(ready), 0);
    struct db *own = db_new(&settings);
    OK(db_begin(own, &err));
    OK(raise_text(own, 1, &err)); /* before the other begins: else it may pass unhindered */
    pid_t child = fork();
    if (child == 0)
        _exit(hold_two_want_one(ready[1])); /* with a connection of its own; ours it leaves alone */
    assert_int_equal(read(ready[0], &byte, 1), 1);
    bool done = raise_text(own, 2, &err) && db_commit(own, &err);
    assert_true(done || err.fault == &FAULT_DB_DEADLOCK);
    db_rollback(own);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), done ? 1 : 0);
    db_free(own);
    close(ready[0]);
    close(ready[1]);
}

static void a_connection_killed_while_idle_costs_nothing(void **state)
{
    struct error err = {0};
    OK(db_ping(world.db, &err));
    OK(db_ping(world.other, &err));
    uint64_t id = db_connection_id(world.db), until_ms = clock_mono_ms() + 60000;
    kill_connection(id);
    while (is_listed(id) && clock_mono_ms() < until_ms)
        clock_sleep_ms(20);
    OK(insert(world.db, 1, &err)); /* opened again before anything was sent */
    assert_int_equal(count_rows(world.db), 1);
    assert_int_equal(db_connection_count(world.db), 2);
}

static void a_connection_killed_in_a_transaction_is_surely_rolled_back(void **state)
{
    struct error err = {0};
    OK(db_begin(world.db, &err));
    OK(insert(world.db, 1, &err));
    kill_connection(db_connection_id(world.db));
    assert_false(insert(world.db, 2, &err));
    assert_ptr_equal(err.fault, &FAULT_DB_UNAVAILABLE);
    assert_false(insert(world.db, 3, &err));
    assert_ptr_equal(err.fault, &FAULT_DB_UNAVAILABLE);
    db_rollback(world.db);
    assert_int_equal(count_rows(world.db), 0);
}

static void a_commit_on_a_killed_connection_is_uncertain(void **state)
{
    struct error err = {0};
    OK(db_begin(world.db, &err));
    OK(insert(world.db, 1, &err));
    kill_connection(db_connection_id(world.db));
    assert_false(db_commit(world.db, &err));
    assert_ptr_equal(err.fault, &FAULT_UNCERTAIN);
    OK(db_begin(world.db, &err)); /* the next transaction is a new one */
    OK(insert(world.db, 1, &err));
    OK(db_commit(world.db, &err));
}

static void a_frozen_server_bounds_every_call(void **state)
{
    struct error err = {0};
    OK(insert(world.db, 9, &err)); /* prepared: what follows is sent */
    struct db *fresh = db_new(&settings);
    uint64_t from = clock_mono_ms();
    bool frozen = test_server_freeze();
    bool inserted = insert(world.db, 1, &err);
    uint64_t change_ms = clock_mono_ms() - from;
    const struct fault *change_fault = err.fault;
    from = clock_mono_ms();
    bool pinged = db_ping(fresh, &err);
    uint64_t connect_ms = clock_mono_ms() - from;
    const struct fault *connect_fault = err.fault;
    kill(test_server_pid(), SIGCONT);
    assert_true(frozen);
    assert_false(inserted);
    assert_ptr_equal(change_fault, &FAULT_UNCERTAIN);
    assert_in_range(change_ms, 500, settings.answer_timeout_ms + 6000);
    assert_false(pinged);
    assert_ptr_equal(connect_fault, &FAULT_DB_UNAVAILABLE);
    assert_in_range(connect_ms, 500, settings.connect_timeout_ms + 6000);
    OK(db_ping(fresh, &err));
    db_free(fresh);
}

static void an_address_that_is_down_gives_way_to_the_next(void **state)
{
    struct error err = {0};
    struct db_settings two = settings;
    const char *items[] = {"127.0.0.1:1", settings.addresses.items[0]};
    two.addresses = (struct conf_strings){items, 2};
    struct db *db = db_new(&two);
    OK(db_ping(db, &err));
    db_free(db);
    two.addresses.count = 1;
    db = db_new(&two);
    assert_false(db_ping(db, &err));
    assert_ptr_equal(err.fault, &FAULT_DB_UNAVAILABLE);
    db_free(db);
}

static void sessions_are_what_the_header_says(void **state)
{
    struct error err = {0};
    struct db_rows *rows;
    OK(db_query(world.db, world.arena,
                "SELECT @@autocommit, @@time_zone, @@wait_timeout, @@sql_mode, "
                "@@character_set_connection",
                NULL, 0, &rows, &err));
    assert_int_equal(db_rows_unsigned(rows, 0, 0), 1);
    assert_string_equal(db_rows_text(rows, 0, 1), "+00:00");
    assert_int_equal(db_rows_unsigned(rows, 0, 2), settings.wait_timeout_ms / 1000);
    assert_non_null(strstr(db_rows_text(rows, 0, 3), "STRICT_ALL_TABLES"));
    assert_string_equal(db_rows_text(rows, 0, 4), "utf8mb4");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_type_of_value_comes_back_as_it_went),
        TEST(cells_larger_than_the_buffers_come_whole),
        TEST(a_result_beyond_its_bound_is_refused_and_the_connection_lives),
        TEST(many_rows_go_in_pieces_of_any_number),
        TEST(rows_keep_their_nulls_and_a_column_may_mix_types),
        TEST(one_duplicate_among_many_rows_is_told),
        TEST(a_change_takes_a_list),
        TEST(lists_find_what_they_name_and_nothing_else),
        TEST(duplicates_are_told_and_leave_the_transaction_whole),
        TEST(a_wrong_statement_is_internal),
        TEST(a_lock_wait_rolls_the_whole_transaction_back),
        TEST(of_two_that_want_each_others_rows_one_loses),
        TEST(a_connection_killed_while_idle_costs_nothing),
        TEST(a_connection_killed_in_a_transaction_is_surely_rolled_back),
        TEST(a_commit_on_a_killed_connection_is_uncertain),
        TEST(a_frozen_server_bounds_every_call),
        TEST(an_address_that_is_down_gives_way_to_the_next),
        TEST(sessions_are_what_the_header_says),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
