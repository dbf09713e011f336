/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/uuid.h"

#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/unit/check.h"

static void ids_rise_strictly_even_when_the_clock_stands_or_goes_back(void **state)
{
    clock_fake_begin(1, 1800000000000000ULL);
    struct uuid before = uuid_new();
    for (int i = 0; i < 20000; i++) {
        struct uuid id = uuid_new();
        assert_true(uuid_compare(&id, &before) > 0);
        before = id;
    }
    clock_fake_begin(1, 1700000000000000ULL);
    struct uuid after = uuid_new();
    assert_true(uuid_compare(&after, &before) > 0);
    clock_fake_end();
}

static void an_id_says_version_variant_and_time(void **state)
{
    clock_fake_begin(1, 1900000000123000ULL);
    struct uuid id = uuid_new();
    clock_fake_end();
    uint64_t ms = 0;
    for (size_t i = 0; i < 6; i++)
        ms = ms << 8 | id.bytes[i];
    assert_int_equal(ms, 1900000000123ULL);
    assert_int_equal(id.bytes[6] >> 4, 7);
    assert_int_equal(id.bytes[8] >> 6, 2);
}

static void a_child_of_fork_makes_other_ids(void **state)
{
    int ends[2];
    struct uuid of_child;
    uuid_new();
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct uuid id = uuid_new();
        _exit(write(ends[1], &id, sizeof(id)) == sizeof(id) ? 0 : 1);
    }
    struct uuid own = uuid_new();
    assert_int_equal(read(ends[0], &of_child, sizeof(of_child)), sizeof(of_child));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_memory_not_equal(own.bytes + 8, of_child.bytes + 8, 8);
    close(ends[0]);
    close(ends[1]);
}

static void texts_are_parsed_strictly_and_written_in_lower_case(void **state)
{
    struct uuid id;
    assert_true(uuid_parse("0198C0DE-1234-7abc-8def-0123456789AB", &id));
    assert_string_equal(UUID_TEXT(&id), "0198c0de-1234-7abc-8def-0123456789ab");
    static const char *const wrong[] = {"",
                                        "0198c0de-1234-7abc-8def-0123456789a",
                                        "0198c0de-1234-7abc-8def-0123456789abc",
                                        "{198c0de-1234-7abc-8def-0123456789a}",
                                        "0198c0de01234-7abc-8def-0123456789ab",
                                        "0198c0de-1234-7abc-8def-0123456789ag",
                                        "0198c0de-1234-7abc-8def 0123456789ab"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(uuid_parse(wrong[i], &id));
    assert_false(uuid_parse(NULL, &id));
    assert_string_equal(UUID_TEXT(&id), "0198c0de-1234-7abc-8def-0123456789ab");
}

static void a_derived_id_follows_from_its_inputs(void **state)
{
    struct uuid space = uuid_new();
    struct uuid other = uuid_new();
    struct uuid a = uuid_derive(&space, "/vms/a.vmx");
    struct uuid again = uuid_derive(&space, "/vms/a.vmx");
    struct uuid b = uuid_derive(&space, "/vms/b.vmx");
    struct uuid c = uuid_derive(&other, "/vms/a.vmx");
    assert_true(uuid_equal(&a, &again));
    assert_false(uuid_equal(&a, &b));
    assert_false(uuid_equal(&a, &c));
    assert_int_equal(a.bytes[6] >> 4, 8);
    struct uuid nil = {{0}};
    struct uuid fixed = uuid_derive(&nil, "guts");
    assert_string_equal(UUID_TEXT(&fixed), "2aae5ee2-551a-8b22-aa0f-2becb12685ac");
}

static void bytes_must_be_sixteen(void **state)
{
    uint8_t bytes[16] = {1};
    struct uuid id = {{0}};
    assert_true(uuid_is_nil(&id));
    assert_false(uuid_from_bytes(bytes, 15, &id));
    assert_false(uuid_from_bytes(NULL, 16, &id));
    assert_true(uuid_from_bytes(bytes, 16, &id));
    assert_false(uuid_is_nil(&id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_says_version_variant_and_time),
        cmocka_unit_test(ids_rise_strictly_even_when_the_clock_stands_or_goes_back),
        cmocka_unit_test(a_child_of_fork_makes_other_ids),
        cmocka_unit_test(texts_are_parsed_strictly_and_written_in_lower_case),
        cmocka_unit_test(a_derived_id_follows_from_its_inputs),
        cmocka_unit_test(bytes_must_be_sixteen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
