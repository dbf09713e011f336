/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include <sys/socket.h>

#include "migration/destination/openstack_options.h"
#include "proto/fault.h"

static struct arena *arena;

static int begin(void **state)
{
    arena = arena_new();
    return 0;
}

static int end(void **state)
{
    arena_freep(&arena);
    return 0;
}

static struct settings *take(const char *text)
{
    struct settings *settings;
    struct error err;
    json_t *values = json_loads(text, 0, NULL);
    assert_non_null(values);
    if (!settings_new(openstack_options, OPENSTACK_OPTION_COUNT, values, NULL, &settings, &err))
        fail_msg("%s", err.text);
    json_decref(values);
    return settings;
}

static void refuse(const char *text, const char *words)
{
    struct openstack_options options;
    struct error err;
    struct settings *settings = take(text);
    assert_false(openstack_options_read(settings, arena, &options, &err));
    assert_ptr_equal(err.fault, &FAULT_FIELDS_INVALID);
    if (strstr(err.text, words) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", err.text, words);
    settings_free(settings);
}

static void defaults_are_those_that_are_declared(void **state)
{
    struct openstack_options options;
    struct error err;
    struct settings *settings = take("{}");
    assert_true(openstack_options_read(settings, arena, &options, &err));
    assert_null(options.flavor);
    assert_true(options.boot_from_volume && options.keep_mac && options.verify_content);
    assert_false(options.keep_image || options.config_drive || options.verify_boot);
    assert_int_equal(options.image_format, OPENSTACK_IMAGE_AUTO);
    assert_int_equal(options.cpus, 0);
    assert_int_equal(options.boot_timeout_s, 300);
    assert_string_equal(options.boot_text, "login:");
    assert_int_equal(options.network_rule_count, 0);
    settings_free(settings);
}

static void every_list_is_read(void **state)
{
    struct openstack_options options;
    struct error err;
    struct settings *settings =
        take("{\"network_map\": [\"VM=Network=lab\", \"old=-\"], \"fixed_ips\": [\"0=10.0.0.7\","
             " \"52-54-00-AB-cd-01=2001:DB8:0::1\"], \"volume_types\": [\"1=fast=er\"],"
             " \"extra_volumes\": [\"5\", \"7:slow\"], \"metadata\": [\"a=b=c\", \"e=\"],"
             " \"security_groups\": [\"web\"], \"boot_from\": \"image\"}");
    if (!openstack_options_read(settings, arena, &options, &err))
        fail_msg("%s", err.text);
    assert_false(options.boot_from_volume);
    assert_string_equal(options.network_rules[0].source, "VM=Network");
    assert_string_equal(options.network_rules[0].network, "lab");
    assert_null(options.network_rules[1].network);
    assert_int_equal(options.fixed_ips[0].address.family, AF_INET);
    assert_null(options.fixed_ips[0].mac);
    assert_string_equal(options.fixed_ips[1].mac, "52:54:00:ab:cd:01");
    assert_string_equal(options.fixed_ips[1].address.text, "2001:db8::1");
    assert_int_equal(options.disk_types[0].disk, 1);
    assert_string_equal(options.disk_types[0].volume_type, "fast=er");
    assert_int_equal(options.extra_volumes[1].gib, 7);
    assert_string_equal(options.extra_volumes[1].volume_type, "slow");
    assert_string_equal(options.metadata[0].value, "b=c");
    assert_string_equal(options.metadata[1].value, "");
    assert_string_equal(options.security_groups[0], "web");
    settings_free(settings);
}

static void all_that_is_wrong_is_told_at_once(void **state)
{
    const char *text =
        "{\"boot_from\": \"floppy\", \"boot_timeout_s\": 0, \"network_map\": [\"x\"],"
        " \"fixed_ips\": [\"0=300.1.1.1\"], \"extra_volumes\": [\"0\"]}";
    refuse(text, "\"boot_from\" must be one of");
    refuse(text, "\"boot_timeout_s\" must be 1 to 3600");
    refuse(text, "\"network_map\" must");
    refuse(text, "\"fixed_ips\" must");
    refuse(text, "\"extra_volumes\" must");
}

static void odd_items_are_refused(void **state)
{
    refuse("{\"network_map\": [\"a=b\", \"a=c\"]}", "twice");
    refuse("{\"fixed_ips\": [\"64=10.0.0.1\"]}", "fixed_ips");
    refuse("{\"fixed_ips\": [\"0=10.0.0.1/24\"]}", "fixed_ips");
    refuse("{\"fixed_ips\": [\"52:54:00:ab:cd:0g=10.0.0.1\"]}", "fixed_ips");
    refuse("{\"volume_types\": [\"one=fast\"]}", "volume_types");
    refuse("{\"extra_volumes\": [\"99999999\"]}", "extra_volumes");
    refuse("{\"extra_volumes\": [\"5:\"]}", "extra_volumes");
    refuse("{\"metadata\": [\"guts_migration=1\"]}", "guts");
    refuse("{\"metadata\": [\"a/b=1\"]}", "letters");
    refuse("{\"boot_text\": \"\"}", "boot_text");
}

#define OPTION_TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OPTION_TEST(defaults_are_those_that_are_declared),
        OPTION_TEST(every_list_is_read),
        OPTION_TEST(all_that_is_wrong_is_told_at_once),
        OPTION_TEST(odd_items_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
