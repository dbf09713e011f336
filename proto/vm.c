/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/vm.h"

#include <string.h>

#include "proto/fault.h"
#include "proto/text.h"

/* The widths of the columns that will hold them; a byte is never less than a character. */
#define WORD_MOST 32
#define BUS_MOST 16
#define UUID_MOST 64
#define ANNOTATION_MOST 8192
#define OBSTACLE_CODE_MOST 48
#define OBSTACLE_TEXT_MOST 1024

enum text_kind { TEXT_LINE, TEXT_LINES, TEXT_WORD /* ASCII without spaces */ };

static const char *const powers[] = {"unknown", "off", "on", "suspended"};
static const char *const firmwares[] = {"unknown", "bios", "efi"};

const char *vm_power_name(enum vm_power power)
{
    return powers[(unsigned)power < COUNT_OF(powers) ? power : VM_POWER_UNKNOWN];
}

enum vm_power vm_power_parse(const char *name)
{
    for (unsigned i = 1; name && i < COUNT_OF(powers); i++)
        if (strcmp(powers[i], name) == 0)
            return (enum vm_power)i;
    return VM_POWER_UNKNOWN;
}

const char *vm_firmware_name(enum vm_firmware firmware)
{
    return firmwares[(unsigned)firmware < COUNT_OF(firmwares) ? firmware : VM_FIRMWARE_UNKNOWN];
}

enum vm_firmware vm_firmware_parse(const char *name)
{
    for (unsigned i = 1; name && i < COUNT_OF(firmwares); i++)
        if (strcmp(firmwares[i], name) == 0)
            return (enum vm_firmware)i;
    return VM_FIRMWARE_UNKNOWN;
}

