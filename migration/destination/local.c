/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "migration/cage.h"
#include "migration/destination/boot_check.h"
#include "migration/destination/local_inner.h"
#include "migration/disk/qcow2.h"
#include "proto/fault.h"

static void local_close(struct destination *destination)
{
    struct local *self = (struct local *)destination;
    fd_closep(&self->root_fd);
    free(self->path);
    free(self);
}

static bool local_open(struct work *work, const struct settings *settings,
                       struct destination **ret_destination, struct error *err)
{
    struct local *self = xcalloc(1, sizeof(*self));
    self->destination.driver = &destination_local;
    self->work = work;
    self->path = xstrdup(settings_text(settings, "path"));
    self->root_fd = -1;
    if (!roots_open_for_write(work_roots(work), self->path, O_RDONLY | O_DIRECTORY, 0,
                              &self->root_fd, err)) {
        local_close(&self->destination);
        /* A filesystem that is not mounted now may be back later: that is no reason to give up. */
        if (err->fault == &FAULT_NOT_FOUND || err->fault == &FAULT_IO ||
            err->fault == &FAULT_TIMEOUT)
            err->fault = &FAULT_DESTINATION_UNREACHABLE;
        return false;
    }
    *ret_destination = &self->destination;
    return true;
}

static bool check_writable(const struct local *self, struct error *err)
{
    if (faccessat(self->root_fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        return error_set_errno(err, errno, "cannot write into \"%s\"", self->path);
    return true;
}

static bool local_test(struct destination *destination, struct error *err)
{
    return check_writable((struct local *)destination, err);
}

static bool free_bytes(const struct local *self, uint64_t *ret_bytes, struct error *err)
{
    struct statvfs facts;
    if (fstatvfs(self->root_fd, &facts) != 0)
        return error_set_errno(err, errno, "cannot ask \"%s\" for its room", self->path);
    *ret_bytes = (uint64_t)facts.f_bavail * facts.f_frsize;
    return true;
}

static bool local_catalog(struct destination *destination,
                          bool (*take)(void *context, const char *kind, const char *id,
                                       const char *name, const json_t *detail, struct error *err),
                          void *context, struct error *err)
{
    static const char *const formats[] = {"qcow2", "raw"};
    struct local *self = (struct local *)destination;
    uint64_t bytes = 0;
    if (!free_bytes(self, &bytes, err))
        return false;
    json_t *detail = json_pack("{s:I}", "free_bytes", (json_int_t)bytes);
    json_t *nothing = json_object();
    bool fine = take(context, "storage", self->path, self->path, detail, err);
    for (size_t i = 0; fine && i < COUNT_OF(formats); i++)
        fine = take(context, "format", formats[i], formats[i], nothing, err);
    json_decref(detail);
    json_decref(nothing);
    return fine;
}

static bool one_of(const char *field, const char *value, const char *a, const char *b,
                   const char *c, struct error *err)
{
    if (strcmp(value, a) == 0 || strcmp(value, b) == 0 || (c != NULL && strcmp(value, c) == 0))
        return true;
    return error_set(err, &FAULT_FIELDS_INVALID,
                     "\"%s\" must be \"%s\"%s \"%s\"%s%s%s, not \"%.40s\"", field, a,
                     c != NULL ? "," : " or", b, c != NULL ? " or \"" : "", c != NULL ? c : "",
                     c != NULL ? "\"" : "", value);
}

static const char *text_or(const struct settings *settings, const char *name, const char *standard)
{
    const char *text = settings_text(settings, name);
    return text != NULL ? text : standard;
}

/* −1: unknown */
static int compression_find(const char *name)
{
    static const char *const names[] = {[DISK_QCOW2_PLAIN] = "none",
                                        [DISK_QCOW2_ZSTD] = "zstd",
                                        [DISK_QCOW2_DEFLATE] = "deflate",
                                        [DISK_QCOW2_REPACK] = "repack"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    }
    return -1;
}

static bool compression_check(const struct local_options *options, struct error *err)
{
    if (options->compression < 0)
        return error_set(err, &FAULT_FIELDS_INVALID,
                         "\"compression\" must be \"none\", \"zstd\", \"deflate\" or \"repack\"");
    if (options->compression != DISK_QCOW2_PLAIN && strcmp(options->format, "qcow2") != 0)
        return error_set(err, &FAULT_FIELDS_INVALID, "\"compression\" needs the format \"qcow2\"");
    return true;
}

bool local_options_read(const struct settings *settings, struct local_options *ret_options,
                        struct error *err)
{
    const char *bus = text_or(settings, "bus", "virtio");
    const char *nic_model = text_or(settings, "nic_model", "virtio");
    *ret_options = (struct local_options){
        .format = text_or(settings, "format", "qcow2"),
        .compression = compression_find(text_or(settings, "compression", "none")),
        .virtio_disks = strcmp(bus, "virtio") == 0,
        .virtio_nics = strcmp(nic_model, "virtio") == 0,
        .verify_boot = settings_boolean(settings, "verify_boot"),
        .boot_text = text_or(settings, "boot_text", "login:"),
        .boot_accelerator = text_or(settings, "boot_accelerator", "auto"),
        .boot_timeout_s = settings_integer(settings, "boot_timeout_s"),
        .network = text_or(settings, "network", "default"),
        .bridge = text_or(settings, "bridge", ""),
    };
    if (ret_options->boot_timeout_s < 1 || ret_options->boot_timeout_s > 3600)
        return error_set(err, &FAULT_FIELDS_INVALID, "\"boot_timeout_s\" must be 1 to 3600");
    if (ret_options->boot_text[0] == '\0' || strlen(ret_options->boot_text) > 255)
        return error_set(err, &FAULT_FIELDS_INVALID, "\"boot_text\" must have 1 to 255 bytes");
    return one_of("format", ret_options->format, "qcow2", "raw", NULL, err) &&
           compression_check(ret_options, err) &&
           one_of("bus", bus, "virtio", "source", NULL, err) &&
           one_of("nic_model", nic_model, "virtio", "source", NULL, err) &&
           one_of("boot_accelerator", ret_options->boot_accelerator, "auto", "kvm", "tcg", err);
}

struct place_mark local_mark(const struct local *local)
{
    return (struct place_mark){.migration = *work_owner(local->work),
                               .attempt = work_token(local->work)->attempt};
}

static void check_name(const struct local *self, const struct destination_plan *plan,
                       struct fault_list *faults)
{
    char name[PLACE_NAME_SIZE];
    struct place_mark mark;
    if (plan->server_name == NULL || plan->server_name[0] == '\0') {
        fault_list_add(faults, &FAULT_FIELDS_INVALID, "the server has no name");
        return;
    }
    place_server_name(plan->server_name, name);
    if (place_exists(self->root_fd, name) && (!place_read_mark(self->root_fd, name, &mark) ||
                                              !uuid_equal(&mark.migration, work_owner(self->work))))
        fault_list_add(faults, &FAULT_SERVER_EXISTS, "\"%s/%s\" exists already", self->path, name);
}

/* What a disk will take at least. Its true content shows only while it is copied: a compressed source
 * may need up to its capacity. */
static uint64_t likely_bytes(const struct vm *vm)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < vm->disk_count; i++) {
        uint64_t stored = vm->disks[i].stored_bytes, capacity = vm->disks[i].capacity_bytes;
        sum += stored > 0 && stored < capacity ? stored : capacity;
    }
    return sum;
}

