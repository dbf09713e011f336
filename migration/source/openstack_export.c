/* SPDX-License-Identifier: Apache-2.0
 *
 * From a stopped server to images that can be read: snapshots of all volumes first, so that they are of one
 * moment; then volumes of them, then images; each step is asked for all disks before it is waited for.
 */
#include <string.h>

#include "migration/disk/disk.h"
#include "migration/disk/qcow2.h"
#include "migration/openstack/glance_disk.h"
#include "migration/source/openstack_inner.h"
#include "migration/source/openstack_vm.h"
#include "proto/fault.h"

struct export_disk {
    bool root;
    uint64_t gib;
    const char *volume_id, *snapshot_id, *copy_id, *image_id;
    const char *volume_type;
};
struct openstack_export {
    struct source_export session;
    struct arena *arena;
    struct export_disk *disks;
    size_t disk_count;
};

/* A copy within the cloud has no progress to tell: a minute and a half a GiB, and ten minutes. */
static uint64_t patience_ms(const struct export_disk *disk)
{
    return 600000u + disk->gib * 90000u;
}

/* -- posting ---------------------------------------------------------------------------------------------- */

/* Takes the body; gives the text at `envelope`.`field` of the answer. */
static bool post(struct openstack_source *self, const char *path, const char *microversion,
                 json_t *body, const char *envelope, const char *field, const char **ret_id,
                 struct error *err)
{
    bool compute = strncmp(path, "/servers/", 9) == 0;
    struct openstack_call call = {.method = "POST",
                                  .service = compute ? "compute" : "volume",
                                  .path = path,
                                  .microversion = microversion,
                                  .body = body};
    struct openstack_reply reply = {0};
    bool good = openstack_call(self->session, &call, &reply, err);
    const json_t *inner = envelope != NULL ? json_object_get(reply.json, envelope) : reply.json;
    const char *id = json_string_value(json_object_get(inner, field));
    if (good && id == NULL)
        good = error_set(err, &FAULT_UNCERTAIN, "%s answers without an id", path);
    if (good)
        *ret_id = arena_strdup(work_arena(self->work), id);
    openstack_reply_fini(&reply);
    json_decref(body);
    return good;
}

static bool post_snapshot(struct openstack_source *self, const char *name, void *context,
                          const char **ret_id, struct error *err)
{
    const struct export_disk *disk = context;
    json_t *body = json_pack("{s:{s:s, s:s, s:b}}", "snapshot", "volume_id", disk->volume_id,
                             "name", name, "force", 1);
    return post(self, "/snapshots", NULL, body, "snapshot", "id", ret_id, err);
}

static bool post_volume(struct openstack_source *self, const char *name, void *context,
                        const char **ret_id, struct error *err)
{
    const struct export_disk *disk = context;
    json_t *body = json_pack("{s:{s:s, s:s, s:I}}", "volume", "snapshot_id", disk->snapshot_id,
                             "name", name, "size", (json_int_t)disk->gib);
    return post(self, "/volumes", NULL, body, "volume", "id", ret_id, err);
}

static bool post_image(struct openstack_source *self, const char *name, void *context,
                       const char **ret_id, struct error *err)
{
    const struct export_disk *disk = context;
    const char *path = arena_printf(work_arena(self->work), "/volumes/%s/action", disk->copy_id);
    json_t *body = json_pack("{s:{s:s, s:s, s:s, s:b}}", "os-volume_upload_image", "image_name",
                             name, "disk_format", "qcow2", "container_format", "bare", "force", 0);
    return post(self, path, NULL, body, "os-volume_upload_image", "image_id", ret_id, err);
}

struct root_context {
    const char *server_id;
};

static bool post_root(struct openstack_source *self, const char *name, void *context,
                      const char **ret_id, struct error *err)
{
    const struct root_context *root = context;
    const char *path = arena_printf(work_arena(self->work), "/servers/%s/action", root->server_id);
    json_t *body = json_pack("{s:{s:s}}", "createImage", "name", name);
    return post(self, path, SOURCE_COMPUTE_VERSION, body, NULL, "image_id", ret_id, err);
}

/* -- making all of one kind ----------------------------------------------------------------------------------- */