static bool is_word(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

/* NULL and "" pass: what must be there is asked by text_required. */
static bool text_check(const char *what, const char *text, size_t most, enum text_kind kind,
                       struct error *err)
{
    size_t length = text ? strnlen(text, most + 1) : 0;

    if (length == 0)
        return true;
    if (length > most)
        return error_set(err, &FAULT_TOO_LARGE, "%s is longer than %zu bytes", what, most);
    if (kind == TEXT_WORD ? !is_word(text) : !text_is_printable(text, kind == TEXT_LINES))
        return error_set(err, &FAULT_VM_CONFIG_INVALID,
                         "%s holds control characters or is not UTF-8", what);
    return true;
}

static bool text_required(const char *what, const char *text, size_t most, struct error *err)
{
    if (!text || !*text)
        return error_set(err, &FAULT_VM_CONFIG_INVALID, "%s is missing", what);
    return text_check(what, text, most, TEXT_LINE, err);
}

static bool number_check(const char *what, uint64_t number, uint64_t most, struct error *err)
{
    if (number > most)
        return error_set(err, &FAULT_TOO_LARGE, "%s is %llu, more than %llu", what,
                         (unsigned long long)number, (unsigned long long)most);
    return true;
}

static bool disk_check(const struct vm_disk *disk, struct error *err)
{
    return text_required("key", disk->key, VM_KEY_MOST, err) &&
           text_check("bus", disk->bus, BUS_MOST, TEXT_WORD, err) &&
           text_check("controller", disk->controller, WORD_MOST, TEXT_WORD, err) &&
           text_check("format", disk->format, WORD_MOST, TEXT_WORD, err) &&
           number_check("capacity", disk->capacity_bytes, VM_DISK_BYTES_MOST, err) &&
           number_check("stored size", disk->stored_bytes, VM_DISK_BYTES_MOST, err);
}

static bool nic_check(const struct vm_nic *nic, struct error *err)
{
    return text_check("mac", nic->mac, WORD_MOST, TEXT_WORD, err) &&
           text_check("model", nic->model, WORD_MOST, TEXT_LINE, err) &&
           text_check("network", nic->network, VM_NAME_MOST, TEXT_LINE, err);
}

static bool machine_check(const struct vm *vm, struct error *err)
{
    return text_required("key", vm->key, VM_KEY_MOST, err) &&
           text_required("name", vm->name, VM_NAME_MOST, err) &&
           text_check("uuid", vm->uuid, UUID_MOST, TEXT_LINE, err) &&
           text_check("guest system", vm->guest_os, VM_NAME_MOST, TEXT_LINE, err) &&
           text_check("host", vm->host, VM_NAME_MOST, TEXT_LINE, err) &&
           text_check("annotation", vm->annotation, ANNOTATION_MOST, TEXT_LINES, err) &&
           text_check("obstacle", vm->obstacle_code, OBSTACLE_CODE_MOST, TEXT_WORD, err) &&
           text_check("obstacle", vm->obstacle_text, OBSTACLE_TEXT_MOST, TEXT_LINES, err) &&
           number_check("number of CPUs", vm->cpus, VM_CPUS_MOST, err) &&
           number_check("cores per socket", vm->cores_per_socket, VM_CPUS_MOST, err) &&
           number_check("memory (MiB)", vm->memory_mib, VM_MEMORY_MIB_MOST, err) &&
           number_check("number of disks", vm->disk_count, VM_DISKS_MOST, err) &&
           number_check("number of NICs", vm->nic_count, VM_NICS_MOST, err);
}

bool vm_check(const struct vm *vm, struct error *err)
{
    if (!machine_check(vm, err))
        return error_prefix(err, "vm");
    for (size_t i = 0; i < vm->disk_count; i++)
        if (!disk_check(&vm->disks[i], err))
            return error_prefix(err, "vm: disk %zu", i);
    for (size_t i = 0; i < vm->nic_count; i++)
        if (!nic_check(&vm->nics[i], err))
            return error_prefix(err, "vm: NIC %zu", i);
    return true;
}

static void disk_copy(struct arena *arena, struct vm_disk *disk)
{
    disk->key = arena_strdup(arena, disk->key);
    disk->bus = arena_strdup(arena, disk->bus);
    disk->controller = arena_strdup(arena, disk->controller);
    disk->format = arena_strdup(arena, disk->format);
}

static void nic_copy(struct arena *arena, struct vm_nic *nic)
{
    nic->mac = arena_strdup(arena, nic->mac);
    nic->model = arena_strdup(arena, nic->model);
    nic->network = arena_strdup(arena, nic->network);
}

struct vm *vm_copy(struct arena *arena, const struct vm *vm)
{
    struct vm *copy = arena_memdup(arena, vm, sizeof(*vm));

    copy->key = arena_strdup(arena, vm->key);
    copy->name = arena_strdup(arena, vm->name);
    copy->uuid = arena_strdup(arena, vm->uuid);
    copy->guest_os = arena_strdup(arena, vm->guest_os);
    copy->host = arena_strdup(arena, vm->host);
    copy->annotation = arena_strdup(arena, vm->annotation);
    copy->obstacle_code = arena_strdup(arena, vm->obstacle_code);
    copy->obstacle_text = arena_strdup(arena, vm->obstacle_text);
    copy->disks = arena_calloc(arena, vm->disk_count + 1, sizeof(*copy->disks));
    for (size_t i = 0; i < vm->disk_count; i++) {
        copy->disks[i] = vm->disks[i];
        disk_copy(arena, &copy->disks[i]);
    }
    copy->nics = arena_calloc(arena, vm->nic_count + 1, sizeof(*copy->nics));
    for (size_t i = 0; i < vm->nic_count; i++) {
        copy->nics[i] = vm->nics[i];
        nic_copy(arena, &copy->nics[i]);
    }
    return copy;
}

bool vm_check_same(const struct vm *described, const struct vm *found, struct error *err)
{
    if (found->obstacle_code != NULL)
        return error_set(err, fault_get(found->obstacle_code), "%s", found->obstacle_text);
    bool same = described->disk_count == found->disk_count;
    for (size_t i = 0; same && i < found->disk_count; i++)
        same = strcmp(described->disks[i].key, found->disks[i].key) == 0 &&
               described->disks[i].capacity_bytes == found->disks[i].capacity_bytes;
    if (!same)
        return error_set(err, &FAULT_VM_CHANGED,
                         "the machine has other disks than when it was described");
    return true;
}

uint64_t vm_capacity_bytes(const struct vm *vm)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < vm->disk_count; i++)
        if (__builtin_add_overflow(sum, vm->disks[i].capacity_bytes, &sum))
            return UINT64_MAX;
    return sum;
}
