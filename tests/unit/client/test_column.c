/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "client/cli/column.h"
#include "common/base/memory.h"

static const struct column columns[] = {{"ID", "id", LOOK_PLAIN},
                                        {"SOURCE", "source.name", LOOK_PLAIN},
                                        {"VM ID", "vm_id", LOOK_PLAIN}};

/* The field that -c ASKED shows, of rows like `text`; "" when it is refused. */
static void check_field(const char *text, const char *asked, const char *expected)
{
    CLEANUP(chosen_fini) struct chosen chosen = {0};
    struct output output = {.columns = {asked}, .column_count = 1};
    json_t *rows = json_loads(text, 0, NULL);
    assert_non_null(rows);
    bool fine = columns_choose(&output, rows, columns, COUNT_OF(columns), true, &chosen);
    json_decref(rows); /* what was chosen does not depend on them */
    assert_int_equal(fine, expected != NULL);
    if (expected != NULL)
        assert_string_equal(chosen.columns[0].field, expected);
}

#define ROWS                                                                                       \
    "[{\"id\": 1, \"vm_id\": 2, \"state\": \"new\", \"created_at\": 3, \"fault\": null,"           \
    " \"node\": {\"name\": \"n\"}}]"

static void a_column_is_asked_for_by_heading_or_field_in_any_case(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"State", "state"},
        {"STATE", "state"},
        {"state", "state"},
        {"Created At", "created_at"},
        {"created-at", "created_at"},
        {"Source", "source.name"},
        {"source.name", "source.name"},
        {"vm id", "vm_id"},
        {"VM_ID", "vm_id"},
        {"Node.Name", "node.name"},
        {"Fault.Code", "fault.Code"},
        {"#disks", "#disks"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_field(ROWS, cases[i][0], cases[i][1]);
}

static void a_column_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"stat", "states", "", "node.nam", "state.x", ".", "node."};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_field(ROWS, cases[i], NULL);
    check_field("[]", "anything", "anything");
}

static void sorting_takes_the_same_names(void **state)
{
    (void)state;
    CLEANUP(chosen_fini) struct chosen chosen = {0};
    struct output output = {.sort_column = "Created At"};
    json_t *rows = json_loads(ROWS, 0, NULL);
    assert_true(columns_choose(&output, rows, columns, COUNT_OF(columns), true, &chosen));
    json_decref(rows);
    assert_true(chosen.is_sorted);
    assert_string_equal(chosen.by.field, "created_at");
    assert_int_equal(chosen.count, COUNT_OF(columns));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_column_is_asked_for_by_heading_or_field_in_any_case),
        cmocka_unit_test(a_column_that_does_not_exist_is_refused),
        cmocka_unit_test(sorting_takes_the_same_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
