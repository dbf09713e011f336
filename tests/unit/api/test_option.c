/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/option.h"

static const char declared_text[] =
    "[{\"name\":\"url\",\"type\":\"url\",\"required\":true,\"address\":true},"
    "{\"name\":\"path\",\"type\":\"path\"},"
    "{\"name\":\"port\",\"type\":\"integer\",\"address\":true},"
    "{\"name\":\"strict\",\"type\":\"boolean\"},"
    "{\"name\":\"folders\",\"type\":\"list\"},"
    "{\"name\":\"comment\",\"type\":\"text\"},"
    "{\"name\":\"way\",\"type\":\"text\",\"choices\":\"image|volume\"},"
    "{\"name\":\"size\",\"type\":\"text\",\"catalog\":\"flavor\"},"
    "{\"name\":\"seconds\",\"type\":\"integer\",\"least\":1,\"most\":60},"
    "{\"name\":\"map\",\"type\":\"list\",\"shape\":\"SOURCE=NETWORK\",\"catalog\":\"network\"},"
    "{\"name\":\"extra\",\"type\":\"list\",\"shape\":\"GIB[:TYPE]\",\"catalog\":\"volume_type\"},"
    "{\"name\":\"script\",\"type\":\"lines\"},"
    "{\"name\":\"odd\",\"type\":\"float\"},"
    "{\"name\":\"password\",\"type\":\"text\",\"secret\":true,\"required\":true}]";

struct world {
    struct arena *arena;
    struct reader reader;
    json_t *declared, *given;
    struct option_values values;
};

static int world_begin(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    world->arena = arena_new();
    world->declared = json_loads(declared_text, 0, NULL);
    reader_init(&world->reader, world->arena, NULL);
    *state = world;
    return 0;
}

static int world_end(void **state)
{
    struct world *world = *state;
    option_values_fini(&world->values);
    json_decref(world->declared);
    json_decref(world->given);
    arena_free(world->arena);
    free(world);
    return 0;
}

static void check(struct world *world, const char *given)
{
    world->given = json_loads(given, 0, NULL);
    assert_non_null(world->given);
    option_check(&world->reader, "settings", world->declared, world->given, &world->values);
}

static void assert_complaint(struct world *world, const char *pointer, const char *detail)
{
    for (size_t i = 0; i < world->reader.error_count; i++)
        if (strcmp(world->reader.errors[i].pointer, pointer) == 0 &&
            strstr(world->reader.errors[i].detail, detail) != NULL)
            return;
    fail_msg("nobody complained of %s: %s", pointer, detail);
}

static void values_are_brought_to_their_type(void **state)
{
    struct world *world = *state;
    check(world, "{\"url\":\"https://a/b\",\"port\":\"443\",\"strict\":\"true\","
                 "\"folders\":\"one\",\"path\":\"/srv/x\"}");
    assert_int_equal(world->reader.error_count, 0);
    char *text = json_dumps(world->values.plain, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"folders\":[\"one\"],\"path\":\"/srv/x\",\"port\":443,"
                              "\"strict\":true,\"url\":\"https://a/b\"}");
    free(text);
}

static void secrets_are_told_apart(void **state)
{
    struct world *world = *state;
    check(world, "{\"password\":\"s3\\ncret\",\"comment\":\"x\"}");
    assert_int_equal(world->reader.error_count, 0);
    assert_null(json_object_get(world->values.plain, "password"));
    assert_string_equal(json_string_value(json_object_get(world->values.secrets, "password")),
                        "s3\ncret");
}

static void all_that_is_wrong_is_told(void **state)
{
    struct world *world = *state;
    check(world, "{\"url\":\"nonsense\",\"path\":\"relative\",\"port\":\"7x\",\"strict\":1,"
                 "\"folders\":[1],\"comment\":[],\"odd\":1.5,\"pass~/word\":1,\"password\":7}");
    assert_int_equal(world->reader.error_count, 9);
    assert_complaint(world, "/settings/url", "URL");
    assert_complaint(world, "/settings/path", "absolute");
    assert_complaint(world, "/settings/port", "whole number");
    assert_complaint(world, "/settings/strict", "true or false");
    assert_complaint(world, "/settings/folders/0", "string");
    assert_complaint(world, "/settings/comment", "string");
    assert_complaint(world, "/settings/odd", "type");
    assert_complaint(world, "/settings/pass~0~1word", "not declared");
    assert_complaint(world, "/settings/password", "string");
}

