/* SPDX-License-Identifier: Apache-2.0
 *
 * The larger parts of messages: machines and entries of the ledger.
 */
#include "proto/codec.h"

#include <string.h>

#include "proto/fault.h"
#include "proto/text.h"

/* The widths of the ledger's columns. */
#define KIND_MOST 32
#define KEY_MOST 191
#define EXTERNAL_ID_MOST 512
#define DETAIL_MOST 1024
#define PRIOR_MOST 65535

/* -- in ------------------------------------------------------------------------------------------ */

/* What may be unknown is NULL in a plain struct and "" on the wire. */
static const char *text_or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static struct vm_disk *disks_from(const Guts__V1__Vm *vm, struct arena *arena)
{
    struct vm_disk *disks = arena_calloc(arena, vm->n_disks + 1, sizeof(*disks));

    for (size_t i = 0; i < vm->n_disks; i++) {
        const Guts__V1__VmDisk *from = vm->disks[i];
        disks[i] = (struct vm_disk){
            .key = from->key,
            .bus = from->bus,
            .controller = text_or_null(from->controller),
            .controller_index = from->controller_index,
            .unit = from->unit,
            .capacity_bytes = from->capacity_bytes,
            .stored_bytes = from->stored_bytes,
            .format = from->format,
        };
    }
    return disks;
}

static struct vm_nic *nics_from(const Guts__V1__Vm *vm, struct arena *arena)
{
    struct vm_nic *nics = arena_calloc(arena, vm->n_nics + 1, sizeof(*nics));

    for (size_t i = 0; i < vm->n_nics; i++) {
        const Guts__V1__VmNic *from = vm->nics[i];
        nics[i] = (struct vm_nic){
            .mac = text_or_null(from->mac),
            .model = text_or_null(from->model),
            .network = from->network,
            .connected = from->connected,
        };
    }
    return nics;
}

bool codec_vm(const Guts__V1__Vm *vm, struct arena *arena, struct vm *ret_vm, struct error *err)
{
    struct vm plain;

    if (!vm)
        return error_set(err, &FAULT_MESSAGE_POISON, "vm is missing");
    if (vm->n_disks > VM_DISKS_MOST || vm->n_nics > VM_NICS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "vm has %zu disks and %zu NICs", vm->n_disks,
                         vm->n_nics);
    plain = (struct vm){
        .key = vm->key,
        .name = vm->name,
        .uuid = text_or_null(vm->uuid),
        .power = vm_power_parse(vm->power),
        .firmware = vm_firmware_parse(vm->firmware),
        .secure_boot = vm->secure_boot,
        .cpus = vm->cpus,
        .cores_per_socket = vm->cores_per_socket,
        .memory_mib = vm->memory_mib,
        .guest_os = vm->guest_os,
        .host = vm->host,
        .annotation = vm->annotation,
        .disks = disks_from(vm, arena),
        .disk_count = vm->n_disks,
        .nics = nics_from(vm, arena),
        .nic_count = vm->n_nics,
        .obstacle_code = vm->obstacle ? text_or_null(vm->obstacle->code) : NULL,
        .obstacle_text = vm->obstacle ? text_or_null(vm->obstacle->text) : NULL,
    };
    if (!vm_check(&plain, err))
        return false;
    *ret_vm = plain;
    return true;
}

static bool fits(const char *text, size_t most, bool lines)
{
    return strlen(text) <= most && text_is_printable(text, lines);
}

bool codec_ledger_entry(const Guts__V1__LedgerEntry *entry, struct ledger_entry *ret_entry,
                        struct error *err)
{
    struct ledger_entry plain;

    if (!entry)
        return error_set(err, &FAULT_MESSAGE_POISON, "ledger entry is missing");
    plain = (struct ledger_entry){
        .end = codec_end(entry->end),
        .kind = entry->kind,
        .key = entry->key,
        .state = codec_ledger_state(entry->state),
        .external_id = entry->external_id,
        .prior_json = entry->prior_json,
        .detail = entry->detail,
        .order = entry->order,
        .attempt = entry->attempt,
    };
    if (!plain.end || !plain.state || !*plain.kind || !*plain.key)
        return error_set(err, &FAULT_MESSAGE_POISON,
                         "ledger entry without a known end, state, kind or key");
    if (!fits(plain.kind, KIND_MOST, false) || !fits(plain.key, KEY_MOST, false) ||
        !fits(plain.external_id, EXTERNAL_ID_MOST, false) ||
        !fits(plain.detail, DETAIL_MOST, true) || strlen(plain.prior_json) > PRIOR_MOST)
        return error_set(err, &FAULT_MESSAGE_POISON,
                         "ledger entry with a text that is too long or holds control characters");
    *ret_entry = plain;
    return true;
}

