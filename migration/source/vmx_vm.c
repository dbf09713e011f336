/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/vmx_vm.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "migration/source/foreign.h"

#define ANNOTATION_MOST 8192
#define STANDARD_MEMORY_MIB 256

/* In the order in which VMware's firmware looks for something to boot, unless told otherwise. */
static const struct bus {
    const char *name;
    unsigned controllers, units;
    const char *controller; /* when virtualDev does not say */
} buses[] = {
    {"ide", 2, 2, NULL},
    {"sata", 4, 30, "ahci"},
    {"scsi", 4, 65, "buslogic"},
    {"nvme", 4, 64, "nvme"},
};

bool vmx_is_encrypted(const struct vmx *vmx)
{
    return vmx_has_prefix(vmx, "encryption.") || vmx_find(vmx, "encryptedVM.guid") != NULL;
}

bool vmx_is_suspended(const struct vmx *vmx)
{
    const char *state = vmx_find(vmx, "checkpoint.vmState");
    return state != NULL && state[0] != '\0';
}

static uint64_t bounded(const struct vmx *vmx, const char *key, uint64_t standard, uint64_t least,
                        uint64_t most, struct arena *arena, const char **odd)
{
    const char *value = vmx_find(vmx, key);
    uint64_t number = standard;
    if (value == NULL || value[0] == '\0')
        return standard;
    if (foreign_unsigned(value, &number) && number >= least && number <= most)
        return number;
    const char *legible = foreign_clean(arena, value, 40);
    *odd = arena_printf(arena, "%s is \"%s\"", key, legible != NULL ? legible : "");
    return number > most ? most : standard;
}

/* "56 4d 11 22 33 44 55 66-77 88 99 aa bb cc dd ee" as other tools write it. */
static const char *smbios_uuid(const struct vmx *vmx, struct arena *arena)
{
    const char *value = vmx_find(vmx, "uuid.bios");
    char digits[33];
    size_t count = 0;
    for (; value != NULL && *value != '\0'; value++) {
        if (*value == ' ' || *value == '-')
            continue;
        if (!isxdigit((unsigned char)*value) || count == 32)
            return NULL;
        digits[count++] = (char)tolower((unsigned char)*value);
    }
    if (count != 32)
        return NULL;
    digits[32] = '\0';
    return arena_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12,
                        digits + 16, digits + 20);
}

static const char *nic_network(const struct vmx *vmx, unsigned index, struct arena *arena)
{
    const char *name = vmx_findf(vmx, "ethernet%u.networkName", index);
    const char *type = vmx_findf(vmx, "ethernet%u.connectionType", index);
    if (name == NULL || name[0] == '\0')
        name = type != NULL && strcasecmp(type, "custom") == 0
                   ? vmx_findf(vmx, "ethernet%u.vnet", index)
                   : type;
    name = foreign_clean(arena, name, VM_NAME_MOST);
    return name != NULL ? name : "bridged";
}

static const char *nic_mac(const struct vmx *vmx, unsigned index, struct arena *arena)
{
    const char *type = vmx_findf(vmx, "ethernet%u.addressType", index);
    const char *fixed = foreign_mac(arena, vmx_findf(vmx, "ethernet%u.address", index));
    const char *made = foreign_mac(arena, vmx_findf(vmx, "ethernet%u.generatedAddress", index));
    if (type != NULL && strcasecmp(type, "static") == 0)
        return fixed;
    return made != NULL ? made : fixed;
}

static void take_nics(const struct vmx *vmx, struct arena *arena, struct vm *vm)
{
    vm->nics = arena_calloc(arena, VM_NICS_MOST, sizeof(*vm->nics));
    for (unsigned i = 0; i < VM_NICS_MOST; i++) {
        if (!vmx_is_true(vmx_findf(vmx, "ethernet%u.present", i), false))
            continue;
        vm->nics[vm->nic_count++] = (struct vm_nic){
            .mac = nic_mac(vmx, i, arena),
            .model = foreign_clean(arena, vmx_findf(vmx, "ethernet%u.virtualDev", i), 32),
            .network = nic_network(vmx, i, arena),
            .connected = vmx_is_true(vmx_findf(vmx, "ethernet%u.startConnected", i), true),
        };
    }
}

/* "disk", "scsi-hardDisk", "ata-hardDisk", "rawDisk", "" are disks; "cdrom-image", "atapi-cdrom",
 * "scsi-passthru" are not. */
static bool is_disk_type(const char *type)
{
    if (type == NULL || type[0] == '\0')
        return true;
    return strcasestr(type, "disk") != NULL && strcasestr(type, "cdrom") == NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcasecmp(text + length - tail, end) == 0;
}

static const char *word(struct arena *arena, const char *value, const char *standard)
{
    const char *clean = foreign_clean(arena, value, 32);
    for (const char *at = clean; at != NULL && *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && *at != '-' && *at != '_')
            return standard;
    }
    return clean != NULL ? clean : standard;
}

