/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/address.h"

static bool address_from(const char *json, const char *const *names, size_t count,
                         struct buffer *ret_address, struct error *err)
{
    json_t *settings = json_loads(json, 0, NULL);
    assert_non_null(settings);
    bool made = address_of(settings, names, count, ret_address, err);
    json_decref(settings);
    return made;
}

static void the_order_of_names_does_not_matter(void **state)
{
    static const char *const one[] = {"url", "port", "insecure"};
    static const char *const other[] = {"insecure", "url", "port"};
    const char *settings = "{\"url\":\"https://a/\",\"port\":7,\"insecure\":true,\"x\":\"y\"}";
    CLEANUP(buffer_fini) struct buffer first = {0};
    CLEANUP(buffer_fini) struct buffer second = {0};
    struct error err = {0};
    assert_true(address_from(settings, one, 3, &first, &err));
    assert_true(address_from(settings, other, 3, &second, &err));
    assert_string_equal(first.data, "insecure=true\nport=7\nurl=https://a/");
    assert_string_equal(second.data, first.data);
}

static void what_is_not_given_is_left_out(void **state)
{
    static const char *const names[] = {"a", "b", "c"};
    CLEANUP(buffer_fini) struct buffer address = {0};
    struct error err = {0};
    assert_true(address_from("{\"a\":null,\"c\":[\"1\",\"2\"]}", names, 3, &address, &err));
    assert_string_equal(address.data, "c=1\nc=2");
}

static void a_line_cannot_be_forged(void **state)
{
    static const char *const names[] = {"a"};
    CLEANUP(buffer_fini) struct buffer address = {0};
    struct error err = {0};
    assert_false(address_from("{\"a\":\"x\\nb=y\"}", names, 1, &address, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
    assert_int_equal(address.length, 0);
    assert_false(address_from("{\"a\":{}}", names, 1, &address, &err));
    assert_false(address_from("{\"a\":1.5}", names, 1, &address, &err));
}

static void no_names_give_no_address(void **state)
{
    CLEANUP(buffer_fini) struct buffer address = {0};
    struct error err = {0};
    assert_true(address_from("{\"a\":\"x\"}", NULL, 0, &address, &err));
    assert_int_equal(address.length, 0);
}

static void an_address_has_a_bound(void **state)
{
    static const char *const names[] = {"a"};
    char text[ADDRESS_MOST_BYTES + 32] = "{\"a\":\"";
    memset(text + strlen(text), 'x', ADDRESS_MOST_BYTES);
    strcat(text, "\"}");
    CLEANUP(buffer_fini) struct buffer address = {0};
    struct error err = {0};
    assert_false(address_from(text, names, 1, &address, &err));
    assert_ptr_equal(err.fault, &FAULT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_names_does_not_matter),
        cmocka_unit_test(what_is_not_given_is_left_out),
        cmocka_unit_test(a_line_cannot_be_forged),
        cmocka_unit_test(no_names_give_no_address),
        cmocka_unit_test(an_address_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
