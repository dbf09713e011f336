/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/fault.h"
#include "tests/unit/proto/sample.h"

static void refused_with(const struct vm *vm, const struct fault *fault)
{
    struct error err = {0};

    assert_false(vm_check(vm, &err));
    assert_ptr_equal(err.fault, fault);
    assert_true(strlen(err.text) > 0);
}

static void a_sane_vm_passes(void **state)
{
    struct error err = {0};

    assert_true(vm_check(&sample_vm, &err));
    assert_int_equal(vm_capacity_bytes(&sample_vm), 4 << 20);
}

static void numbers_beyond_their_bounds_are_refused(void **state)
{
    struct vm vm = sample_vm;
    struct vm_disk disk = sample_disks[0];

    vm.cpus = VM_CPUS_MOST + 1;
    refused_with(&vm, &FAULT_TOO_LARGE);
    vm = sample_vm;
    vm.memory_mib = VM_MEMORY_MIB_MOST + 1;
    refused_with(&vm, &FAULT_TOO_LARGE);
    vm = sample_vm;
    vm.disk_count = VM_DISKS_MOST + 1;
    refused_with(&vm, &FAULT_TOO_LARGE);
    vm = sample_vm;
    vm.nic_count = VM_NICS_MOST + 1;
    refused_with(&vm, &FAULT_TOO_LARGE);
    vm = sample_vm;
    disk.capacity_bytes = VM_DISK_BYTES_MOST + 1;
    vm.disks = &disk;
    vm.disk_count = 1;
    refused_with(&vm, &FAULT_TOO_LARGE);
}

static void texts_must_be_short_utf8_without_controls(void **state)
{
    static const char *const bad[] = {"a\nb", "a\x1b[2J", "a\x7f",        "\xc2\x85",
                                      "\xff", "\xc0\xaf", "\xed\xa0\x80", "cut\xe6\x9d"};
    char long_name[VM_NAME_MOST + 2];
    struct vm vm = sample_vm;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        vm.name = bad[i];
        refused_with(&vm, &FAULT_VM_CONFIG_INVALID);
    }
    memset(long_name, 'x', sizeof(long_name));
    long_name[VM_NAME_MOST + 1] = 0;
    vm.name = long_name;
    refused_with(&vm, &FAULT_TOO_LARGE);
    vm = sample_vm;
    vm.annotation = "tabs\tand\nlines pass, bells do not\a";
    refused_with(&vm, &FAULT_VM_CONFIG_INVALID);
}

static void key_and_name_must_be_there(void **state)
{
    struct vm vm = sample_vm;
    struct vm_disk disk = sample_disks[0];

    vm.key = "";
    refused_with(&vm, &FAULT_VM_CONFIG_INVALID);
    vm = sample_vm;
    vm.name = NULL;
    refused_with(&vm, &FAULT_VM_CONFIG_INVALID);
    vm = sample_vm;
    disk.key = NULL;
    vm.disks = &disk;
    vm.disk_count = 1;
    refused_with(&vm, &FAULT_VM_CONFIG_INVALID);
}

static void words_of_disks_and_nics_are_ascii(void **state)
{
    struct vm vm = sample_vm;
    struct vm_disk disk = sample_disks[0];
    struct vm_nic nic = sample_nics[0];

    disk.bus = "sc si";
    vm.disks = &disk;
    vm.disk_count = 1;
    refused_with(&vm, &FAULT_VM_CONFIG_INVALID);
    vm = sample_vm;
    nic.mac = "\xc3\xa4";
    vm.nics = &nic;
    vm.nic_count = 1;
    refused_with(&vm, &FAULT_VM_CONFIG_INVALID);
}

static void changed_with(const struct vm *found, const struct fault *fault)
{
    struct error err = {0};

    assert_false(vm_check_same(&sample_vm, found, &err));
    assert_ptr_equal(err.fault, fault);
}

static void a_machine_with_other_disks_has_changed(void **state)
{
    struct vm found = sample_vm;
    struct vm_disk disks[2] = {sample_disks[0], sample_disks[1]};
    struct error err = {0};

    found.disks = disks;
    found.name = "renamed";
    assert_true(vm_check_same(&sample_vm, &found, &err));
    disks[1].capacity_bytes += 512;
    changed_with(&found, &FAULT_VM_CHANGED);
    disks[1] = sample_disks[0];
    changed_with(&found, &FAULT_VM_CHANGED);
    disks[1] = sample_disks[1];
    found.disk_count = 1;
    changed_with(&found, &FAULT_VM_CHANGED);
    found.obstacle_code = FAULT_VM_CONFIG_INVALID.code;
    found.obstacle_text = "its description is broken";
    changed_with(&found, &FAULT_VM_CONFIG_INVALID);
}

static void a_copy_shares_nothing(void **state)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct vm *copy = vm_copy(arena, &sample_vm);

    assert_ptr_not_equal(copy->name, sample_vm.name);
    assert_string_equal(copy->name, sample_vm.name);
    assert_ptr_not_equal(copy->disks, sample_vm.disks);
    assert_ptr_not_equal(copy->disks[1].key, sample_vm.disks[1].key);
    assert_string_equal(copy->disks[1].key, "b.vmdk");
    assert_null(copy->disks[1].controller);
    assert_string_equal(copy->nics[0].mac, sample_nics[0].mac);
    assert_null(copy->nics[1].mac);
    assert_null(copy->obstacle_code);
}

static void capacity_does_not_wrap_around(void **state)
{
    struct vm_disk disks[] = {{.capacity_bytes = UINT64_MAX}, {.capacity_bytes = 2}};
    struct vm vm = {.disks = disks, .disk_count = 2};

    assert_true(vm_capacity_bytes(&vm) == UINT64_MAX);
}

static void words_come_back(void **state)
{
    for (int i = VM_POWER_OFF; i <= VM_POWER_SUSPENDED; i++)
        assert_int_equal(vm_power_parse(vm_power_name(i)), i);
    assert_int_equal(vm_firmware_parse("efi"), VM_FIRMWARE_EFI);
    assert_int_equal(vm_firmware_parse("uefi"), VM_FIRMWARE_UNKNOWN);
    assert_string_equal(vm_firmware_name((enum vm_firmware)9), "unknown");
    assert_string_equal(vm_power_name((enum vm_power)9), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sane_vm_passes),
        cmocka_unit_test(numbers_beyond_their_bounds_are_refused),
        cmocka_unit_test(texts_must_be_short_utf8_without_controls),
        cmocka_unit_test(key_and_name_must_be_there),
        cmocka_unit_test(words_of_disks_and_nics_are_ascii),
        cmocka_unit_test(a_machine_with_other_disks_has_changed),
        cmocka_unit_test(a_copy_shares_nothing),
        cmocka_unit_test(capacity_does_not_wrap_around),
        cmocka_unit_test(words_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
