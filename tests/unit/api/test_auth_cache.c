/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/auth_cache.h"
#include "common/base/clock.h"

#define ENTRIES 64

struct world {
    struct auth_cache *cache;
};

static int world_begin(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    clock_fake_begin(1000, 5000000);
    world->cache = auth_cache_new(ENTRIES);
    *state = world;
    return 0;
}

static int world_end(void **state)
{
    struct world *world = *state;
    auth_cache_free(world->cache);
    clock_fake_end();
    free(world);
    return 0;
}

static void hash_of(uint64_t number, uint8_t hash[AUTH_HASH_BYTES])
{
    memset(hash, 0, AUTH_HASH_BYTES);
    memcpy(hash, &number, sizeof(number));
}

static void keep(struct world *world, uint64_t number, const struct auth_fact *fact, uint64_t ms)
{
    uint8_t hash[AUTH_HASH_BYTES];
    hash_of(number, hash);
    auth_cache_write(world->cache, hash, fact, ms);
}

static bool knows(struct world *world, uint64_t number, struct auth_fact *ret_fact)
{
    uint8_t hash[AUTH_HASH_BYTES];
    hash_of(number, hash);
    return auth_cache_read(world->cache, hash, ret_fact);
}

static void what_was_learned_is_given_back_until_its_time_ends(void **state)
{
    struct auth_fact fact = {.kind = AUTH_KNOWN, .role = ACCESS_MEMBER, .project = "p"}, seen;
    assert_false(knows(*state, 7, &seen));
    keep(*state, 7, &fact, 60000);
    clock_fake_advance(59999);
    assert_true(knows(*state, 7, &seen));
    assert_int_equal(seen.role, ACCESS_MEMBER);
    assert_string_equal(seen.project, "p");
    clock_fake_advance(1);
    assert_false(knows(*state, 7, &seen));
}

static void a_token_that_ends_earlier_is_forgotten_then(void **state)
{
    struct auth_fact fact = {.kind = AUTH_KNOWN, .expires_at = clock_wall_us() + 3000000}, seen;
    keep(*state, 7, &fact, 60000);
    clock_fake_advance(2999);
    assert_true(knows(*state, 7, &seen));
    clock_fake_advance(1);
    assert_false(knows(*state, 7, &seen));
}

static void a_refusal_is_kept_too(void **state)
{
    struct auth_fact fact = {.kind = AUTH_UNKNOWN}, seen = {.kind = AUTH_KNOWN};
    keep(*state, 7, &fact, 5000);
    assert_true(knows(*state, 7, &seen));
    assert_int_equal(seen.kind, AUTH_UNKNOWN);
    clock_fake_advance(5000);
    assert_false(knows(*state, 7, &seen));
}

static void what_is_learned_anew_replaces_the_old(void **state)
{
    struct auth_fact known = {.kind = AUTH_KNOWN}, refused = {.kind = AUTH_UNKNOWN}, seen;
    keep(*state, 7, &known, 60000);
    keep(*state, 7, &refused, 5000);
    assert_true(knows(*state, 7, &seen));
    assert_int_equal(seen.kind, AUTH_UNKNOWN);
}

static void a_full_bucket_forgets_the_one_that_ends_first(void **state)
{
    struct auth_fact fact = {.kind = AUTH_KNOWN}, seen;
    const uint64_t step = ENTRIES / 4; /* all of one bucket */
    for (uint64_t i = 0; i < 5; i++)
        keep(*state, i * step, &fact, i == 2 ? 1000 : 60000);
    assert_false(knows(*state, 2 * step, &seen));
    for (uint64_t i = 0; i < 5; i++)
        assert_true(i == 2 || knows(*state, i * step, &seen));
}

static void any_number_of_tokens_takes_no_more_room(void **state)
{
    struct auth_fact fact = {.kind = AUTH_UNKNOWN}, seen;
    size_t kept = 0;
    for (uint64_t i = 0; i < 100000; i++)
        keep(*state, i, &fact, 5000);
    for (uint64_t i = 0; i < 100000; i++)
        kept += knows(*state, i, &seen);
    assert_int_equal(kept, ENTRIES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_learned_is_given_back_until_its_time_ends,
                                        world_begin, world_end),
        cmocka_unit_test_setup_teardown(a_token_that_ends_earlier_is_forgotten_then, world_begin,
                                        world_end),
        cmocka_unit_test_setup_teardown(a_refusal_is_kept_too, world_begin, world_end),
        cmocka_unit_test_setup_teardown(what_is_learned_anew_replaces_the_old, world_begin,
                                        world_end),
        cmocka_unit_test_setup_teardown(a_full_bucket_forgets_the_one_that_ends_first, world_begin,
                                        world_end),
        cmocka_unit_test_setup_teardown(any_number_of_tokens_takes_no_more_room, world_begin,
                                        world_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
