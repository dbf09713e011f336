/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/local_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void names_become_file_names(void **state)
{
    char name[PLACE_NAME_SIZE];
    place_server_name("../x", name);
    assert_string_equal(name, "_._x");
    place_server_name(".guts-1", name);
    assert_string_equal(name, "_guts-1");
    place_server_name("сервер 1", name);
    assert_string_equal(name, "сервер 1");
    char large[600];
    memset(large, 'a', sizeof(large));
    large[599] = '\0';
    place_server_name(large, name);
    assert_int_equal(strlen(name), PLACE_NAME_SIZE - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_file_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
