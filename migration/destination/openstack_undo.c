/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries of the ledger, taken back or accepted. An entry that was only intended may have been made all
 * the same: it is looked for by its key.
 */
#include <string.h>

#include "migration/destination/openstack_inner.h"

typedef bool find_function(struct openstack *self, const char *key, const char **ret_id,
                           struct error *err);

static bool find_image(struct openstack *self, const char *key, const char **ret_id,
                       struct error *err)
{
    char id[UUID_TEXT_SIZE];
    openstack_image_id(work_owner(self->work), key, id);
    *ret_id = arena_strdup(work_arena(self->work), id);
    return true;
}

static const struct kind {
    const char *name;
    find_function *find;
    bool (*delete)(struct openstack *self, const char *id, bool *ret_found, struct error *err);
} kinds[] = {
    {"image", find_image, openstack_image_delete},
    {"volume", openstack_volume_find, openstack_volume_delete},
    {"port", openstack_port_find, openstack_port_delete},
    {"server", openstack_server_find, openstack_server_delete},
};

static const struct kind *kind_find(const char *name, struct error *err)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    }
    error_set(err, &FAULT_UNSUPPORTED, "the ledger names a \"%.40s\", which is none of ours", name);
    return NULL;
}

bool openstack_delete(struct openstack *self, const char *kind, const char *id, bool *ret_found,
                      struct error *err)
{
    const struct kind *found = kind_find(kind, err);
    return found != NULL && found->delete (self, id, ret_found, err);
}

/* *ret_id is "" when there is nothing. */
static bool find_id(struct openstack *self, const struct kind *kind,
                    const struct ledger_entry *entry, const char **ret_id, struct error *err)
{
    if (entry->external_id != NULL && entry->external_id[0] != '\0') {
        *ret_id = entry->external_id;
        return true;
    }
    return kind->find(self, entry->key, ret_id, err);
}

bool openstack_undo(struct destination *destination, const struct ledger_entry *entry,
                    enum ledger_state *ret_state, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    const struct kind *kind = kind_find(entry->kind, err);
    const char *id = "";
    bool found = false;
    if (kind == NULL || !find_id(self, kind, entry, &id, err) ||
        (id[0] != '\0' && !kind->delete (self, id, &found, err)))
        return false;
    *ret_state = found ? LEDGER_UNDONE : LEDGER_NOT_FOUND;
    return true;
}

/* -- accepting: what stays loses our mark, so that nobody takes it for a stray --------------------------- */

static bool unmark(struct openstack *self, const char *method, const char *service,
                   const char *path, const json_t *body, const char *content_type,
                   struct error *err)
{
    struct openstack_call call = {
        .method = method,
        .service = service,
        .path = path,
        .body = body,
        .content_type = content_type,
        .microversion = strcmp(service, "compute") == 0 ? OPENSTACK_COMPUTE_VERSION : NULL};
    return openstack_call(self->session, &call, NULL, err) || err->fault == &FAULT_NOT_FOUND;
}

static bool unmark_image(struct openstack *self, const char *id, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/images/%s", id);
    json_t *patch = json_pack("[{s:s, s:s}]", "op", "remove", "path", "/guts_migration");
    bool good = unmark(self, "PATCH", "image", path, patch,
                       "application/openstack-images-v2.1-json-patch", err);
    json_decref(patch);
    /* Gone already: a second cleanup. */
    return good || err->fault == &FAULT_CONFLICT;
}

static bool unmark_port(struct openstack *self, const char *id, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/ports/%s", id);
    json_t *body = json_pack("{s:{s:s}}", "port", "description", "");
    bool good = unmark(self, "PUT", "network", path, body, NULL, err);
    json_decref(body);
    return good;
}

static bool unmark_server(struct openstack *self, const char *id, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/servers/%s/metadata/guts_migration", id);
    CLEANUP(xfreep)
    char *tag = xasprintf("/servers/%s/tags/guts:%s", id, UUID_TEXT(work_owner(self->work)));
    return unmark(self, "DELETE", "compute", path, NULL, NULL, err) &&
           unmark(self, "DELETE", "compute", tag, NULL, NULL, err);
}

static bool unmark_volume(struct openstack *self, const char *id, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/volumes/%s/metadata/guts_migration", id);
    return unmark(self, "DELETE", "volume", path, NULL, NULL, err);
}

static bool unmark_any(struct openstack *self, const char *kind, const char *id, struct error *err)
{
    if (strcmp(kind, "image") == 0)
        return unmark_image(self, id, err);
    if (strcmp(kind, "port") == 0)
        return unmark_port(self, id, err);
    return strcmp(kind, "server") == 0 ? unmark_server(self, id, err)
                                       : unmark_volume(self, id, err);
}

bool openstack_accept(struct destination *destination, const struct ledger_entry *entry,
                      enum ledger_state *ret_state, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    struct openstack_key key;
    const char *id = entry->external_id;
    const struct kind *kind = kind_find(entry->kind, err);
    if (kind == NULL)
        return false;
    /* What an older attempt left, or was never made, is no part of the result. */
    const char *last = "";
    for (size_t i = 0; i < work_ledger_count(self->work); i++) {
        const struct ledger_entry *each = work_ledger_get(self->work, i);
        if (each->end == END_DESTINATION && strcmp(each->kind, "server") == 0)
            last = each->key;
    }
    struct openstack_key result;
    bool is_made = entry->state == LEDGER_MADE || entry->state == LEDGER_ERROR;
    if (!is_made || !openstack_key_parse(last, &result) || !openstack_key_parse(entry->key, &key) ||
        key.attempt != result.attempt)
        return openstack_undo(destination, entry, ret_state, err);
    if (!unmark_any(self, entry->kind, id, err))
        return false;
    *ret_state = LEDGER_KEPT;
    return true;
}
