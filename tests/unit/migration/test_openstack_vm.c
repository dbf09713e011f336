/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "migration/source/openstack_vm.h"
#include "proto/fault.h"

static struct arena *arena;
static json_t *parsed[5];
static size_t parsed_count;

static int begin(void **state)
{
    arena = arena_new();
    return 0;
}

static int end(void **state)
{
    arena_freep(&arena);
    while (parsed_count > 0)
        json_decref(parsed[--parsed_count]);
    return 0;
}

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    parsed[parsed_count++] = value;
    return value;
}

#define SERVER(status, image, volumes)                                                             \
    "{\"id\":\"s1\",\"name\":\"web\",\"status\":\"" status "\",\"image\":" image ","               \
    "\"flavor\":{\"vcpus\":2,\"ram\":1024,\"disk\":5,\"ephemeral\":0},"                            \
    "\"os-extended-volumes:volumes_attached\":" volumes ","                                        \
    "\"addresses\":{\"lan\":[{\"OS-EXT-IPS-MAC:mac_addr\":\"FA:16:3e:00:00:01\"},"                 \
    "{\"OS-EXT-IPS-MAC:mac_addr\":\"fa:16:3e:00:00:01\"}]}}"
#define VOLUME(id, size, device, more)                                                             \
    "{\"id\":\"" id "\",\"size\":" size                                                            \
    ",\"attachments\":[{\"server_id\":\"s1\",\"device\":\"" device "\"}]" more "}"

static void volumes_stand_in_the_order_of_their_devices(void **state)
{
    struct openstack_parts parts = {
        .server = parse(SERVER("SHUTOFF", "\"\"", "[{},{},{}]")),
        .volumes = parse(
            "[" VOLUME("v3", "3", "/dev/vdaa", "") "," VOLUME("v2", "2", "/dev/vdb", "") "," VOLUME(
                "v1", "1", "/dev/vda",
                ",\"volume_image_metadata\":{\"hw_firmware_type\":\"uefi\",\"hw_disk_bus\":"
                "\"scsi\"}") "]")};
    struct vm *vm = openstack_vm(&parts, arena);
    assert_null(vm->obstacle_code);
    assert_int_equal(vm->disk_count, 3);
    assert_string_equal(vm->disks[0].key, "v1");
    assert_string_equal(vm->disks[2].key, "v3");
    assert_int_equal(vm->disks[1].capacity_bytes, 2ull << 30);
    assert_string_equal(vm->disks[1].bus, "scsi");
    assert_int_equal(vm->firmware, VM_FIRMWARE_EFI);
    assert_int_equal(vm->power, VM_POWER_OFF);
    assert_int_equal(vm->nic_count, 1);
    assert_string_equal(vm->nics[0].mac, "fa:16:3e:00:00:01");
    assert_string_equal(vm->nics[0].network, "lan");
}

static void the_volume_that_it_boots_from_comes_first_on_whatever_bus(void **state)
{
    struct openstack_parts parts = {
        .server = parse("{\"id\":\"s1\",\"OS-EXT-SRV-ATTR:root_device_name\":\"/dev/vda\"}"),
        .volumes = parse("[" VOLUME("v2", "2", "/dev/sda", "") "," VOLUME(
            "v3", "3", "/dev/sdb", "") "," VOLUME("v1", "1", "/dev/vda", "") "]")};
    struct vm *vm = openstack_vm(&parts, arena);
    assert_int_equal(vm->disk_count, 3);
    assert_string_equal(vm->disks[0].key, "v1");
    assert_string_equal(vm->disks[1].key, "v2");
    assert_string_equal(vm->disks[2].key, "v3");
}

static void what_is_attached_reads_the_same_in_any_order(void **state)
{
    const char *const lists[] = {SERVER("SHUTOFF", "\"\"", "[{\"id\":\"a\"},{\"id\":\"b\"}]"),
                                 SERVER("SHUTOFF", "\"\"", "[{\"id\":\"b\"},{\"id\":\"a\"}]"),
                                 SERVER("SHUTOFF", "\"\"", "[{\"id\":\"b\"},{\"id\":\"c\"}]")};
    const char *texts[COUNT_OF(lists)];
    for (size_t i = 0; i < COUNT_OF(lists); i++)
        texts[i] = openstack_vm_attached(parse(lists[i]), arena);
    assert_string_equal(texts[0], texts[1]);
    assert_string_not_equal(texts[0], texts[2]);
}

static void a_root_without_a_volume_comes_first(void **state)
{
    struct openstack_parts parts = {
        .server = parse(SERVER("ACTIVE", "{\"id\":\"i1\"}", "[{}]")),
        .volumes = parse("[" VOLUME("v1", "1", "/dev/vdb", "") "]"),
        .image = parse("{\"size\":77,\"os_distro\":\"debian\",\"hw_vif_model\":\"e1000\"}")};
    struct vm *vm = openstack_vm(&parts, arena);
    assert_int_equal(vm->power, VM_POWER_ON);
    assert_int_equal(vm->disk_count, 2);
    assert_string_equal(vm->disks[0].key, OPENSTACK_ROOT_KEY);
    assert_int_equal(vm->disks[0].capacity_bytes, 5ull << 30);
    assert_string_equal(vm->guest_os, "debian");
    assert_string_equal(vm->nics[0].model, "e1000");
}

