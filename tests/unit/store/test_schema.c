/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <stdio.h>

#include "common/db/inside.h"
#include "common/store/schema.h"

static void files_are_numbered_without_gaps(void **state)
{
    assert_true(schema_file_count > 0);
    for (size_t i = 0; i < schema_file_count; i++) {
        char number[32];
        snprintf(number, sizeof(number), "%04zu_", i + 1);
        assert_int_equal(schema_files[i].number, i + 1);
        assert_memory_equal(schema_files[i].name, number, 5);
    }
}

/* MySQL commits around DDL, so a sync that broke off begins a file again. */
static void each_statement_can_be_run_again(void **state)
{
    static const char *const again[] = {"CREATE TABLE IF NOT EXISTS ", "INSERT IGNORE INTO "};
    CLEANUP(buffer_fini) struct buffer statement = {0};
    size_t count = 0;
    for (size_t i = 0; i < schema_file_count; i++) {
        const char *script = schema_files[i].text;
        for (; script_next(&script, &statement); count++) {
            const char *text = statement.data + strspn(statement.data, " \n");
            bool known = false;
            for (size_t k = 0; k < COUNT_OF(again); k++)
                known = known || strncmp(text, again[k], strlen(again[k])) == 0;
            if (!known)
                print_error("%s: %.60s\n", schema_files[i].name, text);
            assert_true(known);
        }
    }
    assert_true(count >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_numbered_without_gaps),
        cmocka_unit_test(each_statement_can_be_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
