/* SPDX-License-Identifier: Apache-2.0
 *
 * A vm as a source shows it: plain data that drivers fill, messages carry, the store keeps. Words
 * are libvirt's where it has one ("scsi", "virtio", "efi"), so that any destination knows them.
 *
 * Everything lives in one arena. Threads: plain data.
 */
#ifndef GUTS_PROTO_VM_H
#define GUTS_PROTO_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/memory.h"
#include "common/base/uuid.h"

enum vm_power { VM_POWER_UNKNOWN, VM_POWER_OFF, VM_POWER_ON, VM_POWER_SUSPENDED };
enum vm_firmware { VM_FIRMWARE_UNKNOWN, VM_FIRMWARE_BIOS, VM_FIRMWARE_EFI };

/* Bounds for what any source may say; beyond them it is FAULT_TOO_LARGE or FAULT_VM_CONFIG_INVALID. */
#define VM_NAME_MOST 255
#define VM_KEY_MOST 512
#define VM_DISKS_MOST 64
#define VM_NICS_MOST 32
#define VM_CPUS_MOST 1024
#define VM_MEMORY_MIB_MOST (64ull << 20)
#define VM_DISK_BYTES_MOST (64ull << 40) /* 64 TiB */

struct vm_disk {
    const char *key;        /* how the source's driver finds it again: "disks/a.vmdk" */
    const char *bus;        /* "ide", "sata", "scsi", "nvme", "virtio", "usb" */
    const char *controller; /* "lsilogic", "pvscsi", "ahci", … ; NULL when not known */
    uint32_t controller_index, unit;
    uint64_t capacity_bytes; /* guest-visible */
    uint64_t stored_bytes;   /* what it takes at the source; 0 when not known */
    const char *format;      /* "vmdk", "vhdx", "qcow2", "raw", … */
};

struct vm_nic {
    const char *mac;     /* "00:0c:29:…", lower case; NULL when the source made none yet */
    const char *model;   /* "e1000", "e1000e", "vmxnet3", "virtio", … ; NULL */
    const char *network; /* the source's name for it: "bridged", "VM Network" */
    bool connected;
};

struct vm {
    const char *key;  /* unique at its source and stable: a path, a managed object id, a UUID */
    const char *name; /* UTF-8 */
    const char *uuid; /* the machine's own (SMBIOS), or NULL */
    enum vm_power power;
    enum vm_firmware firmware;
    bool secure_boot;
    uint32_t cpus;
    uint32_t cores_per_socket; /* 0 when not known */
    uint64_t memory_mib;
    const char *guest_os; /* the source's word: "debian11-64" */
    const char *host;     /* at the source, where it has hosts */
    const char *annotation;
    struct vm_disk *disks; /* in boot order as the firmware of the source would find them */
    size_t disk_count;
    struct vm_nic *nics; /* in slot order */
    size_t nic_count;
    /* Why it could not be migrated as it stands (a fault's code and text), or NULL. */
    const char *obstacle_code;
    const char *obstacle_text;
};

const char *vm_power_name(enum vm_power power); /* "off", "on", "suspended", "unknown" */
enum vm_power vm_power_parse(const char *name);
const char *vm_firmware_name(enum vm_firmware firmware); /* "bios", "efi", "unknown" */
enum vm_firmware vm_firmware_parse(const char *name);
/* Checks every bound above and that texts are UTF-8 without control characters. */
bool vm_check(const struct vm *vm, struct error *err) MUST_CHECK;
/* Whether what is migrated is still what was described: FAULT_VM_CHANGED where its disks are others,
 * or the obstacle that `found` has meanwhile. */
bool vm_check_same(const struct vm *described, const struct vm *found,
                   struct error *err) MUST_CHECK;
struct vm *vm_copy(struct arena *arena, const struct vm *vm);
uint64_t vm_capacity_bytes(const struct vm *vm); /* of all disks */

#endif
