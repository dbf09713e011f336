/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/route.h"

static bool nothing(struct call *call, struct error *err)
{
    return true;
}

static const struct route table[] = {
    {"GET", "/", ACCESS_NONE, nothing, 1},
    {"GET", "/v1", ACCESS_NONE, nothing, 2},
    {"GET", "/v1/events/stream", ACCESS_READER, nothing, 3},
    {"GET", "/v1/events/{event}", ACCESS_READER, nothing, 4},
    {"GET", "/v1/sources/{source}", ACCESS_READER, nothing, 5},
    {"PATCH", "/v1/sources/{source}", ACCESS_MEMBER, nothing, 6},
    {"POST", "/v1/sources/{source}/test", ACCESS_MEMBER, nothing, 7},
    {"GET", "/v1/drivers/{end}/{driver}", ACCESS_READER, nothing, 8},
};

static struct arena *arena;

static int arena_begin(void **state)
{
    arena = arena_new();
    return 0;
}

static int arena_end(void **state)
{
    arena_free(arena);
    return 0;
}

static struct route_match match(const char *method, const char *path)
{
    struct route_match found;
    route_find(table, COUNT_OF(table), method, path, arena, &found);
    return found;
}

static int number(const char *method, const char *path)
{
    struct route_match found = match(method, path);
    return found.route != NULL ? found.route->argument : 0;
}

static void paths_without_parameters_match_exactly(void **state)
{
    assert_int_equal(number("GET", "/"), 1);
    assert_int_equal(number("GET", "/v1"), 2);
    assert_int_equal(number("GET", "/v1/"), 2);
    assert_int_equal(number("GET", "/v1//"), 0);
    assert_int_equal(number("GET", "/v11"), 0);
    assert_int_equal(number("GET", "/v"), 0);
    assert_int_equal(number("GET", "//v1"), 0);
    assert_int_equal(number("GET", "*"), 0);
    assert_int_equal(number("GET", ""), 0);
}

static void parameters_are_taken_in_their_order(void **state)
{
    struct route_match found = match("GET", "/v1/drivers/source/ova");
    assert_int_equal(found.route->argument, 8);
    assert_string_equal(found.params[0], "source");
    assert_string_equal(found.params[1], "ova");
    found = match("POST", "/v1/sources/a b'; --/test");
    assert_int_equal(found.route->argument, 7);
    assert_string_equal(found.params[0], "a b'; --");
    found = match("GET", "/v1/sources/a%2Fb%2525");
    assert_string_equal(found.params[0], "a/b%25");
}

static void an_empty_parameter_does_not_match(void **state)
{
    assert_int_equal(number("GET", "/v1/sources/"), 0);
    assert_int_equal(number("POST", "/v1/sources//test"), 0);
}

static void a_word_wins_over_a_parameter_that_stands_behind_it(void **state)
{
    assert_int_equal(number("GET", "/v1/events/stream"), 3);
    assert_int_equal(number("GET", "/v1/events/7"), 4);
}

static void head_finds_what_get_finds(void **state)
{
    assert_int_equal(number("HEAD", "/v1/sources/x"), 5);
    assert_int_equal(number("HEAD", "/v1/sources/x/test"), 0);
}

static void another_method_is_told_which_there_are(void **state)
{
    struct route_match found = match("PUT", "/v1/sources/x");
    assert_null(found.route);
    assert_string_equal(found.allow, "OPTIONS, GET, HEAD, PATCH");
    found = match("GET", "/v1/sources/x/test");
    assert_string_equal(found.allow, "OPTIONS, POST");
    found = match("get", "/v1/sources/x");
    assert_null(found.route);
    assert_null(match("GET", "/nowhere").allow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_without_parameters_match_exactly),
        cmocka_unit_test(parameters_are_taken_in_their_order),
        cmocka_unit_test(an_empty_parameter_does_not_match),
        cmocka_unit_test(a_word_wins_over_a_parameter_that_stands_behind_it),
        cmocka_unit_test(head_finds_what_get_finds),
        cmocka_unit_test(another_method_is_told_which_there_are),
    };
    return cmocka_run_group_tests(tests, arena_begin, arena_end);
}
