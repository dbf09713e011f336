/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/boot_check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "migration/cage.h"
#include "migration/confine.h"
#include "migration/destination/domain_xml.h"
#include "proto/fault.h"

#define QEMU "qemu-system-x86_64"
#define ARGUMENTS_MOST 512
#define WINDOW_BYTES 16384
#define MEMORY_LEAST_MIB 256
#define MEMORY_MOST_MIB 2048
#define OVERLAY_MOST_BYTES (4ull << 30) /* what the guest may change of one disk while it boots */

static const char *const firmwares[][2] = {
    {"/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"},
    {"/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"},
    {"/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"},
};

/* The command line, put together in an arena. */
struct command {
    struct arena *arena;
    const char *arguments[ARGUMENTS_MOST];
    size_t count;
};

static void add(struct command *command, const char *argument)
{
    if (command->count < ARGUMENTS_MOST - 1)
        command->arguments[command->count++] = argument;
}

static void add_two(struct command *command, const char *option, const char *value)
{
    add(command, option);
    add(command, value);
}

static const char *const *find_firmware(void)
{
    for (size_t i = 0; i < COUNT_OF(firmwares); i++) {
        if (access(firmwares[i][0], R_OK) == 0 && access(firmwares[i][1], R_OK) == 0)
            return firmwares[i];
    }
    return NULL;
}

bool boot_check_possible(enum vm_firmware firmware, struct error *err)
{
    if (!cage_has_tool(QEMU))
        return error_set(err, &FAULT_UNSUPPORTED, "\"%s\" is not installed on this node", QEMU);
    if (firmware == VM_FIRMWARE_EFI && find_firmware() == NULL)
        return error_set(err, &FAULT_UNSUPPORTED, "no UEFI firmware (OVMF) on this node");
    return true;
}

/* The guest may write its variables: into a copy of ours. */
static bool add_firmware(const struct boot_plan *plan, struct command *command, struct error *err)
{
    struct buffer content = {0};
    const char *const *firmware = find_firmware();
    const char *copy = arena_printf(command->arena, "%s/boot-check-vars.fd", plan->directory);
    bool fine = file_read(firmware[1], 16u << 20, &content, err) &&
                file_replace(copy, 0600, content.data, content.length, err);
    buffer_fini(&content);
    if (!fine)
        return error_prefix(err, "cannot copy the firmware's variables");
    add_two(command, "-drive",
            arena_printf(command->arena, "if=pflash,format=raw,unit=0,readonly=on,file=%s",
                         firmware[0]));
    add_two(command, "-drive",
            arena_printf(command->arena, "if=pflash,format=raw,unit=1,file=%s", copy));
    return true;
}

static const char *scsi_device(const struct vm_disk *disk)
{
    static const char *const devices[][2] = {
        {"lsilogic", "lsi53c895a"}, {"lsisas1068", "mptsas1068"}, {"vmpvscsi", "pvscsi"}};
    for (size_t i = 0; i < COUNT_OF(devices); i++) {
        if (strcmp(domain_scsi_model(disk), devices[i][0]) == 0)
            return devices[i][1];
    }
    return "virtio-scsi-pci";
}

/* The controllers of ide and sata are part of the machine; SCSI ones are added where first needed. */
static const char *disk_device(const struct boot_plan *plan, struct command *command, size_t index,
                               size_t *on_board)
{
    const struct vm_disk *disk = &plan->vm->disks[index];
    const char *bus = domain_disk_bus(plan->vm, index, plan->virtio_disks);
    unsigned boot = (unsigned)index + 1;
    if (strcmp(bus, "virtio") == 0)
        return arena_printf(command->arena, "virtio-blk-pci,drive=disk%zu,bootindex=%u", index,
                            boot);
    if (strcmp(bus, "scsi") != 0) {
        size_t place = (*on_board)++;
        bool ide = strcmp(bus, "ide") == 0;
        return arena_printf(command->arena,
                            "ide-hd,drive=disk%zu,bus=ide.%zu,unit=%zu,bootindex=%u", index,
                            ide ? place / 2 : place, ide ? place % 2 : 0, boot);
    }
    bool first = true;
    for (size_t i = 0; i < index; i++)
        first = first && (strcmp(domain_disk_bus(plan->vm, i, false), "scsi") != 0 ||
                          plan->vm->disks[i].controller_index != disk->controller_index);
    if (first)
        add_two(command, "-device",
                arena_printf(command->arena, "%s,id=scsi%u", scsi_device(disk),
                             disk->controller_index));
    return arena_printf(command->arena,
                        "scsi-hd,drive=disk%zu,bus=scsi%u.0,scsi-id=%u,bootindex=%u", index,
                        disk->controller_index, disk->unit, boot);
}