static bool make_roots(struct openstack_source *self, struct openstack_export *export,
                       struct error *err)
{
    struct root_context root = {export->session.vm->key};
    for (size_t i = 0; i < export->disk_count; i++) {
        struct export_thing thing = {"image", i, post_root, &root};
        if (export->disks[i].root &&
            !openstack_thing_make(self, &thing, &export->disks[i].image_id, err))
            return false;
    }
    return true;
}

static bool make_snapshots(struct openstack_source *self, struct openstack_export *export,
                           struct error *err)
{
    for (size_t i = 0; i < export->disk_count; i++) {
        struct export_thing thing = {"snapshot", i, post_snapshot, &export->disks[i]};
        if (!export->disks[i].root &&
            !openstack_thing_make(self, &thing, &export->disks[i].snapshot_id, err))
            return false;
    }
    return true;
}

static bool make_volumes(struct openstack_source *self, struct openstack_export *export,
                         struct error *err)
{
    for (size_t i = 0; i < export->disk_count; i++) {
        struct export_disk *disk = &export->disks[i];
        struct export_thing thing = {"volume", i, post_volume, disk};
        if (disk->root)
            continue;
        if (!openstack_thing_wait(self, "snapshot", disk->snapshot_id, "available",
                                  patience_ms(disk), err) ||
            !openstack_thing_make(self, &thing, &disk->copy_id, err))
            return false;
    }
    return true;
}

static bool make_images(struct openstack_source *self, struct openstack_export *export,
                        struct error *err)
{
    for (size_t i = 0; i < export->disk_count; i++) {
        struct export_disk *disk = &export->disks[i];
        struct export_thing thing = {"image", i, post_image, disk};
        if (disk->root)
            continue;
        /* Where the upload was begun by an earlier run, the volume is uploading or done. */
        if (!openstack_thing_wait(self, "volume", disk->copy_id, "available", patience_ms(disk),
                                  err) ||
            !openstack_thing_make(self, &thing, &disk->image_id, err))
            return false;
    }
    return true;
}

static bool wait_images(struct openstack_source *self, struct openstack_export *export,
                        struct error *err)
{
    for (size_t i = 0; i < export->disk_count; i++)
        if (!openstack_thing_wait(self, "image", export->disks[i].image_id, "active",
                                  patience_ms(&export->disks[i]), err))
            return error_prefix(err, "disk %zu", i);
    return true;
}

/* -- what must not change meanwhile ----------------------------------------------------------------------------- */

/* Whoever starts, rebuilds or changes the server leaves an action, which Nova lists, newest first. An
 * image of it, ours or another's, changes nothing. */
static const char *last_action(const json_t *actions)
{
    size_t index;
    json_t *action;
    json_array_foreach(actions, index, action) {
        const char *name = json_string_value(json_object_get(action, "action"));
        const char *request = json_string_value(json_object_get(action, "request_id"));
        if (name == NULL || strcmp(name, "createImage") != 0)
            return request != NULL ? request : "";
    }
    return "";
}

/* The volumes, and the last thing that was done to the server. */
static bool read_identity(struct openstack_source *self, const struct vm *vm, struct arena *arena,
                          const char **ret_identity, struct error *err)
{
    json_t *actions, *server;
    const char *path = arena_printf(arena, "/servers/%s/os-instance-actions", vm->key);
    if (!openstack_get(self->session, "compute", path, SOURCE_COMPUTE_VERSION, "instanceActions",
                       &actions, err))
        return false;
    const char *request = arena_strdup(arena, last_action(actions));
    json_decref(actions);
    if (!openstack_source_server(self, vm->key, &server, err))
        return false;
    const char *status = json_string_value(json_object_get(server, "status"));
    *ret_identity = arena_printf(arena, "%s %s %s", status != NULL ? status : "", request,
                                 openstack_vm_attached(server, arena));
    json_decref(server);
    return true;
}

static bool check_ready(const struct vm *described, const struct vm *found, struct error *err)
{
    if (!vm_check_same(described, found, err))
        return false;
    return found->power == VM_POWER_OFF ||
           error_set(err, &FAULT_VM_RUNNING, "\"%s\" is running", described->name);
}

/* -- the session -------------------------------------------------------------------------------------------------- */

