/* SPDX-License-Identifier: Apache-2.0
 *
 * What a cloud says of itself, where it is nonsense.
 */
#include "tests/unit/check.h"

#include "migration/destination/openstack_facts.h"

static void a_quota_beyond_all_numbers_is_used_up(void **state)
{
    struct openstack_facts facts = {.arena = arena_new()};
    json_t *set = json_loads("{\"volumes\":{\"limit\":5,\"in_use\":9223372036854775807,"
                             "\"reserved\":1}}",
                             0, NULL);
    openstack_facts_take_quota_set(&facts, set, NULL, NULL);
    json_decref(set);
    assert_int_equal(openstack_quota_find(&facts, "volumes")->used, INT64_MAX);
    arena_free(facts.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_quota_beyond_all_numbers_is_used_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
