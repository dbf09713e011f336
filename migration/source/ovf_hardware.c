/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/ovf_inner.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "migration/source/foreign.h"
#include "proto/fault.h"

#define ITEMS_MOST 1024

/* Resource types of CIM_ResourceAllocationSettingData. */
enum {
    TYPE_CPU = 3,
    TYPE_MEMORY = 4,
    TYPE_IDE = 5,
    TYPE_SCSI = 6,
    TYPE_NIC = 10,
    TYPE_DISK = 17,
    TYPE_OTHER_STORAGE = 20,
};

/* In the order in which firmware looks for something to boot. */
static const char *const bus_order[] = {"ide", "sata", "scsi", "nvme"};

struct controller {
    const char *instance;
    const char *bus;
    const char *model;
    uint32_t index; /* among those of its bus */
};
struct hardware {
    struct ovf_reading *reading;
    struct ovf_system *system;
    struct controller controllers[64];
    size_t controller_count;
    uint32_t next_index[COUNT_OF(bus_order)];
};

static bool is_chosen(const struct ovf_reading *reading, const xmlNode *item)
{
    const char *list = ovf_xml_attribute(item, "configuration", reading->arena);
    if (list == NULL)
        return true;
    size_t wanted = reading->configuration != NULL ? strlen(reading->configuration) : 0;
    while (*list != '\0') {
        list += strspn(list, " \t\r\n");
        size_t length = strcspn(list, " \t\r\n");
        if (length == wanted && length > 0 && strncmp(list, reading->configuration, length) == 0)
            return true;
        list += length;
    }
    return false;
}

static bool number_of(struct hardware *hardware, const xmlNode *item, const char *name,
                      uint64_t *ret_number)
{
    return foreign_unsigned(ovf_xml_child_text(item, name, hardware->reading->arena), ret_number);
}

static bool take_cpus(struct hardware *hardware, const xmlNode *item, struct error *err)
{
    uint64_t cpus, cores;
    if (!number_of(hardware, item, "VirtualQuantity", &cpus) || cpus == 0)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "the number of processors is no number");
    if (cpus > VM_CPUS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "%llu processors are absurd",
                         (unsigned long long)cpus);
    hardware->system->vm->cpus = (uint32_t)cpus;
    if (number_of(hardware, item, "CoresPerSocket", &cores) && cores <= cpus)
        hardware->system->vm->cores_per_socket = (uint32_t)cores;
    return true;
}

static bool take_memory(struct hardware *hardware, const xmlNode *item, struct error *err)
{
    uint64_t quantity, bytes;
    const char *units = ovf_xml_child_text(item, "AllocationUnits", hardware->reading->arena);
    if (!number_of(hardware, item, "VirtualQuantity", &quantity))
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "the size of memory is no number");
    if (!ovf_bytes(quantity, units, 1u << 20, &bytes) || bytes >> 20 > VM_MEMORY_MIB_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "memory of %llu (%.40s) is absurd",
                         (unsigned long long)quantity, units != NULL ? units : "MB");
    hardware->system->vm->memory_mib = bytes >> 20;
    return true;
}

static size_t bus_rank(const char *bus)
{
    size_t rank = 0;
    while (rank < COUNT_OF(bus_order) - 1 && strcmp(bus_order[rank], bus) != 0)
        rank++;
    return rank;
}

static const char *scsi_model(const char *subtype)
{
    static const char *const models[][2] = {
        {"lsilogicsas", "lsisas1068"}, {"lsilogic", "lsilogic"}, {"virtualscsi", "pvscsi"},
        {"pvscsi", "pvscsi"},          {"buslogic", "buslogic"},
    };
    for (size_t i = 0; subtype != NULL && i < COUNT_OF(models); i++) {
        if (strcasestr(subtype, models[i][0]) != NULL)
            return models[i][1];
    }
    return "lsilogic";
}

