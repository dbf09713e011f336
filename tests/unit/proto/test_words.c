/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/guts.pb-c.h"
#include "proto/lifecycle.h"
#include "proto/topology.h"

static void every_word_comes_back_as_its_number(void **state)
{
    for (int i = OWNER_MIGRATION; i <= OWNER_NODE; i++)
        assert_int_equal(owner_kind_parse(owner_kind_name(i)), i);
    for (int i = JOB_TEST; i <= JOB_GC; i++)
        assert_int_equal(job_kind_parse(job_kind_name(i)), i);
    for (int i = END_SOURCE; i <= END_DESTINATION; i++)
        assert_int_equal(end_parse(end_name(i)), i);
    for (int i = LEDGER_INTENDED; i <= LEDGER_ERROR; i++)
        assert_int_equal(ledger_state_parse(ledger_state_name(i)), i);
    assert_string_equal(wanted_name(WANTED_FENCED), "fenced");
    assert_string_equal(ledger_state_name(LEDGER_NOT_FOUND), "not_found");
}

static void unknown_words_and_numbers_are_unknown(void **state)
{
    assert_int_equal(owner_kind_parse("vm"), OWNER_UNKNOWN);
    assert_int_equal(owner_kind_parse("unknown"), OWNER_UNKNOWN);
    assert_int_equal(job_kind_parse(NULL), JOB_UNKNOWN);
    assert_int_equal(end_parse(""), END_UNKNOWN);
    assert_int_equal(ledger_state_parse("MADE"), LEDGER_UNKNOWN);
    assert_string_equal(owner_kind_name((enum owner_kind)17), "unknown");
    assert_string_equal(wanted_name((enum wanted) - 1), "unknown");
}

/* Compares the names that follow a prefix in a generated enum with ours, both ways. */
static void enum_is(const ProtobufCEnumDescriptor *generated, size_t prefix, int last,
                    const char *(*name)(int))
{
    assert_int_equal(generated->n_values, last + 1);
    for (int i = 0; i <= last; i++)
        assert_int_equal(strcasecmp(generated->values[i].name + prefix, name(i)), 0);
}
static const char *state_name(int number)
{
    return migration_state_name((enum migration_state)number);
}
static const char *owner_name(int number)
{
    return owner_kind_name((enum owner_kind)number);
}
static const char *job_name(int number)
{
    return job_kind_name((enum job_kind)number);
}
static const char *ledger_name(int number)
{
    return ledger_state_name((enum ledger_state)number);
}
static const char *wanted_word(int number)
{
    return wanted_name((enum wanted)number);
}
static const char *end_word(int number)
{
    return end_name((enum end)number);
}

static void words_and_messages_use_the_same_numbers(void **state)
{
    enum_is(&guts__v1__migration_state__descriptor, strlen("MIGRATION_STATE_"), MIGRATION_CANCELLED,
            state_name);
    enum_is(&guts__v1__owner_kind__descriptor, strlen("OWNER_KIND_"), OWNER_NODE, owner_name);
    enum_is(&guts__v1__job_kind__descriptor, strlen("JOB_KIND_"), JOB_GC, job_name);
    enum_is(&guts__v1__ledger_state__descriptor, strlen("LEDGER_STATE_"), LEDGER_ERROR,
            ledger_name);
    enum_is(&guts__v1__wanted__descriptor, strlen("WANTED_STATE_"), WANTED_FENCED, wanted_word);
    enum_is(&guts__v1__end__descriptor, strlen("END_OF_"), END_DESTINATION, end_word);
}

static void ledger_entries_are_open_until_settled(void **state)
{
    assert_true(ledger_state_is_open(LEDGER_INTENDED));
    assert_true(ledger_state_is_open(LEDGER_MADE));
    assert_true(ledger_state_is_open(LEDGER_ERROR));
    assert_false(ledger_state_is_open(LEDGER_UNDONE));
    assert_false(ledger_state_is_open(LEDGER_KEPT));
    assert_false(ledger_state_is_open(LEDGER_NOT_FOUND));
}

static void node_names_are_short_and_plain(void **state)
{
    char long_name[66];

    memset(long_name, 'a', sizeof(long_name));
    long_name[65] = 0;
    assert_false(topology_node_name_is_valid(long_name));
    long_name[64] = 0;
    assert_true(topology_node_name_is_valid(long_name));
    assert_true(topology_node_name_is_valid("node-1.example"));
    assert_false(topology_node_name_is_valid(""));
    assert_false(topology_node_name_is_valid(NULL));
    assert_false(topology_node_name_is_valid("Node"));
    assert_false(topology_node_name_is_valid("a b"));
    assert_false(topology_node_name_is_valid("a/b"));
    assert_false(topology_node_name_is_valid("n\xc3\xb6"));
}

static void queues_carry_their_kind_and_name(void **state)
{
    assert_string_equal(topology_node("node-1").name, "guts.v1.node.node-1");
    assert_int_equal(topology_node("node-1").kind, BUS_QUEUE_NODE);
    assert_string_equal(topology_scheduler().name, TOPOLOGY_SCHEDULER);
    assert_string_equal(topology_scheduler_bulk().name, TOPOLOGY_SCHEDULER_BULK);
    assert_true(topology_scheduler_bulk().prefetch > 0);
    assert_string_equal(topology_changes().name, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_comes_back_as_its_number),
        cmocka_unit_test(unknown_words_and_numbers_are_unknown),
        cmocka_unit_test(words_and_messages_use_the_same_numbers),
        cmocka_unit_test(ledger_entries_are_open_until_settled),
        cmocka_unit_test(node_names_are_short_and_plain),
        cmocka_unit_test(queues_carry_their_kind_and_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
