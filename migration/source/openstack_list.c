/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers as vms. A list asks each service once for all; a description asks for one server alone, and
 * for the order of its cards.
 */
#include <string.h>

#include "migration/source/openstack_inner.h"
#include "migration/source/openstack_vm.h"

#define IMAGES_MOST 256

/* What is read once for a whole list. */
struct gathering {
    struct openstack_source *self;
    json_t *by_server; /* arrays of volumes by server's id */
    json_t *images;    /* by id; null: it is gone */
    struct arena *arena;
    bool (*take)(void *context, const struct vm *vm, struct error *err);
    void *context;
};

static bool has_cinder(struct openstack_source *self, bool *ret_has, struct error *err)
{
    return openstack_has(self->session, "volume", ret_has, err);
}

static bool keep_volume(void *context, const json_t *volume, struct error *err)
{
    json_t *by_server = context;
    size_t index;
    json_t *one;
    json_array_foreach(json_object_get(volume, "attachments"), index, one) {
        const char *id = json_string_value(json_object_get(one, "server_id"));
        if (id == NULL)
            continue;
        json_t *list = json_object_get(by_server, id);
        if (list == NULL) {
            list = json_array();
            json_object_set_new(by_server, id, list);
        }
        json_array_append(list, (json_t *)volume);
    }
    return true;
}

static const char *image_id_of(const json_t *server)
{
    return json_string_value(json_object_get(json_object_get(server, "image"), "id"));
}

/* Borrowed from the cache; NULL: none, or it is gone. */
static bool find_image(struct gathering *gathering, const json_t *server, const json_t **ret_image,
                       struct error *err)
{
    const char *id = image_id_of(server);
    json_t *image = id != NULL ? json_object_get(gathering->images, id) : NULL;
    if (id != NULL && image == NULL) {
        const char *path =
            arena_printf(gathering->arena, "/images/%s", openstack_escape(gathering->arena, id));
        if (json_object_size(gathering->images) >= IMAGES_MOST)
            json_object_clear(gathering->images);
        if (!openstack_get(gathering->self->session, "image", path, NULL, NULL, &image, err)) {
            if (err->fault != &FAULT_NOT_FOUND && err->fault != &FAULT_DENIED)
                return false;
            image = json_null();
        }
        json_object_set_new(gathering->images, id, image);
    }
    *ret_image = json_is_object(image) ? image : NULL;
    return true;
}

static bool take_server(void *context, const json_t *server, struct error *err)
{
    struct gathering *gathering = context;
    const char *id = json_string_value(json_object_get(server, "id"));
    struct openstack_parts parts = {.server = server};
    parts.volumes = id != NULL ? json_object_get(gathering->by_server, id) : NULL;
    if (!find_image(gathering, server, &parts.image, err))
        return false;
    bool good = gathering->take(gathering->context, openstack_vm(&parts, gathering->arena), err);
    arena_reset(gathering->arena);
    return good;
}

bool openstack_source_list(struct source *source,
                           bool (*take)(void *context, const struct vm *vm, struct error *err),
                           void *context, struct error *err)
{
    struct openstack_source *self = (struct openstack_source *)source;
    struct gathering gathering = {.self = self,
                                  .by_server = json_object(),
                                  .images = json_object(),
                                  .arena = arena_new(),
                                  .take = take,
                                  .context = context};
    bool has = false;
    bool good = has_cinder(self, &has, err) &&
                (!has || openstack_each(self->session, "volume", "/volumes/detail", NULL, "volumes",
                                        keep_volume, gathering.by_server, err)) &&
                openstack_each(self->session, "compute", "/servers/detail", SOURCE_COMPUTE_VERSION,
                               "servers", take_server, &gathering, err);
    arena_free(gathering.arena);
    json_decref(gathering.by_server);
    json_decref(gathering.images);
    return good;
}

/* -- one ------------------------------------------------------------------------------------------------ */

bool openstack_source_server(struct openstack_source *self, const char *id, json_t **ret_server,
                             struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const char *path = arena_printf(arena, "/servers/%s", openstack_escape(arena, id));
    return openstack_get(self->session, "compute", path, SOURCE_COMPUTE_VERSION, "server",
                         ret_server, err);
}

/* The names of the networks that a server's cards are on, by id. */
static bool add_network_name(void *context, const json_t *network, struct error *err)
{
    json_t *names = context;
    const char *id = json_string_value(json_object_get(network, "id"));
    if (id != NULL)
        json_object_set(names, id, json_object_get(network, "name"));
    return true;
}

static bool read_interfaces(struct openstack_source *self, const char *id, struct arena *arena,
                            json_t *names, json_t **ret_interfaces, struct error *err)
{
    const char *path = arena_printf(arena, "/servers/%s/os-interface", openstack_escape(arena, id));
    return openstack_get(self->session, "compute", path, SOURCE_COMPUTE_VERSION,
                         "interfaceAttachments", ret_interfaces, err) &&
           openstack_each(self->session, "network", "/networks?fields=id&fields=name", NULL,
                          "networks", add_network_name, names, err);
}

static bool read_volumes(struct openstack_source *self, const json_t *server, struct arena *arena,
                         json_t *volumes, struct error *err)
{
    size_t index;
    json_t *one;
    json_array_foreach(json_object_get(server, "os-extended-volumes:volumes_attached"), index,
                       one) {
        json_t *volume = NULL;
        const char *id = json_string_value(json_object_get(one, "id"));
        const char *path =
            arena_printf(arena, "/volumes/%s", openstack_escape(arena, id != NULL ? id : ""));
        if (openstack_get(self->session, "volume", path, NULL, "volume", &volume, err))
            json_array_append_new(volumes, volume);
        else if (err->fault != &FAULT_NOT_FOUND) /* told as the vm's obstacle */
            return false;
    }
    return true;
}

bool openstack_source_describe(struct source *source, const char *key, struct arena *arena,
                               struct vm **ret_vm, struct error *err)
{
    struct gathering gathering = {
        .self = (struct openstack_source *)source, .images = json_object(), .arena = arena};
    json_t *server = NULL, *interfaces = NULL;
    json_t *volumes = json_array(), *names = json_object();
    struct openstack_parts parts = {.volumes = volumes, .networks = names};
    bool good = openstack_source_server(gathering.self, key, &server, err) &&
                read_volumes(gathering.self, server, arena, volumes, err) &&
                read_interfaces(gathering.self, key, arena, names, &interfaces, err) &&
                find_image(&gathering, server, &parts.image, err);
    parts.server = server;
    parts.interfaces = interfaces;
    if (good)
        *ret_vm = openstack_vm(&parts, arena);
    json_decref(server);
    json_decref(interfaces);
    json_decref(volumes);
    json_decref(names);
    json_decref(gathering.images);
    return good;
}
