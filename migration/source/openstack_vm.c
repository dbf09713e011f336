/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/openstack_vm.h"

#include <stdlib.h>
#include <string.h>

#include "migration/source/foreign.h"
#include "proto/fault.h"

static const char *text_of(struct arena *arena, const json_t *object, const char *key, size_t most)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL && text[0] != '\0' ? foreign_clean(arena, text, most) : NULL;
}

static uint64_t number_of(const json_t *object, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number > 0 ? (uint64_t)number : 0;
}

static void set_obstacle(struct vm *vm, const struct fault *fault, const char *text)
{
    if (vm->obstacle_code != NULL)
        return;
    vm->obstacle_code = fault->code;
    vm->obstacle_text = text;
}

/* -- power ---------------------------------------------------------------------------------------------- */

static void take_power(struct vm *vm, const json_t *server, struct arena *arena)
{
    static const struct {
        const char *status;
        enum vm_power power;
    } words[] = {
        {"ACTIVE", VM_POWER_ON},        {"SHUTOFF", VM_POWER_OFF},
        {"PAUSED", VM_POWER_SUSPENDED}, {"SUSPENDED", VM_POWER_SUSPENDED},
        {"REBOOT", VM_POWER_ON},        {"HARD_REBOOT", VM_POWER_ON},
        {"PASSWORD", VM_POWER_ON},      {"VERIFY_RESIZE", VM_POWER_UNKNOWN},
    };
    const char *status = text_of(arena, server, "status", 64);
    for (size_t i = 0; status != NULL && i < COUNT_OF(words); i++)
        if (strcmp(words[i].status, status) == 0)
            vm->power = words[i].power;
    if (vm->power == VM_POWER_SUSPENDED)
        set_obstacle(vm, &FAULT_VM_SUSPENDED, "the server is paused or suspended");
    if (vm->power == VM_POWER_UNKNOWN)
        set_obstacle(vm, &FAULT_VM_LOCKED,
                     arena_printf(arena, "the server's status is %s", status ? status : "unknown"));
}

/* -- disks ------------------------------------------------------------------------------------------------ */

