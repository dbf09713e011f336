/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, ids and words of the destination "openstack".
 */
#include "migration/destination/openstack_words.h"

#include "migration/destination/openstack_inner.h"
#include "tests/unit/check.h"

static void a_key_is_read_as_it_was_written(void **state)
{
    struct openstack_key key = {.place = "disk12", .attempt = 3, .round = 1}, back;
    char text[OPENSTACK_KEY_SIZE];
    openstack_key_format(&key, text);
    assert_string_equal(text, "disk12/3/1");
    assert_true(openstack_key_parse(text, &back));
    assert_string_equal(back.place, "disk12");
    assert_int_equal(back.attempt, 3);
    assert_int_equal(back.round, 1);
    assert_true(openstack_key_parse("server/7", &back));
    assert_int_equal(back.attempt, 7);
    assert_int_equal(back.round, 0);
}

static void what_is_no_key_is_refused(void **state)
{
    static const char *const texts[] = {"",   "disk0",  "disk0/",  "disk0/x", "disk0/1/2/3",
                                        "/1", "Disk/1", "disk0/1 "};
    struct openstack_key key;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_false(openstack_key_parse(texts[i], &key));
}

static void an_images_id_follows_from_migration_and_key(void **state)
{
    struct uuid one = uuid_new(), two = uuid_new(), parsed;
    char a[UUID_TEXT_SIZE], b[UUID_TEXT_SIZE];
    openstack_image_id(&one, "disk0/1/0", a);
    openstack_image_id(&one, "disk0/1/0", b);
    assert_string_equal(a, b);
    assert_true(uuid_parse(a, &parsed));
    openstack_image_id(&one, "disk0/2/0", b);
    assert_string_not_equal(a, b);
    openstack_image_id(&two, "disk0/1/0", b);
    assert_string_not_equal(a, b);
}

static const char *word(const struct vm *vm, const struct openstack_options *options,
                        const char *name)
{
    static char text[64];
    json_t *properties = json_object();
    openstack_words_put(properties, vm, options);
    const char *value = json_string_value(json_object_get(properties, name));
    snprintf(text, sizeof(text), "%s", value != NULL ? value : "-");
    json_decref(properties);
    return text;
}

static void hardware_is_said_in_glances_words(void **state)
{
    struct vm_disk disk = {.bus = "scsi"};
    struct vm_nic nic = {.model = "vmxnet3"};
    struct vm vm = {.firmware = VM_FIRMWARE_EFI,
                    .secure_boot = true,
                    .guest_os = "windows2019srv-64",
                    .disks = &disk,
                    .disk_count = 1,
                    .nics = &nic,
                    .nic_count = 1};
    struct openstack_options options = {
        .disk_bus = "source", .nic_model = "source", .os_type = "auto"};
    assert_string_equal(word(&vm, &options, "hw_firmware_type"), "uefi");
    assert_string_equal(word(&vm, &options, "hw_machine_type"), "q35");
    assert_string_equal(word(&vm, &options, "os_secure_boot"), "required");
    assert_string_equal(word(&vm, &options, "hw_disk_bus"), "scsi");
    assert_string_equal(word(&vm, &options, "hw_scsi_model"), "virtio-scsi");
    assert_string_equal(word(&vm, &options, "hw_vif_model"), "vmxnet3");
    assert_string_equal(word(&vm, &options, "os_type"), "windows");
    disk.bus = "ide"; /* q35 has none */
    assert_string_equal(word(&vm, &options, "hw_disk_bus"), "sata");
    disk.bus = "nvme";
    nic.model = "vlance";
    vm.firmware = VM_FIRMWARE_BIOS;
    assert_string_equal(word(&vm, &options, "hw_disk_bus"), "sata");
    assert_string_equal(word(&vm, &options, "hw_vif_model"), "e1000");
    assert_string_equal(word(&vm, &options, "hw_firmware_type"), "bios");
    options =
        (struct openstack_options){.disk_bus = "virtio", .nic_model = "virtio", .os_type = "linux"};
    assert_string_equal(word(&vm, &options, "hw_disk_bus"), "virtio");
    assert_string_equal(word(&vm, &options, "hw_scsi_model"), "-");
    assert_string_equal(word(&vm, &options, "os_type"), "linux");
}

static void a_guest_is_known_by_its_name(void **state)
{
    assert_string_equal(openstack_words_os("debian11-64"), "linux");
    assert_string_equal(openstack_words_os("Windows 10"), "windows");
    assert_string_equal(openstack_words_os("rhel8_64Guest"), "linux");
    assert_null(openstack_words_os("freebsd-64"));
    assert_null(openstack_words_os("darwin18-64"));
    assert_null(openstack_words_os(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(an_images_id_follows_from_migration_and_key),
        cmocka_unit_test(hardware_is_said_in_glances_words),
        cmocka_unit_test(a_guest_is_known_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
