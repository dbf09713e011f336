/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/fault.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void codes_stand_in_order_and_once(void **state)
{
    for (size_t i = 1; i < fault_table_count; i++)
        assert_true(strcmp(fault_table[i - 1]->code, fault_table[i]->code) < 0);
}

static void every_fault_tells_what_to_do(void **state)
{
    for (size_t i = 0; i < fault_table_count; i++) {
        const struct fault *fault = fault_table[i];
        size_t length = strlen(fault->code);
        assert_true(length > 0 && length < 48);
        assert_int_equal(strspn(fault->code, "abcdefghijklmnopqrstuvwxyz_"), length);
        assert_true(fault->http_status >= 400 && fault->http_status < 600);
        assert_true(isupper((unsigned char)fault->title[0]));
        assert_true(strlen(fault->hint) > 10);
        assert_int_equal(fault->hint[strlen(fault->hint) - 1], '.');
    }
}

static void every_fault_is_found_by_its_code(void **state)
{
    for (size_t i = 0; i < fault_table_count; i++)
        assert_ptr_equal(fault_find(fault_table[i]->code), fault_table[i]);
}

static void an_unknown_code_is_none_or_internal(void **state)
{
    assert_null(fault_find("no_such_code"));
    assert_null(fault_find(""));
    assert_null(fault_find(NULL));
    assert_ptr_equal(fault_get("no_such_code"), &FAULT_INTERNAL);
    assert_ptr_equal(fault_get(NULL), &FAULT_INTERNAL);
    assert_ptr_equal(fault_get("vm_running"), &FAULT_VM_RUNNING);
}

/* Counts the faults that a header declares, each of which must be in the table by its name. */
static size_t header_count(const char *path)
{
    static const char declaration[] = "extern const struct fault FAULT_";
    FILE *file = fopen(path, "r");
    char line[256];
    size_t count = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, declaration, strlen(declaration)) != 0)
            continue;
        char *code = line + strlen(declaration);
        code[strcspn(code, ";")] = 0;
        for (char *at = code; *at; at++)
            *at = (char)tolower((unsigned char)*at);
        if (!fault_find(code))
            fail_msg("%s declares FAULT_%s, which the table lacks", path, code);
        count++;
    }
    fclose(file);
    return count;
}

static void the_table_holds_just_what_the_headers_declare(void **state)
{
    size_t base = header_count(SOURCE_ROOT "/common/base/error.h");
    size_t proto = header_count(SOURCE_ROOT "/proto/fault.h");

    assert_true(base > 10 && proto > 40);
    assert_int_equal(fault_table_count, base + proto);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_stand_in_order_and_once),
        cmocka_unit_test(every_fault_tells_what_to_do),
        cmocka_unit_test(every_fault_is_found_by_its_code),
        cmocka_unit_test(an_unknown_code_is_none_or_internal),
        cmocka_unit_test(the_table_holds_just_what_the_headers_declare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