static bool check_space(struct local *self, const struct vm *vm, struct fault_list *faults,
                        struct error *err)
{
    uint64_t bytes = 0;
    if (!free_bytes(self, &bytes, err))
        return false;
    if (bytes < likely_bytes(vm))
        fault_list_add(faults, &FAULT_NO_SPACE, "\"%s\" has %llu MiB free, the disks need %llu",
                       self->path, (unsigned long long)bytes >> 20,
                       (unsigned long long)likely_bytes(vm) >> 20);
    else if (bytes < vm_capacity_bytes(vm))
        work_note(self->work, "\"%s\" has less room than the disks' whole capacity", self->path);
    return true;
}

static void check_vm(const struct vm *vm, struct fault_list *faults)
{
    if (vm->disk_count == 0)
        fault_list_add(faults, &FAULT_VM_CONFIG_INVALID, "the machine has no disk");
    for (size_t i = 0; i < vm->disk_count; i++) {
        if (vm->disks[i].capacity_bytes == 0 || vm->disks[i].capacity_bytes % 512 != 0)
            fault_list_add(faults, &FAULT_DISK_UNSUPPORTED,
                           "disk %zu has %llu bytes, which is no number of sectors", i,
                           (unsigned long long)vm->disks[i].capacity_bytes);
    }
}