static void add_disks(const struct boot_plan *plan, struct command *command)
{
    size_t on_board = 0;
    for (size_t i = 0; i < plan->vm->disk_count; i++) {
        add_two(command, "-drive",
                arena_printf(command->arena,
                             "if=none,id=disk%zu,format=%s,snapshot=on,file=/proc/self/fd/%d", i,
                             plan->disk_format, plan->disk_fds[i]));
        const char *device = disk_device(plan, command, i, &on_board);
        add_two(command, "-device", device);
    }
}

static bool build(const struct boot_plan *plan, bool kvm, struct command *command,
                  struct error *err)
{
    const struct vm *vm = plan->vm;
    uint64_t memory = vm->memory_mib < MEMORY_LEAST_MIB ? MEMORY_LEAST_MIB : vm->memory_mib;
    memory = memory > MEMORY_MOST_MIB ? MEMORY_MOST_MIB : memory;
    add(command, QEMU);
    add_two(command, "-machine", domain_machine(vm, plan->virtio_disks));
    add_two(command, "-accel", kvm ? "kvm" : "tcg,thread=multi");
    add_two(command, "-cpu", kvm ? "host" : "max");
    add_two(command, "-m", arena_printf(command->arena, "%llu", (unsigned long long)memory));
    add_two(command, "-smp", vm->cpus > 1 ? "2" : "1");
    add_two(command, "-uuid",
            vm->uuid != NULL && strlen(vm->uuid) == 36 ? vm->uuid
                                                       : "00000000-0000-0000-0000-000000000000");
    static const char *const fixed[] = {"-nodefaults",
                                        "-no-user-config",
                                        "-no-reboot",
                                        "-vga",
                                        "std",
                                        "-display",
                                        "none",
                                        "-monitor",
                                        "none",
                                        "-serial",
                                        "stdio",
                                        "-nic",
                                        "none",
                                        "-sandbox",
                                        "on,obsolete=deny,elevateprivileges=deny,spawn=deny"};
    for (size_t i = 0; i < COUNT_OF(fixed); i++)
        add(command, fixed[i]);
    if (vm->firmware == VM_FIRMWARE_EFI && !add_firmware(plan, command, err))
        return false;
    add_disks(plan, command);
    return true;
}

/* What of the console is searched: texts may come in pieces. */
struct window {
    char text[WINDOW_BYTES + 1];
    size_t length;
};

static void take(struct window *window, const char *data, size_t length)
{
    if (window->length + length > WINDOW_BYTES) {
        size_t drop = window->length + length - WINDOW_BYTES;
        drop = drop > window->length ? window->length : drop;
        memmove(window->text, window->text + drop, window->length - drop);
        window->length -= drop;
    }
    memcpy(window->text + window->length, data, length);
    window->length += length;
    for (size_t i = 0; i < window->length; i++)
        window->text[i] = window->text[i] == '\0' ? ' ' : window->text[i];
    window->text[window->length] = '\0';
}

enum outcome {
    OUTCOME_BOOTED,
    OUTCOME_SILENT /* ended or out of time */,
    OUTCOME_HOPELESS,
    OUTCOME_ERROR
};

static enum outcome judge(const struct boot_plan *plan, const struct window *window)
{
    static const char *const hopeless[] = {"ALERT!", "Kernel panic", "No bootable device",
                                           "Boot failed: not a bootable disk",
                                           "Shell> " /* of the firmware: it found no system */};
    if (strstr(window->text, plan->text) != NULL)
        return OUTCOME_BOOTED;
    for (size_t i = 0; i < COUNT_OF(hopeless); i++) {
        if (strstr(window->text, hopeless[i]) != NULL)
            return OUTCOME_HOPELESS;
    }
    return OUTCOME_SILENT;
}

/* The console may end in the middle of the telling line: its rest is awaited for a moment. */
static void read_rest(struct cage *cage)
{
    char data[4096];
    size_t length = 1;
    bool end = false;
    struct error ignored;
    for (int turn = 0; turn < 16 && length > 0 && !end; turn++) {
        if (!cage_read(cage, 300, data, sizeof(data), &length, &end, &ignored))
            return;
    }
}

