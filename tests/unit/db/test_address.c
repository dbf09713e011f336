/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <string.h>

#include "common/db/inside.h"

static void a_bare_host_gets_the_standard_port(void **state)
{
    struct db_address address;
    assert_true(db_address_parse("db.example", &address));
    assert_string_equal(address.host, "db.example");
    assert_string_equal(address.socket, "");
    assert_int_equal(address.port, 3306);
}

static void ports_and_v6_hosts_are_told_apart(void **state)
{
    struct db_address address;
    assert_true(db_address_parse("10.0.0.1:3307", &address));
    assert_string_equal(address.host, "10.0.0.1");
    assert_int_equal(address.port, 3307);
    assert_true(db_address_parse("[fd00::1]:3308", &address));
    assert_string_equal(address.host, "fd00::1");
    assert_int_equal(address.port, 3308);
    assert_true(db_address_parse("fd00::2", &address));
    assert_string_equal(address.host, "fd00::2");
    assert_int_equal(address.port, 3306);
}

static void a_path_is_a_socket(void **state)
{
    struct db_address address;
    assert_true(db_address_parse("/run/mysqld/mysqld.sock", &address));
    assert_string_equal(address.socket, "/run/mysqld/mysqld.sock");
    assert_string_equal(address.host, "");
}

static void nonsense_is_refused(void **state)
{
    static const char *const wrong[] = {
        "", ":3306", "host:", "host:0", "host:65536", "host:12x", "[fd00::1", "[fd00::1]x", "[]:1"};
    char longer[400];
    struct db_address address;
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(db_address_parse(wrong[i], &address));
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(db_address_parse(longer, &address));
    longer[0] = '/';
    assert_false(db_address_parse(longer, &address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_host_gets_the_standard_port),
        cmocka_unit_test(ports_and_v6_hosts_are_told_apart),
        cmocka_unit_test(a_path_is_a_socket),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
