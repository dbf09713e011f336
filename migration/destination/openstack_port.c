/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports: one for each card, with the source's MAC. They carry our mark in their description, for Neutron
 * keeps no metadata.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/utf8.h"
#include "migration/destination/openstack_inner.h"

#define DESCRIPTION_MOST 255 /* Neutron's */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* What its description begins with; what the vm was follows. */
static char *mark_text(const struct openstack *self, const char *key)
{
    return xasprintf("guts_migration=%s guts_key=%s", UUID_TEXT(work_owner(self->work)), key);
}

static char *description(const struct openstack *self, const struct vm *vm, const char *key)
{
    CLEANUP(xfreep) char *mark = mark_text(self, key);
    char *text = xasprintf("%s guts_source_uuid=%s guts_source_key=%s guts_source_name=%s", mark,
                           vm->uuid != NULL ? vm->uuid : "", vm->key, vm->name);
    text[utf8_cut(text, strlen(text), DESCRIPTION_MOST)] = '\0';
    return text;
}

/* -- finding ------------------------------------------------------------------------------------------- */

struct search {
    const char *mark;
    char id[UUID_TEXT_SIZE];
};

static bool compare(void *context, const json_t *port, struct error *err)
{
    struct search *search = context;
    const char *text = text_of(port, "description");
    size_t length = strlen(search->mark);
    if (strncmp(text, search->mark, length) == 0 && (text[length] == '\0' || text[length] == ' '))
        snprintf(search->id, sizeof(search->id), "%s", text_of(port, "id"));
    return true;
}

bool openstack_port_find(struct openstack *self, const char *key, const char **ret_id,
                         struct error *err)
{
    CLEANUP(xfreep) char *mark = mark_text(self, key);
    struct search search = {.mark = mark};
    CLEANUP(xfreep)
    char *path = xasprintf("/ports?project_id=%s&fields=id&fields=description&limit=500",
                           openstack_project_id(self->session));
    if (!openstack_each(self->session, "network", path, NULL, "ports", compare, &search, err))
        return false;
    *ret_id = arena_strdup(work_arena(self->work), search.id);
    return true;
}

static bool find(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err)
{
    return openstack_port_find(self, key, ret_id, err);
}

static bool exists(struct openstack *self, const char *id, bool *ret_exists, struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/ports/%s", id);
    json_t *port = NULL;
    *ret_exists = openstack_get(self->session, "network", path, NULL, "port", &port, err);
    json_decref(port);
    return *ret_exists || err->fault == &FAULT_NOT_FOUND;
}

/* -- making -------------------------------------------------------------------------------------------- */

static json_t *describe(const struct openstack *self, const struct openstack_port_plan *plan,
                        const char *key)
{
    const struct openstack_choice_nic *nic = plan->nic;
    CLEANUP(xfreep) char *mark = description(self, plan->plan->vm, key);
    const char *name =
        openstack_name(self, plan->plan, openstack_text(self, "nic%zu", nic->number));
    json_t *port = json_pack("{s:s, s:s, s:s, s:b}", "network_id", nic->network->id, "name", name,
                             "description", mark, "admin_state_up", 1);
    if (nic->mac != NULL)
        json_object_set_new(port, "mac_address", json_string(nic->mac));
    if (nic->address_count > 0) {
        json_t *addresses = json_array();
        for (size_t i = 0; i < nic->address_count; i++)
            json_array_append_new(addresses,
                                  json_pack("{s:s}", "ip_address", nic->addresses[i]->text));
        json_object_set_new(port, "fixed_ips", addresses);
    }
    if (self->choice.security_group_count > 0) {
        json_t *groups = json_array();
        for (size_t i = 0; i < self->choice.security_group_count; i++)
            json_array_append_new(groups, json_string(self->choice.security_group_ids[i]));
        json_object_set_new(port, "security_groups", groups);
    }
    return json_pack("{s:o}", "port", port);
}

static bool make(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err)
{
    const struct openstack_port_plan *plan = context;
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    json_t *body = describe(self, plan, key);
    struct openstack_call call = {
        .method = "POST", .service = "network", .path = "/ports", .body = body};
    bool good = openstack_call(self->session, &call, &reply, err);
    json_decref(body);
    if (good)
        *ret_id = arena_strdup(work_arena(self->work),
                               text_of(json_object_get(reply.json, "port"), "id"));
    return good;
}

bool openstack_port_make(struct openstack *self, struct openstack_port_plan *plan,
                         struct error *err)
{
    char key[OPENSTACK_KEY_SIZE], place[32];
    snprintf(place, sizeof(place), "nic%zu", plan->nic->number);
    openstack_key_of(self, place, key);
    struct openstack_deed deed = {
        .kind = "port", .key = key, .find = find, .exists = exists, .make = make, .context = plan};
    return openstack_do(self, &deed, &plan->id, err);
}

bool openstack_port_delete(struct openstack *self, const char *id, bool *ret_found,
                           struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/ports/%s", id);
    return openstack_remove(self, "network", path, ret_found, err);
}