/* -- out ----------------------------------------------------------------------------------------- */

static char *text_to(const char *text)
{
    return (char *)(text ? text : "");
}

static Guts__V1__VmDisk *disk_to(struct arena *arena, const struct vm_disk *disk)
{
    Guts__V1__VmDisk *message = arena_alloc(arena, sizeof(*message));

    guts__v1__vm_disk__init(message);
    message->key = text_to(disk->key);
    message->bus = text_to(disk->bus);
    message->controller = text_to(disk->controller);
    message->controller_index = disk->controller_index;
    message->unit = disk->unit;
    message->capacity_bytes = disk->capacity_bytes;
    message->stored_bytes = disk->stored_bytes;
    message->format = text_to(disk->format);
    return message;
}

static Guts__V1__VmNic *nic_to(struct arena *arena, const struct vm_nic *nic)
{
    Guts__V1__VmNic *message = arena_alloc(arena, sizeof(*message));

    guts__v1__vm_nic__init(message);
    message->mac = text_to(nic->mac);
    message->model = text_to(nic->model);
    message->network = text_to(nic->network);
    message->connected = nic->connected;
    return message;
}

static Guts__V1__Fault *obstacle_to(struct arena *arena, const struct vm *vm)
{
    Guts__V1__Fault *message;

    if (!vm->obstacle_code)
        return NULL;
    message = arena_alloc(arena, sizeof(*message));
    guts__v1__fault__init(message);
    message->code = text_to(vm->obstacle_code);
    message->text = text_to(vm->obstacle_text);
    return message;
}

static void machine_to(const struct vm *vm, Guts__V1__Vm *ret_message)
{
    guts__v1__vm__init(ret_message);
    ret_message->key = text_to(vm->key);
    ret_message->name = text_to(vm->name);
    ret_message->uuid = text_to(vm->uuid);
    ret_message->power = text_to(vm_power_name(vm->power));
    ret_message->firmware = text_to(vm_firmware_name(vm->firmware));
    ret_message->secure_boot = vm->secure_boot;
    ret_message->cpus = vm->cpus;
    ret_message->cores_per_socket = vm->cores_per_socket;
    ret_message->memory_mib = vm->memory_mib;
    ret_message->guest_os = text_to(vm->guest_os);
    ret_message->host = text_to(vm->host);
    ret_message->annotation = text_to(vm->annotation);
}

Guts__V1__Vm *codec_vm_to(struct arena *arena, const struct vm *vm)
{
    Guts__V1__Vm *message = arena_alloc(arena, sizeof(*message));

    machine_to(vm, message);
    message->obstacle = obstacle_to(arena, vm);
    message->n_disks = vm->disk_count;
    message->disks = arena_calloc(arena, vm->disk_count + 1, sizeof(*message->disks));
    for (size_t i = 0; i < vm->disk_count; i++)
        message->disks[i] = disk_to(arena, &vm->disks[i]);
    message->n_nics = vm->nic_count;
    message->nics = arena_calloc(arena, vm->nic_count + 1, sizeof(*message->nics));
    for (size_t i = 0; i < vm->nic_count; i++)
        message->nics[i] = nic_to(arena, &vm->nics[i]);
    return message;
}

Guts__V1__LedgerEntry *codec_ledger_entry_to(struct arena *arena, const struct ledger_entry *entry)
{
    Guts__V1__LedgerEntry *message = arena_alloc(arena, sizeof(*message));

    guts__v1__ledger_entry__init(message);
    message->end = (Guts__V1__End)entry->end;
    message->kind = text_to(entry->kind);
    message->key = text_to(entry->key);
    message->state = (Guts__V1__LedgerState)entry->state;
    message->external_id = text_to(entry->external_id);
    message->prior_json = text_to(entry->prior_json);
    message->order = entry->order;
    message->attempt = entry->attempt;
    message->detail = text_to(entry->detail);
    return message;
}
