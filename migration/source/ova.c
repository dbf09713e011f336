/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/ova.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/source/foreign.h"
#include "migration/source/ova_fetch.h"
#include "migration/source/package.h"
#include "migration/source/scan.h"
#include "proto/fault.h"

#define STAGED_FILE "package.ova"
#define STAGED_MORE_BYTES (16u << 20) /* descriptor, manifest and padding of a package */

struct ova {
    struct source source;
    struct work *work;
    int root_fd;             /* the directory that keys are relative to; −1 with a URL */
    char *single;            /* the one file that the settings name, or NULL */
    struct ova_fetch *fetch; /* with a URL */
};
struct ova_export {
    struct source_export session;
    struct arena *arena;
    struct package package;
    size_t index; /* of the machine in its package */
};

/* A key is "web.ova", or "rack.ova#db" where a package holds several machines. */
struct key {
    char file[VM_KEY_MOST + 1];
    const char *system; /* NULL: the only one */
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && strcasecmp(name + length - tail, suffix) == 0;
}

static bool is_package(const char *name)
{
    return has_suffix(name, ".ova") || has_suffix(name, ".ovf");
}

static void ova_close(struct source *source)
{
    struct ova *self = (struct ova *)source;
    ova_fetch_close(self->fetch);
    fd_closep(&self->root_fd);
    free(self->single);
    free(self);
}

static bool open_path(struct ova *self, const char *path, struct error *err)
{
    CLEANUP(xfreep) char *directory = xstrdup(path);
    if (is_package(path)) {
        char *slash = strrchr(directory, '/');
        self->single = xstrdup(slash + 1); /* paths are absolute: there is one */
        slash[slash == directory] = '\0';
    }
    return roots_open_file(work_roots(self->work), directory, O_RDONLY | O_DIRECTORY,
                           &self->root_fd, err);
}

static bool open_url(struct ova *self, const char *url, struct error *err)
{
    size_t end = strcspn(url, "?");
    size_t start = end;
    while (start > 0 && url[start - 1] != '/')
        start--;
    CLEANUP(xfreep) char *name = xasprintf("%.*s", (int)(end - start), url + start);
    if (!has_suffix(name, ".ova"))
        return error_set(err, &FAULT_FIELDS_INVALID, "\"url\" must name an .ova file");
    self->single = xstrdup(name);
    return ova_fetch_open(self->work, url, &self->fetch, err);
}

static bool ova_open(struct work *work, const struct settings *settings, struct source **ret_source,
                     struct error *err)
{
    const char *path = settings_text(settings, "path"), *url = settings_text(settings, "url");
    struct ova *self = xcalloc(1, sizeof(*self));
    self->source.driver = &source_ova;
    self->work = work;
    self->root_fd = -1;
    bool fine;
    if ((path != NULL) == (url != NULL))
        fine = error_set(err, &FAULT_FIELDS_INVALID, "give either \"path\" or \"url\"");
    else
        fine = path != NULL ? open_path(self, path, err) : open_url(self, url, err);
    if (fine)
        *ret_source = &self->source;
    else
        ova_close(&self->source);
    return fine;
}

static bool go_on(void *context, struct error *err)
{
    return work_go_on(context, err);
}

static bool parse_key(const struct ova *self, const char *text, struct key *ret_key,
                      struct error *err)
{
    const char *hash = strrchr(text, '#');
    /* A '#' may be part of a file's name: what stands before ours ends like a package. */
    snprintf(ret_key->file, sizeof(ret_key->file), "%.*s",
             hash != NULL ? (int)(hash - text) : (int)strlen(text), text);
    ret_key->system = hash != NULL && is_package(ret_key->file) ? hash + 1 : NULL;
    if (hash != NULL && ret_key->system == NULL)
        snprintf(ret_key->file, sizeof(ret_key->file), "%s", text);
    if (strlen(text) > VM_KEY_MOST || !is_package(ret_key->file) ||
        (self->single != NULL && strcmp(self->single, ret_key->file) != 0))
        return error_set(err, &FAULT_NOT_FOUND, "this source has no machine \"%.200s\"", text);
    return true;
}

static bool open_descriptor(struct ova *self, const char *file, struct arena *arena,
                            struct package *ret_package, struct error *err)
{
    const char *slash = strrchr(file, '/');
    const char *directory =
        slash != NULL ? arena_strndup(arena, file, (size_t)(slash - file)) : ".";
    int fd = -1;
    return roots_open_beneath(self->root_fd, directory, O_RDONLY | O_DIRECTORY, &fd, err) &&
           package_open_directory(fd, slash != NULL ? slash + 1 : file, arena, ret_package, err);
}

