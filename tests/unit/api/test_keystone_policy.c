/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/keystone_policy.h"

static const char *readers[] = {"reader"}, *members[] = {"member"}, *admins[] = {"admin", "boss"};
static const char *homes[] = {"p1"};
static const struct keystone_policy open_policy = {
    .reader = {readers, 1}, .member = {members, 1}, .admin = {admins, 2}, .admins_see_all = true};

static bool apply(const struct keystone_policy *policy, const char *text,
                  struct auth_fact *ret_fact)
{
    struct error err = {0};
    json_t *token = json_loads(text, 0, NULL);
    assert_non_null(token);
    bool done = keystone_policy_apply(policy, token, ret_fact, &err);
    assert_true(done || err.fault == &FAULT_INVALID);
    json_decref(token);
    return done;
}

#define TOKEN(project, roles)                                                                      \
    "{\"expires_at\": \"2026-11-21T14:56:38.000000Z\", \"project\": {\"id\": \"" project           \
    "\"}, \"user\": {\"name\": \"ann\", \"domain\": {\"name\": \"Default\"}}, \"roles\": [" roles  \
    "]}"
#define ROLE(name) "{\"id\": \"x\", \"name\": \"" name "\"}"

static void the_highest_role_counts(void **state)
{
    struct auth_fact fact;
    assert_true(apply(&open_policy, TOKEN("p1", ROLE("reader") "," ROLE("Member")), &fact));
    assert_int_equal(fact.role, ACCESS_MEMBER);
    assert_string_equal(fact.project, "p1");
    assert_string_equal(fact.name, "ann@Default");
    assert_false(fact.sees_all);
    assert_true(apply(&open_policy, TOKEN("p1", ROLE("BOSS") "," ROLE("reader")), &fact));
    assert_int_equal(fact.role, ACCESS_ADMIN);
    assert_true(fact.sees_all);
}

static void a_role_that_is_not_named_gives_nothing(void **state)
{
    struct auth_fact fact;
    assert_true(apply(&open_policy, TOKEN("p1", ROLE("heat_stack_owner")), &fact));
    assert_int_equal(fact.role, ACCESS_NONE);
    assert_true(apply(&open_policy, TOKEN("p1", ""), &fact));
    assert_int_equal(fact.role, ACCESS_NONE);
}

static void admins_of_other_projects_are_members(void **state)
{
    struct keystone_policy policy = open_policy;
    struct auth_fact fact;
    policy.admin_projects = (struct conf_strings){homes, 1};
    assert_true(apply(&policy, TOKEN("p1", ROLE("admin")), &fact));
    assert_int_equal(fact.role, ACCESS_ADMIN);
    assert_true(apply(&policy, TOKEN("p2", ROLE("admin")), &fact));
    assert_int_equal(fact.role, ACCESS_MEMBER);
    assert_false(fact.sees_all);
}

static void an_admin_may_be_held_to_its_project(void **state)
{
    struct keystone_policy policy = open_policy;
    struct auth_fact fact;
    policy.admins_see_all = false;
    assert_true(apply(&policy, TOKEN("p1", ROLE("admin")), &fact));
    assert_int_equal(fact.role, ACCESS_ADMIN);
    assert_false(fact.sees_all);
}

static void a_token_without_a_project_has_no_role(void **state)
{
    struct auth_fact fact;
    assert_true(apply(&open_policy,
                      "{\"expires_at\": \"2026-11-21T14:56:38Z\", \"system\": {\"all\": true}, "
                      "\"roles\": [" ROLE("admin") "]}",
                      &fact));
    assert_int_equal(fact.role, ACCESS_NONE);
    assert_string_equal(fact.project, "");
}

#define LONG_ID "01234567890123456789012345678901234567890123456789012345678901234"

static void what_cannot_be_understood_is_refused(void **state)
{
    static const char *const texts[] = {
        "{}",
        "{\"expires_at\": 7}",
        "{\"expires_at\": \"tomorrow\"}",
        "{\"expires_at\": \"2026-11-21T14:56:38+01:00\"}",
        "{\"expires_at\": \"2026-11-21T14:56:38.Z\"}",
        "{\"expires_at\": \"2026-11-21T14:56:38Z\", \"project\": {\"id\": \"\"}}",
        "{\"expires_at\": \"2026-11-21T14:56:38Z\", \"project\": {\"id\": \"" LONG_ID "\"}}",
    };
    struct auth_fact fact;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_false(apply(&open_policy, texts[i], &fact));
}

static void times_are_read_with_and_without_fractions(void **state)
{
    uint64_t at = 0;
    assert_true(keystone_time_parse("1970-01-01T00:00:01Z", &at));
    assert_int_equal(at, 1000000);
    assert_true(keystone_time_parse("1970-01-01T00:00:01.5Z", &at));
    assert_int_equal(at, 1500000);
    assert_true(keystone_time_parse("2026-11-21T14:56:38.000001Z", &at));
    assert_int_equal(at % 1000000, 1);
    assert_false(keystone_time_parse("1960-01-01T00:00:00Z", &at));
    assert_false(keystone_time_parse(NULL, &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_highest_role_counts),
        cmocka_unit_test(a_role_that_is_not_named_gives_nothing),
        cmocka_unit_test(admins_of_other_projects_are_members),
        cmocka_unit_test(an_admin_may_be_held_to_its_project),
        cmocka_unit_test(a_token_without_a_project_has_no_role),
        cmocka_unit_test(what_cannot_be_understood_is_refused),
        cmocka_unit_test(times_are_read_with_and_without_fractions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