static void take_disk(const struct vmx *vmx, const struct bus *bus, unsigned controller,
                      unsigned unit, struct arena *arena, struct vm *vm)
{
    const char *file = vmx_findf(vmx, "%s%u:%u.fileName", bus->name, controller, unit);
    if (vm->disk_count == VM_DISKS_MOST || file == NULL || file[0] == '\0' ||
        !vmx_is_true(vmx_findf(vmx, "%s%u:%u.present", bus->name, controller, unit), false) ||
        !is_disk_type(vmx_findf(vmx, "%s%u:%u.deviceType", bus->name, controller, unit)) ||
        ends_with(file, ".iso"))
        return;
    const char *model = vmx_findf(vmx, "%s%u.virtualDev", bus->name, controller);
    vm->disks[vm->disk_count++] = (struct vm_disk){
        .key = file,
        .bus = bus->name,
        .controller = word(arena, model, bus->controller),
        .controller_index = controller,
        .unit = unit,
        .format = "vmdk",
    };
}

static void take_disks(const struct vmx *vmx, struct arena *arena, struct vm *vm)
{
    vm->disks = arena_calloc(arena, VM_DISKS_MOST, sizeof(*vm->disks));
    for (size_t i = 0; i < COUNT_OF(buses); i++) {
        const struct bus *bus = &buses[i];
        for (unsigned controller = 0; controller < bus->controllers; controller++) {
            if (!vmx_is_true(vmx_findf(vmx, "%s%u.present", bus->name, controller), true))
                continue;
            for (unsigned unit = 0; unit < bus->units; unit++)
                take_disk(vmx, bus, controller, unit, arena, vm);
        }
    }
}

/* bios.hddOrder = "scsi0:1,ide0:0": those first, in this order; the others stay behind them. */
static void order_disks(const struct vmx *vmx, struct vm *vm)
{
    const char *order = vmx_find(vmx, "bios.hddOrder");
    size_t placed = 0;
    while (order != NULL && *order != '\0') {
        order += strspn(order, ", ");
        size_t length = strcspn(order, ", ");
        for (size_t i = placed; i < vm->disk_count; i++) {
            struct vm_disk disk = vm->disks[i];
            char name[32];
            snprintf(name, sizeof(name), "%s%u:%u", disk.bus, disk.controller_index, disk.unit);
            if (strlen(name) != length || strncasecmp(name, order, length) != 0)
                continue;
            memmove(&vm->disks[placed + 1], &vm->disks[placed], (i - placed) * sizeof(*vm->disks));
            vm->disks[placed++] = disk;
            break;
        }
        order += length;
    }
}

static enum vm_firmware firmware_of(const struct vmx *vmx)
{
    const char *value = vmx_find(vmx, "firmware");
    return value != NULL && strcasecmp(value, "efi") == 0 ? VM_FIRMWARE_EFI : VM_FIRMWARE_BIOS;
}

struct vm *vmx_vm(const struct vmx *vmx, const char *fallback_name, struct arena *arena,
                  const char **ret_odd)
{
    struct vm *vm = arena_alloc(arena, sizeof(*vm));
    const char *odd = NULL;
    vm->name = foreign_clean(arena, vmx_find(vmx, "displayName"), VM_NAME_MOST);
    if (vm->name == NULL)
        vm->name = foreign_clean(arena, fallback_name, VM_NAME_MOST);
    if (vm->name == NULL)
        vm->name = "unnamed";
    vm->uuid = smbios_uuid(vmx, arena);
    vm->power = vmx_is_suspended(vmx) ? VM_POWER_SUSPENDED : VM_POWER_OFF;
    vm->firmware = firmware_of(vmx);
    vm->secure_boot = vm->firmware == VM_FIRMWARE_EFI &&
                      vmx_is_true(vmx_find(vmx, "uefi.secureBoot.enabled"), false);
    vm->cpus = (uint32_t)bounded(vmx, "numvcpus", 1, 1, VM_CPUS_MOST, arena, &odd);
    vm->cores_per_socket =
        (uint32_t)bounded(vmx, "cpuid.coresPerSocket", 0, 0, VM_CPUS_MOST, arena, &odd);
    vm->memory_mib =
        bounded(vmx, "memsize", STANDARD_MEMORY_MIB, 1, VM_MEMORY_MIB_MOST, arena, &odd);
    vm->guest_os = foreign_clean(arena, vmx_find(vmx, "guestOS"), VM_NAME_MOST);
    vm->annotation = foreign_clean(arena, vmx_find(vmx, "annotation"), ANNOTATION_MOST);
    take_nics(vmx, arena, vm);
    take_disks(vmx, arena, vm);
    order_disks(vmx, vm);
    *ret_odd = odd;
    return vm;
}