static bool open_package(struct ova *self, const char *file, struct arena *arena,
                         struct package *ret_package, struct error *err)
{
    int fd = -1;
    if (self->fetch != NULL) {
        struct tarball_reader reader = ova_fetch_reader(self->fetch);
        return package_open_remote(&reader, arena, ret_package, err);
    }
    if (has_suffix(file, ".ovf"))
        return open_descriptor(self, file, arena, ret_package, err);
    return roots_open_beneath(self->root_fd, file, O_RDONLY, &fd, err) &&
           package_open_file(fd, arena, ret_package, err);
}

static bool find_system(const struct package *package, const struct key *key, size_t *ret_index,
                        struct error *err)
{
    const struct ovf *ovf = package->ovf;
    if (key->system == NULL && ovf->system_count == 1) {
        *ret_index = 0;
        return true;
    }
    for (size_t i = 0; key->system != NULL && i < ovf->system_count; i++) {
        if (strcmp(ovf->systems[i].id, key->system) == 0) {
            *ret_index = i;
            return true;
        }
    }
    return error_set(err, &FAULT_NOT_FOUND, "the package \"%.200s\" has no such machine",
                     key->file);
}

/* A machine that cannot be understood, or breaks a rule of vm.h, is shown by its name. */
static struct vm *unknown_vm(const char *key, const char *name, const struct error *why,
                             struct arena *arena)
{
    struct vm *vm = arena_alloc(arena, sizeof(*vm));
    vm->key = arena_strdup(arena, key);
    vm->name = foreign_clean(arena, name, VM_NAME_MOST);
    vm->name = vm->name != NULL ? vm->name : "unnamed";
    vm->obstacle_code = why->fault->code;
    vm->obstacle_text = foreign_clean(arena, why->text, 1000);
    return vm;
}

static struct vm *finish_vm(struct package *package, size_t index, const char *key,
                            struct arena *arena)
{
    struct error why = {0};
    struct vm *vm = package_vm(package, index);
    vm->key = arena_strdup(arena, key);
    if (vm->name == NULL)
        vm->name = foreign_clean(arena, key, VM_NAME_MOST);
    return vm_check(vm, &why) ? vm : unknown_vm(key, vm->name, &why, arena);
}

/* That the package cannot be read at all is no fact about a machine. */
static bool is_unreachable(const struct fault *fault)
{
    return fault == &FAULT_NOT_FOUND || fault == &FAULT_PATH_OUTSIDE || fault == &FAULT_IO ||
           fault == &FAULT_SOURCE_UNREACHABLE || fault == &FAULT_SOURCE_CREDENTIALS ||
           fault == &FAULT_ADDRESS_NOT_ALLOWED || fault == &FAULT_CANCELLED ||
           fault == &FAULT_DENIED || fault == &FAULT_FENCED;
}

static bool ova_describe(struct source *source, const char *text, struct arena *arena,
                         struct vm **ret_vm, struct error *err)
{
    struct ova *self = (struct ova *)source;
    struct key key;
    struct package package;
    size_t index;
    if (!parse_key(self, text, &key, err))
        return false;
    if (!open_package(self, key.file, arena, &package, err)) {
        if (is_unreachable(err->fault))
            return false;
        *ret_vm = unknown_vm(text, text, err, arena);
        return true;
    }
    bool found = find_system(&package, &key, &index, err);
    if (found)
        *ret_vm = finish_vm(&package, index, text, arena);
    package_close(&package);
    return found;
}

typedef bool take_vm(void *context, const struct vm *vm, struct error *err);

static bool list_package(struct ova *self, const char *file, struct package *package,
                         struct arena *arena, take_vm *take, void *context, struct error *err)
{
    const struct ovf *ovf = package->ovf;
    for (size_t i = 0; i < ovf->system_count; i++) {
        const char *key =
            ovf->system_count == 1 ? file : arena_printf(arena, "%s#%s", file, ovf->systems[i].id);
        if (strlen(key) > VM_KEY_MOST || !foreign_is_printable(key)) {
            work_note(self->work, "a machine is passed over: its id cannot be shown");
            continue;
        }
        if (!take(context, finish_vm(package, i, key, arena), err))
            return false;
    }
    return true;
}

static bool list_one(struct ova *self, const char *file, take_vm *take, void *context,
                     struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct package package;
    struct error why = {0};
    if (strlen(file) > VM_KEY_MOST || !foreign_is_printable(file)) {
        work_note(self->work, "a package is passed over: the name of its file cannot be shown");
        return true;
    }
    if (!work_go_on(self->work, err))
        return false;
    if (!open_package(self, file, arena, &package, &why)) {
        if (self->single != NULL && is_unreachable(why.fault)) {
            *err = why;
            return false;
        }
        return take(context, unknown_vm(file, file, &why, arena), err);
    }
    bool fine = list_package(self, file, &package, arena, take, context, err);
    package_close(&package);
    return fine;
}

