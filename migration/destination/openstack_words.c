/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/openstack_words.h"

#include <string.h>
#include <strings.h>

static void put(json_t *properties, const char *name, const char *value)
{
    if (value != NULL)
        json_object_set_new(properties, name, json_string(value));
}

/* Nova has no bus for NVMe disks, and q35, which UEFI wants, none for IDE. */
static const char *disk_bus(const struct vm *vm, const char *wanted)
{
    static const char *const same[] = {"ide", "sata", "scsi", "virtio", "usb"};
    const char *bus = vm->disk_count > 0 ? vm->disks[0].bus : NULL;
    const char *named = strcmp(wanted, "source") == 0 ? bus : wanted;
    if (named != NULL && strcmp(named, "ide") == 0 && vm->firmware == VM_FIRMWARE_EFI)
        return "sata";
    if (strcmp(wanted, "source") != 0)
        return wanted;
    for (size_t i = 0; bus != NULL && i < COUNT_OF(same); i++) {
        if (strcmp(bus, same[i]) == 0)
            return bus;
    }
    return bus != NULL ? "sata" : NULL;
}

/* libvirt has a vmxnet3 of QEMU's; others that it lacks become e1000. */
static const char *nic_model(const struct vm *vm, const char *wanted)
{
    static const char *const same[] = {"virtio",  "e1000", "e1000e",  "vmxnet3",
                                       "rtl8139", "pcnet", "ne2k_pci"};
    const char *model = vm->nic_count > 0 ? vm->nics[0].model : NULL;
    if (strcmp(wanted, "source") != 0)
        return wanted;
    for (size_t i = 0; model != NULL && i < COUNT_OF(same); i++) {
        if (strcmp(model, same[i]) == 0)
            return model;
    }
    return model != NULL ? "e1000" : NULL;
}

const char *openstack_words_os(const char *guest_os)
{
    static const char *const linuxes[] = {"linux",  "debian", "ubuntu", "centos", "rhel",
                                          "redhat", "fedora", "suse",   "sles",   "oracle",
                                          "alma",   "rocky",  "amazon", "photon", "coreos",
                                          "mandr",  "gentoo", "arch",   "alpine"};
    if (guest_os == NULL)
        return NULL;
    if (strcasestr(guest_os, "windows") != NULL || strncasecmp(guest_os, "win", 3) == 0)
        return "windows";
    for (size_t i = 0; i < COUNT_OF(linuxes); i++) {
        if (strcasestr(guest_os, linuxes[i]) != NULL)
            return "linux";
    }
    return NULL;
}

void openstack_words_put(json_t *properties, const struct vm *vm,
                         const struct openstack_options *options)
{
    const char *bus = disk_bus(vm, options->disk_bus);
    if (vm->firmware == VM_FIRMWARE_EFI) {
        put(properties, "hw_firmware_type", "uefi");
        put(properties, "hw_machine_type", "q35");
        put(properties, "os_secure_boot", vm->secure_boot ? "required" : NULL);
    } else if (vm->firmware == VM_FIRMWARE_BIOS) {
        put(properties, "hw_firmware_type", "bios");
    }
    put(properties, "hw_disk_bus", bus);
    put(properties, "hw_scsi_model",
        bus != NULL && strcmp(bus, "scsi") == 0 ? "virtio-scsi" : NULL);
    put(properties, "hw_vif_model", nic_model(vm, options->nic_model));
    put(properties, "os_type",
        strcmp(options->os_type, "auto") == 0 ? openstack_words_os(vm->guest_os)
                                              : options->os_type);
}