static bool take_controller(struct hardware *hardware, const xmlNode *item, uint64_t type,
                            struct error *err)
{
    struct arena *arena = hardware->reading->arena;
    const char *subtype = ovf_xml_child_text(item, "ResourceSubType", arena);
    const char *instance = ovf_xml_child_text(item, "InstanceID", arena);
    if (hardware->controller_count == COUNT_OF(hardware->controllers))
        return error_set(err, &FAULT_TOO_LARGE, "it has more than %zu controllers",
                         COUNT_OF(hardware->controllers));
    struct controller *controller = &hardware->controllers[hardware->controller_count++];
    controller->instance = instance != NULL ? instance : "";
    if (type == TYPE_IDE) {
        controller->bus = "ide";
        controller->model = "piix4";
    } else if (type == TYPE_SCSI) {
        controller->bus = "scsi";
        controller->model = scsi_model(subtype);
    } else {
        bool nvme = subtype != NULL && strcasestr(subtype, "nvme") != NULL;
        controller->bus = nvme ? "nvme" : "sata";
        controller->model = nvme ? "nvme" : "ahci";
    }
    controller->index = hardware->next_index[bus_rank(controller->bus)]++;
    return true;
}

static const struct controller *find_controller(const struct hardware *hardware,
                                                const char *instance)
{
    static const struct controller unknown = {.instance = "", .bus = "scsi", .model = "lsilogic"};
    for (size_t i = 0; instance != NULL && i < hardware->controller_count; i++) {
        if (strcmp(hardware->controllers[i].instance, instance) == 0)
            return &hardware->controllers[i];
    }
    return &unknown;
}

/* "ovf:/disk/vmdisk1" or "/disk/vmdisk1" names a disk, "ovf:/file/file1" a file. */
static bool find_backing(const struct ovf_reading *reading, const char *resource,
                         struct ovf_disk_entry *ret_disk)
{
    if (resource == NULL)
        return false;
    if (strncmp(resource, "ovf:", 4) == 0)
        resource += 4;
    if (strncmp(resource, "/disk/", 6) == 0) {
        for (size_t i = 0; i < reading->disk_count; i++) {
            if (strcmp(reading->disks[i].id, resource + 6) == 0) {
                *ret_disk = reading->disks[i];
                return true;
            }
        }
    }
    if (strncmp(resource, "/file/", 6) == 0) {
        const struct ovf_file *file = ovf_find_file(reading->ovf, resource + 6);
        *ret_disk = (struct ovf_disk_entry){.file = file};
        if (file != NULL)
            ret_disk->format = ovf_disk_format(NULL, file->href);
        return file != NULL;
    }
    return false;
}

static bool take_disk(struct hardware *hardware, const xmlNode *item, struct error *err)
{
    struct ovf_system *system = hardware->system;
    struct arena *arena = hardware->reading->arena;
    const char *resource = ovf_xml_child_text(item, "HostResource", arena);
    struct ovf_disk_entry disk;
    uint64_t unit = 0;
    if (!find_backing(hardware->reading, resource, &disk))
        return error_set(err, &FAULT_VM_CONFIG_INVALID,
                         "a disk refers to \"%.80s\", which is not "
                         "there",
                         resource != NULL ? resource : "");
    if (system->vm->disk_count == VM_DISKS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "it has more than %d disks", VM_DISKS_MOST);
    const struct controller *controller =
        find_controller(hardware, ovf_xml_child_text(item, "Parent", arena));
    if (!number_of(hardware, item, "AddressOnParent", &unit) || unit > 255)
        unit = 0;
    size_t index = system->vm->disk_count++;
    system->disks[index].file = disk.file;
    system->vm->disks[index] = (struct vm_disk){
        .key = disk.file != NULL ? disk.file->href : "",
        .bus = controller->bus,
        .controller = controller->model,
        .controller_index = controller->index,
        .unit = (uint32_t)unit,
        .capacity_bytes = disk.capacity_bytes,
        .format = disk.format,
    };
    return true;
}

