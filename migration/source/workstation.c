/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/workstation.h"

#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "migration/source/foreign.h"
#include "migration/source/scan.h"
#include "migration/source/workstation_vm.h"
#include "proto/fault.h"

struct workstation {
    struct source source; /* first: drivers are told apart by it */
    struct work *work;
    int root_fd;  /* the directory that keys are relative to */
    char *single; /* the one .vmx that the settings name, or NULL */
};
struct workstation_export {
    struct source_export session;
    struct arena *arena;
    struct workstation_place place;
};

static bool is_vmx(const char *path)
{
    size_t length = strlen(path);
    return length > 4 && strcasecmp(path + length - 4, ".vmx") == 0;
}

static void workstation_close(struct source *source)
{
    struct workstation *self = (struct workstation *)source;
    fd_closep(&self->root_fd);
    free(self->single);
    free(self);
}

static bool workstation_open(struct work *work, const struct settings *settings,
                             struct source **ret_source, struct error *err)
{
    const char *path = settings_text(settings, "path");
    struct workstation *self = xcalloc(1, sizeof(*self));
    self->source.driver = &source_workstation;
    self->work = work;
    self->root_fd = -1;
    CLEANUP(xfreep) char *directory = xstrdup(path);
    if (is_vmx(path)) {
        char *slash = strrchr(directory, '/');
        self->single = xstrdup(slash + 1); /* paths are absolute: there is one */
        slash[slash == directory] = '\0';
    }
    if (!roots_open_file(work_roots(work), directory, O_RDONLY | O_DIRECTORY, &self->root_fd,
                         err)) {
        workstation_close(&self->source);
        return false;
    }
    *ret_source = &self->source;
    return true;
}

static bool find_all(struct workstation *self, struct arena *arena, struct scan_result *ret_result,
                     struct error *err)
{
    static const char *const suffixes[] = {".vmx", NULL};
    if (self->single != NULL) {
        const char **paths = arena_alloc(arena, sizeof(*paths));
        paths[0] = self->single;
        *ret_result = (struct scan_result){.paths = paths, .count = 1};
        return true;
    }
    return scan_tree(self->root_fd, suffixes, self->work, arena, ret_result, err);
}

/* Keys come from the scheduler, and to it from us: still, only .vmx files beneath the root open. */
static bool open_place(struct workstation *self, const char *key, struct arena *arena,
                       struct workstation_place *ret_place, struct error *err)
{
    const char *slash = strrchr(key, '/');
    const char *directory = slash != NULL ? arena_strndup(arena, key, (size_t)(slash - key)) : ".";
    if (!is_vmx(key) || (self->single != NULL && strcmp(self->single, key) != 0))
        return error_set(err, &FAULT_NOT_FOUND, "this source has no machine \"%.200s\"", key);
    ret_place->file = arena_strdup(arena, slash != NULL ? slash + 1 : key);
    return roots_open_beneath(self->root_fd, directory, O_RDONLY | O_DIRECTORY,
                              &ret_place->directory_fd, err);
}

/* What breaks a rule of vm.h becomes a vm without the parts that do, and says so. */
static struct vm *shrink(struct vm *vm, const struct error *why, struct arena *arena)
{
    struct vm *small = arena_alloc(arena, sizeof(*small));
    small->key = vm->key;
    small->name = foreign_clean(arena, vm->name, VM_NAME_MOST);
    small->name = small->name != NULL ? small->name : "unnamed";
    small->obstacle_code = why->fault->code;
    small->obstacle_text = foreign_clean(arena, why->text, 1000);
    return small;
}

static bool workstation_describe(struct source *source, const char *key, struct arena *arena,
                                 struct vm **ret_vm, struct error *err)
{
    struct workstation *self = (struct workstation *)source;
    struct workstation_place place = {.directory_fd = -1};
    struct vm *vm = NULL;
    bool found =
        open_place(self, key, arena, &place, err) && workstation_vm_read(&place, arena, &vm, err);
    fd_closep(&place.directory_fd);
    if (!found)
        return false;
    struct error why = {0};
    vm->key = arena_strdup(arena, key);
    *ret_vm = vm_check(vm, &why) ? vm : shrink(vm, &why, arena);
    return true;
}

