/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "common/base/memory.h"
#include "migration/handover.h"

static struct node_settings node;
static struct worker_settings worker;

static int load_defaults(void **state)
{
    const struct conf_section sections[] = {
        {"node", node_conf_keys, node_conf_key_count, &node},
        {"worker", worker_conf_keys, worker_conf_key_count, &worker},
    };
    struct conf *conf;
    struct error err;
    node = (struct node_settings){0};
    worker = (struct worker_settings){0};
    if (!conf_load(NULL, sections, COUNT_OF(sections), &conf, &err))
        fail_msg("%s", err.text);
    *state = conf;
    node.name = "n1";
    return 0;
}

static int unload(void **state)
{
    conf_free(*state);
    return 0;
}

static void refuse(const char *words)
{
    struct error err;
    assert_false(node_settings_complete(&node, &worker, &err));
    assert_ptr_equal(err.fault, &FAULT_CONFIG);
    assert_non_null(strstr(err.text, words));
}

static void the_defaults_fit_together(void **state)
{
    struct error err;
    assert_true(node_settings_complete(&node, &worker, &err));
    assert_true(node.memory_bytes > 0);
    assert_int_equal(node.pools.count, 1);
}

static void a_node_without_a_name_has_its_hosts(void **state)
{
    struct error err;
    node.name = "";
    assert_true(node_settings_complete(&node, &worker, &err));
    assert_true(*node.name);
}

static void combinations_that_cannot_work_are_refused(void **state)
{
    node.name = "No Such Name";
    refuse("node.name");
    node.name = "n1";
    worker.memory_bytes = worker.buffer_bytes;
    refuse("worker.memory");
    worker.memory_bytes = 0;
    worker.stall_ms = worker.copy_idle_ms;
    refuse("worker.stall");
    worker.stall_ms = worker.copy_idle_ms * 2;
    node.report_expiry_ms = node.report_interval_ms;
    refuse("node.report_expiry");
}

static void a_hand_over_arrives_as_it_was(void **state)
{
    const char *roots[] = {"/a", "/b"};
    struct handover there, here = {.directory = "/pool/jobs/x",
                                   .private_key = "",
                                   .run = 3,
                                   .roots_read = {roots, 2},
                                   .worker = worker};
    struct error err;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(buffer_fini) struct buffer packed = {0};
    handover_pack(&here, &packed);
    assert_true(handover_unpack(packed.data, packed.length, arena, &there, &err));
    assert_string_equal(there.directory, here.directory);
    assert_int_equal(there.run, 3);
    assert_int_equal(there.roots_read.count, 2);
    assert_string_equal(there.roots_read.items[1], "/b");
    assert_int_equal(there.roots_write.count, 0);
    assert_int_equal(there.worker.flush_ms, worker.flush_ms);
    assert_int_equal(there.worker.ledger_repeat_ms, worker.ledger_repeat_ms);
    assert_false(handover_unpack("{}", 2, arena, &there, &err));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, load_defaults, unload)
    const struct CMUnitTest tests[] = {
        TEST(the_defaults_fit_together),
        TEST(a_node_without_a_name_has_its_hosts),
        TEST(combinations_that_cannot_work_are_refused),
        TEST(a_hand_over_arrives_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