static bool take_nic(struct hardware *hardware, const xmlNode *item, struct error *err)
{
    struct vm *vm = hardware->system->vm;
    struct arena *arena = hardware->reading->arena;
    const char *model =
        foreign_clean(arena, ovf_xml_child_text(item, "ResourceSubType", arena), 32);
    const char *allocated = ovf_xml_child_text(item, "AutomaticAllocation", arena);
    if (vm->nic_count == VM_NICS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "it has more than %d NICs", VM_NICS_MOST);
    char *lower = model != NULL ? arena_strdup(arena, model) : NULL;
    for (char *at = lower; at != NULL && *at != '\0'; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    vm->nics[vm->nic_count++] = (struct vm_nic){
        .mac = foreign_mac(arena, ovf_xml_child_text(item, "Address", arena)),
        .model = lower,
        .network =
            foreign_clean(arena, ovf_xml_child_text(item, "Connection", arena), VM_NAME_MOST),
        .connected = allocated == NULL || strcasecmp(allocated, "false") != 0,
    };
    return true;
}

static bool is_controller(uint64_t type)
{
    return type == TYPE_IDE || type == TYPE_SCSI || type == TYPE_OTHER_STORAGE;
}

/* Controllers are read in a first pass: a disk may stand before its own. */
static bool take_item(struct hardware *hardware, const xmlNode *item, bool first, struct error *err)
{
    uint64_t type;
    if (!number_of(hardware, item, "ResourceType", &type))
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "an item has no ResourceType");
    if (first)
        return !is_controller(type) || take_controller(hardware, item, type, err);
    switch (type) {
    case TYPE_CPU:
        return take_cpus(hardware, item, err);
    case TYPE_MEMORY:
        return take_memory(hardware, item, err);
    case TYPE_DISK:
        return take_disk(hardware, item, err);
    case TYPE_NIC:
        return take_nic(hardware, item, err);
    default:
        return true;
    }
}

static bool is_item(const xmlNode *node)
{
    return ovf_xml_is(node, "Item") || ovf_xml_is(node, "StorageItem") ||
           ovf_xml_is(node, "EthernetPortItem");
}

static bool take_items(struct hardware *hardware, const xmlNode *section, bool first,
                       struct error *err)
{
    size_t count = 0;
    for (xmlNode *node = section->children; node != NULL; node = node->next) {
        if (!is_item(node) || !is_chosen(hardware->reading, node))
            continue;
        if (++count > ITEMS_MOST)
            return error_set(err, &FAULT_TOO_LARGE, "it has more than %d items", ITEMS_MOST);
        if (!take_item(hardware, node, first, err))
            return false;
    }
    return true;
}

static bool stands_before(const struct vm_disk *a, const struct vm_disk *b)
{
    size_t left = bus_rank(a->bus), right = bus_rank(b->bus);
    if (left != right)
        return left < right;
    if (a->controller_index != b->controller_index)
        return a->controller_index < b->controller_index;
    return a->unit < b->unit;
}

static void order_disks(struct ovf_system *system)
{
    for (size_t i = 1; i < system->vm->disk_count; i++) {
        struct vm_disk disk = system->vm->disks[i];
        struct ovf_disk backing = system->disks[i];
        size_t place = i;
        for (; place > 0 && stands_before(&disk, &system->vm->disks[place - 1]); place--) {
            system->vm->disks[place] = system->vm->disks[place - 1];
            system->disks[place] = system->disks[place - 1];
        }
        system->vm->disks[place] = disk;
        system->disks[place] = backing;
    }
}

bool ovf_read_hardware(struct ovf_reading *reading, const xmlNode *section,
                       struct ovf_system *system, struct error *err)
{
    struct hardware hardware = {.reading = reading, .system = system};
    struct vm *vm = system->vm;
    vm->disks = arena_calloc(reading->arena, VM_DISKS_MOST, sizeof(*vm->disks));
    vm->nics = arena_calloc(reading->arena, VM_NICS_MOST, sizeof(*vm->nics));
    system->disks = arena_calloc(reading->arena, VM_DISKS_MOST, sizeof(*system->disks));
    if (!take_items(&hardware, section, true, err) || !take_items(&hardware, section, false, err))
        return error_prefix(err, "machine \"%.60s\"", system->id);
    order_disks(system);
    if (vm->cpus == 0)
        vm->cpus = 1;
    if (vm->memory_mib == 0)
        vm->memory_mib = 512;
    return true;
}
