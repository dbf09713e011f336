/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/workstation_vm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/root.h"
#include "migration/source/foreign.h"
#include "migration/source/vmx_vm.h"
#include "proto/fault.h"

#define LOCKS_MOST 4096

static bool open_beneath(void *context, const char *name, int *ret_fd, struct error *err)
{
    const struct workstation_place *place = context;
    if (roots_open_beneath(place->directory_fd, name, O_RDONLY, ret_fd, err))
        return true;
    if (err->fault == &FAULT_NOT_FOUND)
        return error_set(err, &FAULT_DISK_MISSING, "\"%.300s\" is missing", name);
    return false;
}

struct disk_opener workstation_vm_opener(const struct workstation_place *place)
{
    return (struct disk_opener){.open = open_beneath,
                                .context = (void *)(uintptr_t)place}; /* borrowed, not changed */
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcasecmp(text + length - tail, end) == 0;
}

/* NULL when it cannot be opened or is none (then *ret_known tells that). */
static DIR *open_directory(int parent_fd, const char *name, bool *ret_known)
{
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    *ret_known = fd >= 0 || errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL)
        fd_closep(&fd);
    return directory;
}

/* The next entry, or NULL at the end; *ret_known is false when the rest cannot be read. */
static const struct dirent *next_entry(DIR *directory, bool *ret_known)
{
    errno = 0;
    const struct dirent *entry = readdir(directory);
    *ret_known = entry != NULL || errno == 0;
    return entry;
}

/* A lock is a directory "x.vmx.lck" or "x.vmdk.lck" with a file "M12345.lck" in it. VMware writes
 * which host and process holds it; that may be another host, so every one counts. An empty directory
 * is a leftover; one that may not be read is none. */
