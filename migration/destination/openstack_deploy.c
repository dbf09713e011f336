/* SPDX-License-Identifier: Apache-2.0
 *
 * The machine: ports first, then volumes out of the images, then the server out of both.
 */
#include <stdio.h>
#include <string.h>

#include "migration/destination/openstack_inner.h"

#define EXTRA_VOLUMES_MOST 64

/* All that the server is made of. */
struct making {
    struct openstack *self;
    const struct destination_plan *plan;
    struct openstack_port_plan ports[VM_NICS_MOST];
    struct openstack_volume_plan volumes[VM_DISKS_MOST + EXTRA_VOLUMES_MOST];
    size_t volume_count;
    const char *image_id; /* that it boots from; NULL: a volume */
};

static bool make_ports_that(struct making *making, bool have_addresses, struct error *err)
{
    const struct openstack_choice *choice = &making->self->choice;
    for (size_t i = 0; i < choice->nic_count; i++) {
        if ((choice->nics[i].address_count > 0) != have_addresses)
            continue;
        making->ports[i] =
            (struct openstack_port_plan){.plan = making->plan, .nic = &choice->nics[i]};
        if (!openstack_port_make(making->self, &making->ports[i], err))
            return false;
    }
    return true;
}

/* Neutron gives a card that takes any address one by chance: it might be that of another card. */
static bool make_ports(struct making *making, struct error *err)
{
    return make_ports_that(making, true, err) && make_ports_that(making, false, err);
}

/* NULL with err only when there is neither an image nor a volume made of it. */
static bool image_of(const struct making *making, size_t index, const char **ret_id,
                     struct error *err)
{
    const struct ledger_entry *entry = openstack_image_entry(making->self, index);
    char key[OPENSTACK_KEY_SIZE], place[32];
    *ret_id = entry != NULL ? entry->external_id : NULL;
    if (entry != NULL)
        return true;
    snprintf(place, sizeof(place), "disk%zu", index);
    openstack_key_of(making->self, place, key);
    if (work_ledger_find(making->self->work, END_DESTINATION, "volume", key) != NULL)
        return true; /* an earlier run came so far that it needed the image no more */
    return error_set(err, &FAULT_NOT_FOUND, "the image of disk %zu is gone", index);
}

static void plan_volume(struct making *making, const struct openstack_choice_volume *choice,
                        const char *place, const char *image_id)
{
    struct openstack *self = making->self;
    making->volumes[making->volume_count++] = (struct openstack_volume_plan){
        .plan = making->plan,
        .name = openstack_name(self, making->plan, place),
        .place = place,
        .image_id = image_id,
        .type = choice->type,
        .zone = self->choice.volume_zone,
        .gib = choice->gib,
        .bootable = self->options.boot_from_volume && strcmp(place, "disk0") == 0,
    };
}

static bool plan_volumes(struct making *making, struct error *err)
{
    struct openstack *self = making->self;
    const struct openstack_choice *choice = &self->choice;
    for (size_t i = 0; i < making->plan->vm->disk_count; i++) {
        const char *image_id;
        if (!image_of(making, i, &image_id, err))
            return false;
        if (i == 0 && !self->options.boot_from_volume)
            making->image_id = image_id;
        else
            plan_volume(making, &choice->volumes[i], openstack_text(self, "disk%zu", i), image_id);
    }
    for (size_t i = 0; i < choice->extra_volume_count && i < EXTRA_VOLUMES_MOST; i++)
        plan_volume(making, &choice->extra_volumes[i], openstack_text(self, "extra%zu", i), NULL);
    return true;
}

/* All are asked for before the first is waited for. */
static bool make_volumes(struct making *making, struct error *err)
{
    if (!plan_volumes(making, err))
        return false;
    for (size_t i = 0; i < making->volume_count; i++) {
        if (!openstack_volume_make(making->self, &making->volumes[i], err))
            return false;
    }
    for (size_t i = 0; i < making->volume_count; i++) {
        if (!openstack_volume_wait(making->self, &making->volumes[i], err))
            return false;
    }
    return true;
}

static bool make_server(struct making *making, json_t *server, struct error *err)
{
    struct openstack *self = making->self;
    struct openstack_server_plan plan = {
        .plan = making->plan,
        .ports = making->ports,
        .port_count = self->choice.nic_count,
        .volumes = making->volumes,
        .volume_count = making->volume_count,
        .image_id = making->image_id,
    };
    if (!openstack_server_make(self, &plan, err))
        return false;
    json_t *ports = json_array(), *volumes = json_array();
    for (size_t i = 0; i < plan.port_count; i++)
        json_array_append_new(ports, json_string(plan.ports[i].id));
    for (size_t i = 0; i < plan.volume_count; i++)
        json_array_append_new(volumes, json_string(plan.volumes[i].id));
    json_object_set_new(server, "id", json_string(plan.id));
    json_object_set_new(server, "name", json_string(making->plan->server_name));
    json_object_set_new(server, "flavor", json_string(self->choice.flavor->name));
    json_object_set_new(server, "ports", ports);
    json_object_set_new(server, "volumes", volumes);
    if (plan.image_id != NULL)
        json_object_set_new(server, "image", json_string(plan.image_id));
    return true;
}

bool openstack_deploy(struct destination *destination, const struct destination_plan *plan,
                      json_t *server, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    struct making *making = arena_alloc(work_arena(self->work), sizeof(*making));
    making->self = self;
    making->plan = plan;
    return openstack_want(self, plan, err) &&
           ((make_ports(making, err) && make_volumes(making, err) &&
             make_server(making, server, err)) ||
            openstack_explain(self, plan, err));
}