#define ADDRESS(end) "{\"OS-EXT-IPS-MAC:mac_addr\":\"fa:16:3e:00:00:0" end "\"}"
#define INTERFACE(end, network)                                                                    \
    "{\"net_id\":\"" network "\",\"mac_addr\":\"fa:16:3e:00:00:0" end "\"}"

static void cards_stand_as_their_addresses_whatever_the_order_of_interfaces(void **state)
{
    struct openstack_parts parts = {
        .server = parse("{\"addresses\":{\"dmz\":[" ADDRESS("3") "," ADDRESS("1") "," ADDRESS(
            "3") "," ADDRESS("5") "],\"lan\":[" ADDRESS("2") "]}}"),
        .interfaces = parse("[" INTERFACE("4", "n9") "," INTERFACE("2", "n1") "," INTERFACE(
            "1", "n2") "," INTERFACE("3", "n2") "]"),
        .networks = parse("{\"n2\":\"dmz\",\"n1\":\"renamed\"}")};
    static const char *const macs[] = {"fa:16:3e:00:00:03", "fa:16:3e:00:00:01",
                                       "fa:16:3e:00:00:02", "fa:16:3e:00:00:04"};
    static const char *const networks[] = {"dmz", "dmz", "renamed", "n9"};
    struct vm *vm = openstack_vm(&parts, arena);
    assert_int_equal(vm->nic_count, COUNT_OF(macs));
    for (size_t i = 0; i < COUNT_OF(macs); i++) {
        assert_string_equal(vm->nics[i].mac, macs[i]);
        assert_string_equal(vm->nics[i].network, networks[i]);
    }
}

static void expect_obstacle(const char *server, const char *volumes, const struct fault *fault)
{
    struct openstack_parts parts = {.server = parse(server), .volumes = parse(volumes)};
    struct vm *vm = openstack_vm(&parts, arena);
    assert_non_null(vm->obstacle_code);
    assert_string_equal(vm->obstacle_code, fault->code);
}

static void what_cannot_be_moved_is_told_as_an_obstacle(void **state)
{
    expect_obstacle(SERVER("PAUSED", "\"\"", "[]"), "[]", &FAULT_VM_SUSPENDED);
    end(state), begin(state);
    expect_obstacle(SERVER("SHELVED_OFFLOADED", "\"\"", "[]"), "[]", &FAULT_VM_LOCKED);
    end(state), begin(state);
    expect_obstacle(SERVER("SHUTOFF", "\"\"", "[{},{}]"), "[" VOLUME("v1", "1", "/dev/vda", "") "]",
                    &FAULT_DISK_MISSING);
    end(state), begin(state);
    expect_obstacle(SERVER("SHUTOFF", "\"\"", "[{}]"),
                    "[" VOLUME("v1", "1", "/dev/vda", ",\"encrypted\":true") "]",
                    &FAULT_VM_ENCRYPTED);
    end(state), begin(state);
    expect_obstacle(SERVER("SHUTOFF", "\"\"", "[]"), "[]", &FAULT_VM_CONFIG_INVALID);
}

static void more_disks_than_can_be_moved_are_told(void **state)
{
    json_t *attached = json_array(), *volumes = json_array();
    for (unsigned i = 0; i <= VM_DISKS_MOST; i++) {
        json_array_append_new(attached, json_object());
        json_array_append_new(volumes, json_pack("{s:s, s:i}", "id", "v", "size", 1));
    }
    json_t *server = json_pack("{s:s, s:s, s:o}", "id", "s", "status", "SHUTOFF",
                               "os-extended-volumes:volumes_attached", attached);
    struct openstack_parts parts = {.server = server, .volumes = volumes};
    struct vm *vm = openstack_vm(&parts, arena);
    assert_string_equal(vm->obstacle_code, FAULT_DISK_UNSUPPORTED.code);
    json_decref(server);
    json_decref(volumes);
}

static void an_absurd_size_is_not_taken_for_a_small_one(void **state)
{
    struct error err = {0};
    struct openstack_parts parts = {
        .server = parse(SERVER("SHUTOFF", "\"\"", "[{}]")),
        .volumes = parse("[" VOLUME("v1", "17179869185", "/dev/vda", "") "]")}; /* 2^34 + 1 GiB */
    struct vm *vm = openstack_vm(&parts, arena);
    assert_null(vm->obstacle_code);
    assert_false(vm_check(vm, &err));
}

static void nonsense_is_survived(void **state)
{
    expect_obstacle("{\"id\":7,\"addresses\":[],\"flavor\":\"x\",\"status\":null}", "[1,{}]",
                    &FAULT_VM_LOCKED);
}

#define VM_TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VM_TEST(volumes_stand_in_the_order_of_their_devices),
        VM_TEST(the_volume_that_it_boots_from_comes_first_on_whatever_bus),
        VM_TEST(what_is_attached_reads_the_same_in_any_order),
        VM_TEST(a_root_without_a_volume_comes_first),
        VM_TEST(cards_stand_as_their_addresses_whatever_the_order_of_interfaces),
        VM_TEST(what_cannot_be_moved_is_told_as_an_obstacle),
        VM_TEST(more_disks_than_can_be_moved_are_told),
        VM_TEST(an_absurd_size_is_not_taken_for_a_small_one),
        VM_TEST(nonsense_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