static void plan_disks(struct openstack_export *export, const struct vm *vm)
{
    export->disk_count = vm->disk_count;
    export->disks = arena_calloc(export->arena, vm->disk_count + 1, sizeof(*export->disks));
    for (size_t i = 0; i < vm->disk_count; i++)
        export->disks[i] = (struct export_disk){
            .root = strcmp(vm->disks[i].key, OPENSTACK_ROOT_KEY) == 0,
            .gib = vm->disks[i].capacity_bytes >> 30,
            .volume_id = vm->disks[i].key,
        };
}

static bool begin(struct openstack_source *self, struct openstack_export *export, struct error *err)
{
    struct vm *now;
    const struct vm *vm = export->session.vm;
    if (!openstack_source_describe(&self->source, vm->key, export->arena, &now, err) ||
        !check_ready(vm, now, err))
        return false;
    plan_disks(export, vm);
    return read_identity(self, vm, export->arena, &export->session.identity, err) &&
           make_roots(self, export, err) && make_snapshots(self, export, err) &&
           make_volumes(self, export, err) && make_images(self, export, err) &&
           wait_images(self, export, err);
}

bool openstack_export_begin(struct source *source, const struct vm *vm,
                            struct source_export **ret_export, struct error *err)
{
    struct openstack_export *export = xcalloc(1, sizeof(*export));
    export->session = (struct source_export){.source = source, .vm = vm};
    export->arena = arena_new();
    if (!begin((struct openstack_source *)source, export, err)) {
        openstack_export_end(&export->session);
        return false;
    }
    *ret_export = &export->session;
    return true;
}

void openstack_export_end(struct source_export *session)
{
    struct openstack_export *export = (struct openstack_export *)session;
    arena_free(export->arena);
    free(export);
}

bool openstack_export_check(struct source_export *session, struct error *err)
{
    struct openstack_export *export = (struct openstack_export *)session;
    struct openstack_source *self = (struct openstack_source *)session->source;
    const char *now;
    if (!read_identity(self, session->vm, export->arena, &now, err))
        return false;
    if (strcmp(now, export->session.identity) != 0)
        return error_set(err, &FAULT_SOURCE_CHANGED, "the server was started or changed meanwhile");
    return openstack_things_drop(self, err);
}

bool openstack_export_forget(struct source_export *session, struct error *err)
{
    return openstack_things_drop((struct openstack_source *)session->source, err);
}

/* -- a disk ------------------------------------------------------------------------------------------------------- */

/* Cinder and Nova tell what the image is; it is read out of the image's bytes as they are asked for. */
static bool image_format(struct openstack_source *self, const char *image_id, bool *ret_raw,
                         struct error *err)
{
    json_t *image;
    const char *path = arena_printf(work_arena(self->work), "/images/%s", image_id);
    pthread_mutex_lock(&self->mutex);
    bool got = openstack_get(self->session, "image", path, NULL, NULL, &image, err);
    pthread_mutex_unlock(&self->mutex);
    if (!got)
        return false;
    const char *format = json_string_value(json_object_get(image, "disk_format"));
    *ret_raw = format != NULL && strcmp(format, "raw") == 0;
    bool known = *ret_raw || (format != NULL && strcmp(format, "qcow2") == 0);
    json_decref(image);
    return known ||
           error_set(err, &FAULT_DISK_UNSUPPORTED, "image %s is neither raw nor qcow2", image_id);
}

bool openstack_export_disk(struct source_export *session, size_t index, struct disk **ret_disk,
                           struct error *err)
{
    struct openstack_export *export = (struct openstack_export *)session;
    struct openstack_source *self = (struct openstack_source *)session->source;
    const char *image_id = export->disks[index].image_id;
    const struct glance_disk_plan plan = {.link = self->link,
                                          .mutex = &self->mutex,
                                          .image_id = image_id,
                                          .random = true,
                                          .memory_bytes = work_end_bytes(self->work)};
    bool raw;
    struct disk *bytes;
    if (!image_format(self, image_id, &raw, err) || !glance_disk_open(&plan, &bytes, err))
        return false;
    if (raw) {
        *ret_disk = bytes;
        return true;
    }
    return disk_qcow2_read_open(bytes, ret_disk, err);
}