static bool list_one(struct source *source, const char *path,
                     bool (*take)(void *context, const struct vm *vm, struct error *err),
                     void *context, struct error *err)
{
    struct workstation *self = (struct workstation *)source;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct vm *vm = NULL;
    struct error why = {0};
    if (strlen(path) > VM_KEY_MOST || !foreign_is_printable(path)) {
        work_note(self->work, "a machine is passed over: the name of its file cannot be shown");
        return true;
    }
    if (!workstation_describe(source, path, arena, &vm, &why)) {
        vm = shrink(&(struct vm){.key = path, .name = path}, &why, arena);
        if (why.fault == &FAULT_NOT_FOUND && self->single == NULL)
            return true; /* removed while we looked */
    }
    return work_go_on(self->work, err) && take(context, vm, err);
}

static bool workstation_list(struct source *source,
                             bool (*take)(void *context, const struct vm *vm, struct error *err),
                             void *context, struct error *err)
{
    struct workstation *self = (struct workstation *)source;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct scan_result found;
    if (!find_all(self, arena, &found, err))
        return false;
    for (size_t i = 0; i < found.count; i++) {
        if (!list_one(source, found.paths[i], take, context, err))
            return false;
    }
    return true;
}

static bool workstation_test(struct source *source, struct error *err)
{
    struct workstation *self = (struct workstation *)source;
    CLEANUP(fd_closep) int fd = -1;
    return roots_open_beneath(self->root_fd, self->single != NULL ? self->single : ".", O_RDONLY,
                              &fd, err);
}

static void workstation_export_end(struct source_export *session)
{
    struct workstation_export *self = (struct workstation_export *)session;
    fd_closep(&self->place.directory_fd);
    arena_free(self->arena);
    free(self);
}

static bool begin(struct source *source, struct workstation_export *export, struct error *err)
{
    struct vm *now = NULL;
    const struct vm *vm = export->session.vm;
    return workstation_describe(source, vm->key, export->arena, &now, err) &&
           vm_check_same(vm, now, err) &&
           open_place((struct workstation *)source, vm->key, export->arena, &export->place, err) &&
           workstation_vm_identity(&export->place, vm, export->arena, &export->session.identity,
                                   err);
}

static bool workstation_export_begin(struct source *source, const struct vm *vm,
                                     struct source_export **ret_export, struct error *err)
{
    struct workstation_export *export = xcalloc(1, sizeof(*export));
    export->session = (struct source_export){.source = source, .vm = vm};
    export->arena = arena_new();
    export->place.directory_fd = -1;
    if (!begin(source, export, err)) {
        workstation_export_end(&export->session);
        return false;
    }
    *ret_export = &export->session;
    return true;
}

static bool workstation_export_disk(struct source_export *session, size_t index,
                                    struct disk **ret_disk, struct error *err)
{
    struct workstation_export *self = (struct workstation_export *)session;
    struct disk_opener opener = workstation_vm_opener(&self->place);
    return disk_vmdk_open(&opener, session->vm->disks[index].key, ret_disk, err);
}

static bool workstation_export_check(struct source_export *session, struct error *err)
{
    struct workstation_export *self = (struct workstation_export *)session;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const char *now = NULL;
    enum workstation_lock lock = workstation_vm_lock(&self->place);
    if (lock == WORKSTATION_UNKNOWN)
        return error_set(err, &FAULT_IO, "the machine's locks cannot be read any more");
    if (lock != WORKSTATION_FREE)
        return error_set(err, &FAULT_SOURCE_CHANGED, "the machine was started or opened meanwhile");
    if (!workstation_vm_identity(&self->place, session->vm, arena, &now, err))
        return false;
    if (strcmp(now, self->session.identity) != 0)
        return error_set(err, &FAULT_SOURCE_CHANGED, "files of the machine changed meanwhile");
    return true;
}

static const struct setting settings[] = {
    {.name = "path",
     .type = SETTING_PATH,
     .required = true,
     .address = true,
     .help = "a directory in which .vmx files are looked for, or one .vmx file"},
};
static const char *const features[] = {"random", NULL};

const struct source_driver source_workstation = {
    .name = "workstation",
    .title = "VMware Workstation",
    .features = features,
    .settings = settings,
    .setting_count = COUNT_OF(settings),
    .open = workstation_open,
    .close = workstation_close,
    .test = workstation_test,
    .list = workstation_list,
    .describe = workstation_describe,
    .export_begin = workstation_export_begin,
    .export_disk = workstation_export_disk,
    .export_check = workstation_export_check,
    .export_end = workstation_export_end,
};