static bool directory_holds_lock(int parent_fd, const char *name, bool *ret_known)
{
    DIR *directory = open_directory(parent_fd, name, ret_known);
    if (directory == NULL)
        return false;
    bool held = false;
    const struct dirent *entry;
    for (unsigned i = 0;
         !held && i < LOCKS_MOST && (entry = next_entry(directory, ret_known)) != NULL; i++) {
        struct stat facts;
        held = ends_with(entry->d_name, ".lck") &&
               fstatat(dirfd(directory), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
               S_ISREG(facts.st_mode) && facts.st_size > 0;
    }
    closedir(directory);
    return held;
}

static bool concerns(const char *entry, const char *file)
{
    return ends_with(entry, ".lck") && strlen(entry) == strlen(file) + 4 &&
           strncasecmp(entry, file, strlen(file)) == 0;
}

/* Several machines may share a directory: of locks on descriptions only our own counts; those on disks
 * and memory files are taken as ours, since a shared base disk must rest too. */
static enum workstation_lock lock_of(const struct workstation_place *place, DIR *directory,
                                     const char *name, bool *ret_known)
{
    bool own = concerns(name, place->file);
    bool other = ends_with(name, ".vmdk.lck") || ends_with(name, ".vmem.lck");
    *ret_known = true;
    if ((own || other) && directory_holds_lock(dirfd(directory), name, ret_known))
        return own ? WORKSTATION_RUNNING : WORKSTATION_LOCKED;
    return *ret_known ? WORKSTATION_FREE : WORKSTATION_UNKNOWN;
}

enum workstation_lock workstation_vm_lock(const struct workstation_place *place)
{
    bool known = true;
    enum workstation_lock lock = WORKSTATION_FREE;
    const struct dirent *entry;
    DIR *directory = open_directory(place->directory_fd, ".", &known);
    if (directory == NULL)
        return WORKSTATION_UNKNOWN;
    while (lock != WORKSTATION_RUNNING && (entry = next_entry(directory, &known)) != NULL) {
        enum workstation_lock found = lock_of(place, directory, entry->d_name, &known);
        lock = found > lock ? found : lock; /* in the order of what they tell */
    }
    closedir(directory);
    return known || lock > WORKSTATION_UNKNOWN ? lock : WORKSTATION_UNKNOWN;
}

static bool set_obstacle(struct vm *vm, struct arena *arena, const struct fault *fault,
                         const char *text)
{
    if (vm->obstacle_code != NULL)
        return false;
    vm->obstacle_code = fault->code;
    vm->obstacle_text = foreign_clean(arena, text, 1000);
    return true;
}

static void look_at_disk(const struct workstation_place *place, struct vm *vm, struct vm_disk *disk,
                         struct arena *arena)
{
    struct error err = {0};
    struct disk_vmdk_info info;
    struct disk_opener opener = workstation_vm_opener(place);
    char *name = arena_strdup(arena, disk->key);
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '\\' ? '/' : *at; /* written by Workstation on Windows */
    disk->key = name;
    if (!disk_vmdk_info(&opener, name, arena, &info, &err)) {
        error_prefix(&err, "%s%u:%u", disk->bus, disk->controller_index, disk->unit);
        set_obstacle(vm, arena, err.fault, err.text);
        return;
    }
    disk->capacity_bytes = info.capacity_bytes;
    for (size_t i = 0; i < info.file_count; i++)
        disk->stored_bytes += info.files[i].size_bytes;
}

static void find_obstacles(const struct workstation_place *place, const struct vmx *vmx,
                           struct vm *vm, const char *odd, struct arena *arena)
{
    if (vmx_is_encrypted(vmx))
        set_obstacle(vm, arena, &FAULT_VM_ENCRYPTED, "the machine is encrypted");
    enum workstation_lock lock = workstation_vm_lock(place);
    if (lock == WORKSTATION_UNKNOWN)
        set_obstacle(vm, arena, &FAULT_VM_LOCKED,
                     "nobody can tell whether the machine runs: a lock (.lck) cannot be read");
    if (lock == WORKSTATION_LOCKED)
        set_obstacle(vm, arena, &FAULT_VM_LOCKED,
                     "another program holds a disk: a lock file (.lck)");
    if (lock == WORKSTATION_RUNNING) {
        vm->power = VM_POWER_ON;
        set_obstacle(vm, arena, &FAULT_VM_RUNNING,
                     "the machine runs or is open in Workstation: a lock file (.lck) is there");
    }
    if (vmx_is_suspended(vmx))
        set_obstacle(vm, arena, &FAULT_VM_SUSPENDED, "the machine is suspended");
    for (size_t i = 0; i < vm->disk_count; i++)
        look_at_disk(place, vm, &vm->disks[i], arena);
    if (odd != NULL)
        set_obstacle(vm, arena, &FAULT_VM_CONFIG_INVALID, odd);
    if (vm->disk_count == 0)
        set_obstacle(vm, arena, &FAULT_VM_CONFIG_INVALID, "the machine has no disk");
}

static const char *stem(struct arena *arena, const char *file)
{
    const char *dot = strrchr(file, '.');
    return arena_strndup(arena, file, dot != NULL ? (size_t)(dot - file) : strlen(file));
}

/* A machine that cannot be understood is shown too, by the name of its file. */
static struct vm *unknown_vm(const struct workstation_place *place, struct arena *arena,
                             const struct error *why)
{
    struct vm *vm = arena_alloc(arena, sizeof(*vm));
    vm->name = foreign_clean(arena, stem(arena, place->file), VM_NAME_MOST);
    vm->name = vm->name != NULL ? vm->name : "unnamed";
    set_obstacle(vm, arena, why->fault, why->text);
    return vm;
}

static void buffer_finip(struct buffer *buffer)
{
    buffer_fini(buffer);
}

bool workstation_vm_read(const struct workstation_place *place, struct arena *arena,
                         struct vm **ret_vm, struct error *err)
{
    CLEANUP(fd_closep) int fd = -1;
    CLEANUP(buffer_finip) struct buffer content = {0};
    struct error why = {0};
    struct vmx *vmx = NULL;
    if (!roots_open_beneath(place->directory_fd, place->file, O_RDONLY, &fd, err))
        return false;
    if (!foreign_read(fd, place->file, VMX_BYTES_MOST, &content, &why) ||
        !vmx_parse(content.data, content.length, arena, &vmx, &why)) {
        *ret_vm = unknown_vm(place, arena, &why);
        return true;
    }
    const char *odd = NULL;
    struct vm *vm = vmx_vm(vmx, stem(arena, place->file), arena, &odd);
    find_obstacles(place, vmx, vm, odd, arena);
    *ret_vm = vm;
    return true;
}

static bool add_disk_identity(const struct disk_opener *opener, const char *name,
                              struct arena *arena, struct buffer *text, struct error *err)
{
    struct disk_vmdk_info info;
    if (!disk_vmdk_info(opener, name, arena, &info, err))
        return false;
    for (size_t i = 0; i < info.file_count; i++) {
        const struct disk_vmdk_file *file = &info.files[i];
        buffer_printf(text, "%s %llu:%llu %llu %lld\n", file->name,
                      (unsigned long long)file->device, (unsigned long long)file->inode,
                      (unsigned long long)file->size_bytes, (long long)file->mtime_ns);
    }
    return true;
}

bool workstation_vm_identity(const struct workstation_place *place, const struct vm *vm,
                             struct arena *arena, const char **ret_identity, struct error *err)
{
    CLEANUP(fd_closep) int fd = -1;
    CLEANUP(buffer_finip) struct buffer text = {0};
    struct stat facts;
    struct disk_opener opener = workstation_vm_opener(place);
    if (!roots_open_beneath(place->directory_fd, place->file, O_RDONLY, &fd, err))
        return false;
    if (fstat(fd, &facts) != 0)
        return error_set_errno(err, errno, "cannot look at \"%s\"", place->file);
    buffer_printf(&text, "%s %llu:%llu %lld %lld.%09ld\n", place->file,
                  (unsigned long long)facts.st_dev, (unsigned long long)facts.st_ino,
                  (long long)facts.st_size, (long long)facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
    for (size_t i = 0; i < vm->disk_count; i++) {
        if (!add_disk_identity(&opener, vm->disks[i].key, arena, &text, err))
            return false;
    }
    *ret_identity = arena_strndup(arena, text.data, text.length);
    return true;
}