static enum outcome watch(const struct boot_plan *plan, struct cage *cage, uint64_t deadline_ms,
                          struct error *err)
{
    struct window window = {.length = 0};
    bool end = false;
    while (!end && clock_mono_ms() < deadline_ms) {
        char data[4096];
        size_t length = 0;
        if (!cage_read(cage, 250, data, sizeof(data), &length, &end, err) ||
            (plan->go_on != NULL && !plan->go_on(plan->context, err)))
            return OUTCOME_ERROR;
        take(&window, data, length);
        enum outcome outcome = judge(plan, &window);
        if (outcome != OUTCOME_SILENT) {
            if (outcome == OUTCOME_HOPELESS)
                read_rest(cage);
            return outcome;
        }
    }
    return OUTCOME_SILENT;
}

static bool explain(const struct boot_plan *plan, struct cage *cage, struct error *err)
{
    const char *tail = cage_tail(cage);
    size_t length = strlen(tail);
    int status = 0;
    if (cage_ended(cage, 0, &status) && WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ)
        return error_set(err, &FAULT_BOOT_FAILED,
                         "the guest changed more than %llu MiB of a disk before it said \"%.60s\"",
                         OVERLAY_MOST_BYTES >> 20, plan->text);
    return error_set(err, &FAULT_BOOT_FAILED,
                     "\"%.60s\" did not come (%llu s were given); the console ends with: %s",
                     plan->text, (unsigned long long)plan->timeout_ms / 1000,
                     length > 360 ? tail + length - 360 : tail);
}

/* Beside the system: the disks to read, its own directory for overlays and firmware variables. */
static bool walls_make(const struct boot_plan *plan, struct confine **ret_confine,
                       struct error *err)
{
    CLEANUP(xfreep) char *tool = cage_tool(QEMU);
    if (!confine_new(CONFINE_NO_CHILDREN, ret_confine, err))
        return false;
    confine_system(*ret_confine);
    confine_tool(*ret_confine, tool != NULL ? tool : "/usr/bin/" QEMU);
    confine_path(*ret_confine, plan->directory, CONFINE_READ | CONFINE_WRITE);
    for (size_t i = 0; i < plan->vm->disk_count; i++)
        confine_fd(*ret_confine, plan->disk_fds[i], CONFINE_READ);
    return true;
}

static enum outcome try_boot(const struct boot_plan *plan, bool kvm, uint64_t deadline_ms,
                             struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct command command = {.arena = arena};
    CLEANUP(cage_closep) struct cage *cage = NULL;
    CLEANUP(confine_freep) struct confine *confine = NULL;
    const char *environment[] = {arena_printf(arena, "TMPDIR=%s", plan->directory), NULL};
    if (!build(plan, kvm, &command, err) || !walls_make(plan, &confine, err))
        return OUTCOME_ERROR;
    struct cage_plan cage_plan = {.argv = command.arguments,
                                  .environment = environment,
                                  .directory = plan->directory,
                                  .fds = plan->disk_fds,
                                  .fd_count = plan->vm->disk_count,
                                  .file_bytes = OVERLAY_MOST_BYTES,
                                  .confine = confine};
    if (!cage_start(&cage_plan, &cage, err))
        return OUTCOME_ERROR;
    enum outcome outcome = watch(plan, cage, deadline_ms, err);
    if (outcome == OUTCOME_SILENT || outcome == OUTCOME_HOPELESS)
        explain(plan, cage, err);
    return outcome;
}

static bool kvm_is_wanted(const struct boot_plan *plan)
{
    if (strcmp(plan->accelerator, "tcg") == 0)
        return false;
    return strcmp(plan->accelerator, "kvm") == 0 || access("/dev/kvm", R_OK | W_OK) == 0;
}

bool boot_check(const struct boot_plan *plan, struct boot_result *ret_result, struct error *err)
{
    uint64_t begin = clock_mono_ms(), deadline = begin + plan->timeout_ms;
    bool may_fall_back = strcmp(plan->accelerator, "kvm") != 0;
    bool kvm = kvm_is_wanted(plan);
    if (!boot_check_possible(plan->vm->firmware, err))
        return false;
    /* A host may offer /dev/kvm and yet run no guest with it: a third of the time is for finding out. */
    uint64_t first = kvm && may_fall_back ? begin + plan->timeout_ms / 3 : deadline;
    enum outcome outcome = try_boot(plan, kvm, first, err);
    if (outcome == OUTCOME_SILENT && kvm && may_fall_back) {
        kvm = false;
        outcome = try_boot(plan, kvm, deadline, err);
    }
    if (outcome != OUTCOME_BOOTED)
        return false;
    ret_result->accelerator = kvm ? "kvm" : "tcg";
    ret_result->duration_ms = clock_mono_ms() - begin;
    return true;
}
