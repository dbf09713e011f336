/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/db/inside.h"

static void a_lost_read_may_be_done_again(void **state)
{
    assert_ptr_equal(db_number_fault(CR_SERVER_LOST, DB_DEED_HARMLESS), &FAULT_DB_UNAVAILABLE);
    assert_ptr_equal(db_number_fault(CR_SERVER_GONE_ERROR, DB_DEED_HARMLESS),
                     &FAULT_DB_UNAVAILABLE);
}

static void a_lost_change_or_commit_is_uncertain(void **state)
{
    assert_ptr_equal(db_number_fault(CR_SERVER_LOST, DB_DEED_CHANGE), &FAULT_UNCERTAIN);
    assert_ptr_equal(db_number_fault(CR_SERVER_LOST, DB_DEED_COMMIT), &FAULT_UNCERTAIN);
    assert_ptr_equal(db_number_fault(1180, DB_DEED_COMMIT), &FAULT_UNCERTAIN);
}

static void deadlocks_and_lock_waits_are_one_fault(void **state)
{
    assert_ptr_equal(db_number_fault(1205, DB_DEED_HARMLESS), &FAULT_DB_DEADLOCK);
    assert_ptr_equal(db_number_fault(1213, DB_DEED_CHANGE), &FAULT_DB_DEADLOCK);
    assert_ptr_equal(db_number_fault(1213, DB_DEED_COMMIT), &FAULT_DB_DEADLOCK);
}

static void duplicates_and_read_only_servers_have_their_own(void **state)
{
    assert_ptr_equal(db_number_fault(1062, DB_DEED_CHANGE), &FAULT_DB_DUPLICATE);
    assert_ptr_equal(db_number_fault(1290, DB_DEED_CHANGE), &FAULT_DB_READ_ONLY);
    assert_ptr_equal(db_number_fault(1792, DB_DEED_HARMLESS), &FAULT_DB_READ_ONLY);
    assert_ptr_equal(db_number_fault(1836, DB_DEED_COMMIT), &FAULT_DB_READ_ONLY);
}

static void a_refused_change_did_not_happen(void **state)
{
    assert_ptr_equal(db_number_fault(1047, DB_DEED_CHANGE), &FAULT_DB_UNAVAILABLE);
    assert_ptr_equal(db_number_fault(ER_QUERY_INTERRUPTED, DB_DEED_CHANGE), &FAULT_DB_UNAVAILABLE);
    assert_ptr_equal(db_number_fault(ER_CON_COUNT_ERROR, DB_DEED_HARMLESS), &FAULT_DB_UNAVAILABLE);
}

static void a_wrong_statement_is_our_own_defect(void **state)
{
    assert_ptr_equal(db_number_fault(ER_PARSE_ERROR, DB_DEED_CHANGE), &FAULT_INTERNAL);
    assert_ptr_equal(db_number_fault(ER_NO_SUCH_TABLE, DB_DEED_HARMLESS), &FAULT_INTERNAL);
    assert_false(db_number_is_lost(ER_PARSE_ERROR));
    assert_false(db_number_is_lost(1062));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_read_may_be_done_again),
        cmocka_unit_test(a_lost_change_or_commit_is_uncertain),
        cmocka_unit_test(deadlocks_and_lock_waits_are_one_fault),
        cmocka_unit_test(duplicates_and_read_only_servers_have_their_own),
        cmocka_unit_test(a_refused_change_did_not_happen),
        cmocka_unit_test(a_wrong_statement_is_our_own_defect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