bool openstack_vm_has_root(const json_t *server)
{
    return json_is_object(json_object_get(server, "image"));
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *openstack_vm_attached(const json_t *server, struct arena *arena)
{
    const json_t *list = json_object_get(server, "os-extended-volumes:volumes_attached");
    size_t index, count = json_array_size(list);
    const char **texts = arena_calloc(arena, count + 1, sizeof(*texts));
    json_t *one;
    CLEANUP(buffer_fini) struct buffer all = {0};
    json_array_foreach(list, index, one) {
        char *text = json_dumps(one, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
        texts[index] = arena_strdup(arena, text != NULL ? text : "");
        free(text);
    }
    qsort(texts, count, sizeof(*texts), by_text);
    for (size_t i = 0; i < count; i++)
        buffer_append(&all, texts[i], strlen(texts[i]));
    buffer_append(&all, "", 1);
    return arena_strdup(arena, (const char *)all.data);
}

/* What is absurd stays so: vm_check refuses it. */
static uint64_t bytes_of(uint64_t gib)
{
    return gib <= UINT64_MAX >> 30 ? gib << 30 : UINT64_MAX;
}

static const json_t *attachment_to(const json_t *volume, const char *server_id)
{
    size_t index;
    json_t *one;
    json_array_foreach(json_object_get(volume, "attachments"), index, one) {
        const char *id = json_string_value(json_object_get(one, "server_id"));
        if (id != NULL && server_id != NULL && strcmp(id, server_id) == 0)
            return one;
    }
    return NULL;
}

struct placed {
    const json_t *volume;
    const char *device;
};

/* "/dev/vdb" before "/dev/vdaa". */
static int by_device(const void *a, const void *b)
{
    const struct placed *left = a, *right = b;
    size_t left_length = strlen(left->device), right_length = strlen(right->device);
    if (left_length != right_length)
        return left_length < right_length ? -1 : 1;
    return strcmp(left->device, right->device);
}

/* Names of two buses ("/dev/sda", "/dev/vda") do not tell what the server boots from: Nova tells it to
 * those who may see it. */
static void place_root(const json_t *server, struct placed *placed, size_t count)
{
    const char *root =
        json_string_value(json_object_get(server, "OS-EXT-SRV-ATTR:root_device_name"));
    for (size_t i = 1; root != NULL && i < count; i++) {
        if (strcmp(placed[i].device, root) != 0)
            continue;
        struct placed first = placed[i];
        memmove(placed + 1, placed, i * sizeof(*placed));
        placed[0] = first;
        return;
    }
}

static size_t place_volumes(const struct openstack_parts *parts, struct placed *placed, size_t most)
{
    const char *id = json_string_value(json_object_get(parts->server, "id"));
    size_t index, count = 0;
    json_t *volume;
    json_array_foreach((json_t *)parts->volumes, index, volume) {
        const json_t *attachment = attachment_to(volume, id);
        const char *device = json_string_value(json_object_get(attachment, "device"));
        if (count < most)
            placed[count++] = (struct placed){volume, device != NULL ? device : ""};
    }
    qsort(placed, count, sizeof(*placed), by_device);
    place_root(parts->server, placed, count);
    return count;
}

static const char *bus_of(struct arena *arena, const json_t *properties)
{
    static const char *const known[] = {"ide", "sata", "scsi", "virtio", "usb"};
    const char *bus = text_of(arena, properties, "hw_disk_bus", 16);
    for (size_t i = 0; bus != NULL && i < COUNT_OF(known); i++)
        if (strcmp(known[i], bus) == 0)
            return known[i];
    return "virtio";
}

static void add_root(struct vm *vm, const struct openstack_parts *parts, const char *bus)
{
    uint64_t gib = number_of(json_object_get(parts->server, "flavor"), "disk");
    uint64_t least = number_of(parts->image, "min_disk");
    uint64_t bytes = bytes_of(gib != 0 ? gib : least);
    if (bytes == 0)
        set_obstacle(vm, &FAULT_DISK_UNSUPPORTED,
                     "its flavor has no size for the disk, and its image tells none");
    vm->disks[vm->disk_count++] = (struct vm_disk){.key = OPENSTACK_ROOT_KEY,
                                                   .bus = bus,
                                                   .capacity_bytes = bytes,
                                                   .stored_bytes = number_of(parts->image, "size"),
                                                   .format = "qcow2"};
}

static void add_volume(struct vm *vm, const json_t *volume, const char *bus, struct arena *arena)
{
    const char *id = text_of(arena, volume, "id", 64);
    if (id == NULL) {
        set_obstacle(vm, &FAULT_VM_CONFIG_INVALID, "a volume has no id");
        return;
    }
    if (json_is_true(json_object_get(volume, "encrypted")))
        set_obstacle(vm, &FAULT_VM_ENCRYPTED,
                     arena_printf(arena, "volume %s is encrypted: its key stays in its cloud", id));
    vm->disks[vm->disk_count] =
        (struct vm_disk){.key = id,
                         .bus = bus,
                         .unit = (uint32_t)vm->disk_count,
                         .capacity_bytes = bytes_of(number_of(volume, "size")),
                         .format = "raw"};
    vm->disk_count++;
}

static void take_disks(struct vm *vm, const struct openstack_parts *parts, const char *bus,
                       struct arena *arena)
{
    struct placed placed[VM_DISKS_MOST];
    size_t told =
        json_array_size(json_object_get(parts->server, "os-extended-volumes:volumes_attached"));
    vm->disks = arena_calloc(arena, VM_DISKS_MOST + 1, sizeof(*vm->disks));
    if (openstack_vm_has_root(parts->server))
        add_root(vm, parts, bus);
    size_t count = place_volumes(parts, placed, VM_DISKS_MOST - vm->disk_count);
    for (size_t i = 0; i < count; i++)
        add_volume(vm, placed[i].volume, bus, arena);
    if (told + openstack_vm_has_root(parts->server) > VM_DISKS_MOST)
        set_obstacle(vm, &FAULT_DISK_UNSUPPORTED, "the server has more disks than can be moved");
    if (told != json_array_size(parts->volumes))
        set_obstacle(vm, &FAULT_DISK_MISSING,
                     "Nova and Cinder disagree on the volumes that are attached");
    if (vm->disk_count == 0)
        set_obstacle(vm, &FAULT_VM_CONFIG_INVALID, "the server has no disk");
    if (number_of(json_object_get(parts->server, "flavor"), "ephemeral") > 0)
        set_obstacle(vm, &FAULT_DISK_UNSUPPORTED,
                     "its flavor has an ephemeral disk, which OpenStack gives to nobody");
}

/* -- network cards ------------------------------------------------------------------------------------------ */

static const char *mac_of(struct arena *arena, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? foreign_mac(arena, text) : NULL;
}

static void add_nic(struct vm *vm, const char *mac, const char *network, const char *model)
{
    for (size_t i = 0; i < vm->nic_count; i++)
        if (mac != NULL && vm->nics[i].mac != NULL && strcmp(vm->nics[i].mac, mac) == 0)
            return; /* a second address of the card */
    if (vm->nic_count < VM_NICS_MOST)
        vm->nics[vm->nic_count++] = (struct vm_nic){.mac = mac,
                                                    .model = model,
                                                    .network = network != NULL ? network : "",
                                                    .connected = true};
}

/* To be released. */
static json_t *by_mac(const json_t *interfaces, struct arena *arena)
{
    size_t index;
    json_t *one, *found = json_object();
    json_array_foreach((json_t *)interfaces, index, one) {
        const char *mac = mac_of(arena, one, "mac_addr");
        if (mac != NULL)
            json_object_set(found, mac, one);
    }
    return found;
}

static void add_interface(struct vm *vm, const json_t *interface, const json_t *networks,
                          const char *model, struct arena *arena)
{
    const char *id = json_string_value(json_object_get(interface, "net_id"));
    const char *network = id != NULL ? text_of(arena, networks, id, 255) : NULL;
    add_nic(vm, mac_of(arena, interface, "mac_addr"),
            network != NULL ? network : text_of(arena, interface, "net_id", 255), model);
}

/* The interfaces tell what cards there are, in the order of Neutron's ids, which means nothing; the
 * addresses stand in the order in which the server got its cards, network by network. Cards without
 * an address come last. */
static void take_nics(struct vm *vm, const struct openstack_parts *parts, const char *model,
                      struct arena *arena)
{
    size_t index;
    json_t *one, *list, *interfaces = by_mac(parts->interfaces, arena);
    const char *name;
    vm->nics = arena_calloc(arena, VM_NICS_MOST, sizeof(*vm->nics));
    json_object_foreach(json_object_get(parts->server, "addresses"), name, list) {
        json_array_foreach(list, index, one) {
            const char *mac = mac_of(arena, one, "OS-EXT-IPS-MAC:mac_addr");
            const json_t *interface = json_object_get(interfaces, mac);
            if (interface != NULL)
                add_interface(vm, interface, parts->networks, model, arena);
            else if (parts->interfaces == NULL)
                add_nic(vm, mac, foreign_clean(arena, name, 255), model);
        }
    }
    json_array_foreach((json_t *)parts->interfaces, index, one)
        add_interface(vm, one, parts->networks, model, arena);
    json_decref(interfaces);
}

/* -- all of it ---------------------------------------------------------------------------------------------- */

/* Of the image that the server, or the volume it boots from, was made of. */
static const json_t *properties_of(const struct openstack_parts *parts)
{
    struct placed placed[VM_DISKS_MOST];
    if (openstack_vm_has_root(parts->server))
        return parts->image;
    size_t count = place_volumes(parts, placed, VM_DISKS_MOST);
    return count > 0 ? json_object_get(placed[0].volume, "volume_image_metadata") : NULL;
}

struct vm *openstack_vm(const struct openstack_parts *parts, struct arena *arena)
{
    const json_t *server = parts->server, *flavor = json_object_get(server, "flavor");
    const json_t *properties = properties_of(parts);
    struct vm *vm = arena_alloc(arena, sizeof(*vm));
    const char *firmware = text_of(arena, properties, "hw_firmware_type", 16);
    const char *secure = text_of(arena, properties, "os_secure_boot", 16);
    const char *system = text_of(arena, properties, "os_distro", 64);
    const char *model = text_of(arena, properties, "hw_vif_model", 32);
    vm->key = text_of(arena, server, "id", 64);
    vm->key = vm->key != NULL ? vm->key : "";
    vm->name = text_of(arena, server, "name", VM_NAME_MOST);
    vm->name = vm->name != NULL ? vm->name : vm->key;
    vm->uuid = vm->key;
    vm->firmware =
        firmware != NULL && strcmp(firmware, "uefi") == 0 ? VM_FIRMWARE_EFI : VM_FIRMWARE_BIOS;
    vm->secure_boot = secure != NULL && strcmp(secure, "required") == 0;
    vm->cpus = (uint32_t)number_of(flavor, "vcpus");
    vm->memory_mib = number_of(flavor, "ram");
    vm->guest_os = system != NULL ? system : text_of(arena, properties, "os_type", 64);
    vm->host = text_of(arena, server, "OS-EXT-SRV-ATTR:host", 255);
    vm->annotation = text_of(arena, server, "description", 255);
    take_power(vm, server, arena);
    take_disks(vm, parts, bus_of(arena, properties), arena);
    take_nics(vm, parts, model != NULL ? model : "virtio", arena);
    return vm;
}