static bool local_preflight(struct destination *destination, const struct destination_plan *plan,
                            struct fault_list *faults, struct error *err)
{
    struct local *self = (struct local *)destination;
    struct local_options options;
    struct error why = {0};
    if (!check_writable(self, &why))
        fault_list_add(faults, why.fault, "%s", why.text);
    bool understood = local_options_read(plan->options, &options, &why);
    if (!understood)
        fault_list_add(faults, why.fault, "%s", why.text);
    if (understood && options.verify_boot && !boot_check_possible(plan->vm->firmware, &why))
        fault_list_add(faults, why.fault, "%s", why.text);
    if (!cage_has_tool("qemu-nbd"))
        fault_list_add(faults, &FAULT_UNSUPPORTED,
                       "\"qemu-nbd\", which reads the result again, is not installed on this node");
    check_name(self, plan, faults);
    check_vm(plan->vm, faults);
    return check_space(self, plan->vm, faults, err);
}

static bool local_sweep(struct destination *destination, const struct destination_plan *plan,
                        struct error *err)
{
    struct local *self = (struct local *)destination;
    struct place_mark mark = local_mark(self);
    return work_fence(self->work, err) && place_sweep(self->root_fd, &mark, err);
}

static const struct setting settings[] = {
    {.name = "path",
     .type = SETTING_PATH,
     .required = true,
     .address = true,
     .help = "the directory in which each server becomes a directory"},
};
static const struct setting options[] = {
    {.name = "format",
     .type = SETTING_TEXT,
     .standard = "qcow2",
     .help = "of the disks: qcow2 or raw"},
    {.name = "compression",
     .type = SETTING_TEXT,
     .standard = "none",
     .help =
         "of qcow2: none, zstd, deflate (slower, read by all), or repack (grains of a "
         "streamOptimized VMDK as they are: fastest, with a window that some readers may refuse)"},
    {.name = "bus",
     .type = SETTING_TEXT,
     .standard = "virtio",
     .help = "of the disks: virtio, or source for the one that the vm had (QEMU has no LSI Logic "
             "parallel of VMware's kind: its LSI 53C895A needs a driver of its own in the guest; "
             "BusLogic becomes that too, NVMe becomes SATA; UEFI firmware of many distributions "
             "boots from no SCSI controller but virtio's)"},
    {.name = "nic_model",
     .type = SETTING_TEXT,
     .standard = "virtio",
     .help = "virtio, or source for the one that the vm had"},
    {.name = "network",
     .type = SETTING_TEXT,
     .standard = "default",
     .help = "the libvirt network of all cards"},
    {.name = "bridge", .type = SETTING_TEXT, .help = "a bridge of the host instead of the network"},
    {.name = "verify_boot",
     .type = SETTING_BOOLEAN,
     .standard = "false",
     .help =
         "boot the result on a throw-away overlay, without network, before it counts as verified"},
    {.name = "boot_text",
     .type = SETTING_TEXT,
     .standard = "login:",
     .help = "the text awaited on the first serial port"},
    {.name = "boot_timeout_s",
     .type = SETTING_INTEGER,
     .standard = "300",
     .help = "how long at most"},
    {.name = "boot_accelerator",
     .type = SETTING_TEXT,
     .standard = "auto",
     .help = "kvm, tcg, or auto: kvm first where the node has it"},
};
static const char *const features[] = {"random", "boot-verification", NULL};

const struct destination_driver destination_local = {
    .name = "local",
    .title = "Local directory (libvirt)",
    .features = features,
    .settings = settings,
    .setting_count = COUNT_OF(settings),
    .options = options,
    .option_count = COUNT_OF(options),
    .converts = true,
    .open = local_open,
    .close = local_close,
    .test = local_test,
    .catalog = local_catalog,
    .preflight = local_preflight,
    .disk_begin = local_disk_begin,
    .disk_end = local_disk_end,
    .deploy = local_deploy,
    .verify = local_verify,
    .undo = local_undo,
    .accept = local_accept,
    .sweep = local_sweep,
    .settle = local_settle,
    .marks = local_marks,
    .remove_mark = local_remove_mark,
};