static void what_is_declared_beyond_the_type_is_kept(void **state)
{
    struct world *world = *state;
    check(world, "{\"way\":\"imag\",\"seconds\":61,\"map\":[\"a=b\",\"a\",\"a=\",\"=b\"],"
                 "\"extra\":[\"5\",\"5:fast\",\"5:\",\"5=x\"],\"script\":\"#!\\nx\\n\"}");
    assert_complaint(world, "/settings/way", "one of image|volume");
    assert_complaint(world, "/settings/seconds", "1 to 60");
    assert_complaint(world, "/settings/map/1", "SOURCE=NETWORK");
    assert_complaint(world, "/settings/map/2", "SOURCE=NETWORK");
    assert_complaint(world, "/settings/map/3", "SOURCE=NETWORK");
    assert_complaint(world, "/settings/extra/2", "GIB[:TYPE]");
    assert_complaint(world, "/settings/extra/3", "GIB[:TYPE]");
    assert_int_equal(world->reader.error_count, 7);
}

static void names_for_the_catalogue_are_gathered(void **state)
{
    struct world *world = *state;
    struct option_names names;
    check(world, "{\"size\":\"m1\",\"map\":[\"a=b\",\"c=d=e\",\"f=-\"],"
                 "\"extra\":[\"5\",\"5:fast\"],\"way\":\"image\"}");
    assert_int_equal(world->reader.error_count, 0);
    option_catalog_names(&world->reader, "options", world->declared, world->values.plain, &names);
    assert_int_equal(names.count, 4);
    assert_string_equal(names.items[0].pointer, "options/size");
    assert_string_equal(names.items[0].kind, "flavor");
    assert_string_equal(names.items[2].pointer, "options/map/1");
    assert_string_equal(names.items[2].name, "e");
    assert_string_equal(names.items[3].kind, "volume_type");
    assert_string_equal(names.items[3].name, "fast");
}

static void paths_do_not_climb(void **state)
{
    struct world *world = *state;
    check(world, "{\"path\":\"/srv/../etc\"}");
    assert_complaint(world, "/settings/path", "..");
}

static void a_path_may_hold_dots_in_names(void **state)
{
    struct world *world = *state;
    check(world, "{\"path\":\"/srv/..a/b..\"}");
    assert_int_equal(world->reader.error_count, 0);
}

static void urls_hold_no_credentials(void **state)
{
    struct world *world = *state;
    check(world, "{\"url\":\"https://user:pw@host/\"}");
    assert_complaint(world, "/settings/url", "password");
}

static void an_at_sign_behind_the_host_is_no_credential(void **state)
{
    struct world *world = *state;
    check(world, "{\"url\":\"https://host/a@b\"}");
    assert_int_equal(world->reader.error_count, 0);
}

static void numbers_have_bounds(void **state)
{
    struct world *world = *state;
    check(world, "{\"port\":\"99999999999999999999\"}");
    assert_complaint(world, "/settings/port", "whole number");
}

static void control_characters_are_refused(void **state)
{
    struct world *world = *state;
    check(world, "{\"comment\":\"a\\u0007b\"}");
    assert_complaint(world, "/settings/comment", "control");
}

static void what_is_required_is_missed(void **state)
{
    struct world *world = *state;
    check(world, "{\"url\":null}");
    assert_int_equal(world->reader.error_count, 0);
    option_require(&world->reader, "settings", world->declared, world->values.plain,
                   world->values.secrets);
    assert_int_equal(world->reader.error_count, 2);
    assert_complaint(world, "/settings/url", "required");
    assert_complaint(world, "/settings/password", "required");
}

static void null_removes_and_says_so(void **state)
{
    struct world *world = *state;
    check(world, "{\"comment\":null,\"password\":null}");
    assert_true(json_is_null(json_object_get(world->values.plain, "comment")));
    assert_true(json_is_null(json_object_get(world->values.secrets, "password")));
}

static void the_names_of_the_address_are_found(void **state)
{
    struct world *world = *state;
    const char *const *names;
    assert_int_equal(option_address_names(world->arena, world->declared, &names), 2);
    assert_string_equal(names[0], "url");
    assert_string_equal(names[1], "port");
}

#define WORLD_TEST(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(values_are_brought_to_their_type),
        WORLD_TEST(secrets_are_told_apart),
        WORLD_TEST(all_that_is_wrong_is_told),
        WORLD_TEST(what_is_declared_beyond_the_type_is_kept),
        WORLD_TEST(names_for_the_catalogue_are_gathered),
        WORLD_TEST(paths_do_not_climb),
        WORLD_TEST(a_path_may_hold_dots_in_names),
        WORLD_TEST(urls_hold_no_credentials),
        WORLD_TEST(an_at_sign_behind_the_host_is_no_credential),
        WORLD_TEST(numbers_have_bounds),
        WORLD_TEST(control_characters_are_refused),
        WORLD_TEST(what_is_required_is_missed),
        WORLD_TEST(null_removes_and_says_so),
        WORLD_TEST(the_names_of_the_address_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