static bool ova_list(struct source *source, take_vm *take, void *context, struct error *err)
{
    static const char *const suffixes[] = {".ova", ".ovf", NULL};
    struct ova *self = (struct ova *)source;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct scan_result found;
    if (self->single != NULL)
        return list_one(self, self->single, take, context, err);
    if (!scan_tree(self->root_fd, suffixes, self->work, arena, &found, err))
        return false;
    for (size_t i = 0; i < found.count; i++) {
        if (!list_one(self, found.paths[i], take, context, err))
            return false;
    }
    return true;
}

static bool ova_test(struct source *source, struct error *err)
{
    struct ova *self = (struct ova *)source;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    CLEANUP(fd_closep) int fd = -1;
    struct package package;
    if (self->single == NULL)
        return roots_open_beneath(self->root_fd, ".", O_RDONLY | O_DIRECTORY, &fd, err);
    if (!open_package(self, self->single, arena, &package, err))
        return false;
    package_close(&package);
    return true;
}

static void ova_export_end(struct source_export *session)
{
    struct ova_export *self = (struct ova_export *)session;
    package_close(&self->package);
    arena_free(self->arena);
    free(self);
}

/* What lies behind a URL is fetched into the job's directory first; then it is a file like others. */
static bool open_for_export(struct ova *self, struct ova_export *export, const char *file,
                            struct error *err)
{
    if (self->fetch == NULL)
        return open_package(self, file, export->arena, &export->package, err);
    const char *path = arena_printf(export->arena, "%s/" STAGED_FILE, work_directory(self->work));
    uint64_t most = STAGED_MORE_BYTES;
    for (size_t i = 0; i < export->session.vm->disk_count; i++)
        most += export->session.vm->disks[i].stored_bytes + (1u << 20);
    if (!ova_fetch_all(self->fetch, path, most, err))
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, &FAULT_IO, "cannot open what was downloaded");
    return package_open_file(fd, export->arena, &export->package, err);
}

static bool begin(struct ova *self, struct ova_export *export, struct error *err)
{
    struct key key;
    return parse_key(self, export->session.vm->key, &key, err) &&
           open_for_export(self, export, key.file, err) &&
           find_system(&export->package, &key, &export->index, err) &&
           vm_check_same(export->session.vm, package_vm(&export->package, export->index), err) &&
           package_verify(&export->package, export->index, go_on, self->work, err) &&
           package_identity(&export->package, export->index, &export->session.identity, err);
}

static bool ova_export_begin(struct source *source, const struct vm *vm,
                             struct source_export **ret_export, struct error *err)
{
    struct ova_export *export = xcalloc(1, sizeof(*export));
    export->session = (struct source_export){.source = source, .vm = vm};
    export->arena = arena_new();
    export->package.directory_fd = export->package.file_fd = -1;
    if (!begin((struct ova *)source, export, err)) {
        ova_export_end(&export->session);
        return false;
    }
    *ret_export = &export->session;
    return true;
}

static bool ova_export_disk(struct source_export *session, size_t index, struct disk **ret_disk,
                            struct error *err)
{
    struct ova_export *self = (struct ova_export *)session;
    struct ova *ova = (struct ova *)session->source;
    return package_disk(&self->package, self->index, index, work_directory(ova->work), ret_disk,
                        err);
}

static bool ova_export_check(struct source_export *session, struct error *err)
{
    struct ova_export *self = (struct ova_export *)session;
    const char *now = NULL;
    if (!package_identity(&self->package, self->index, &now, err))
        return false;
    if (strcmp(now, self->session.identity) != 0)
        return error_set(err, &FAULT_SOURCE_CHANGED, "files of the package changed meanwhile");
    return true;
}

static uint64_t ova_staging_bytes(const struct settings *settings, const struct vm *vm)
{
    uint64_t sum = STAGED_MORE_BYTES;
    if (settings_text(settings, "url") == NULL)
        return 0;
    for (size_t i = 0; i < vm->disk_count; i++)
        sum += vm->disks[i].stored_bytes;
    return sum;
}

static const struct setting settings[] = {
    {.name = "path",
     .type = SETTING_PATH,
     .address = true,
     .help = "a directory in which .ova and .ovf files are looked for, or one of them"},
    {.name = "url",
     .type = SETTING_URL,
     .address = true,
     .help = "an .ova file on a server that the node may fetch from, instead of a path"},
};
/* Only what comes by URL is staged, but a feature is said once for a driver. */
static const char *const features[] = {"random", "stages", NULL};

const struct source_driver source_ova = {
    .name = "ova",
    .title = "OVF package (OVA)",
    .features = features,
    .settings = settings,
    .setting_count = COUNT_OF(settings),
    .open = ova_open,
    .close = ova_close,
    .test = ova_test,
    .list = ova_list,
    .describe = ova_describe,
    .export_begin = ova_export_begin,
    .export_disk = ova_export_disk,
    .export_check = ova_export_check,
    .export_end = ova_export_end,
    .staging_bytes = ova_staging_bytes,
};
