/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of Nova, Neutron, Cinder and Glance as facts of a destination: one object in the place of each.
 *
 * sources: migration/destination/openstack_fact_parse.c migration/destination/openstack_option_items.c proto/text.c proto/fault.c proto/fault_preflight.c
 * packages: jansson
 */
#include <stdint.h>
#include <stdlib.h>

#include "migration/destination/openstack_facts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static openstack_take *const takes[] = {
        openstack_facts_take_flavor,         openstack_facts_take_network,
        openstack_facts_take_subnet,         openstack_facts_take_port,
        openstack_facts_take_volume_type,    openstack_facts_take_keypair,
        openstack_facts_take_security_group, openstack_facts_take_zone,
        openstack_facts_take_volume_zone,
    };
    json_t *item = json_loadb((const char *)data, size, 0, NULL);
    if (item == NULL)
        return 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct openstack_facts facts = {.arena = arena, .project_id = "p"};
    struct error err = {0};
    for (size_t i = 0; i < COUNT_OF(takes); i++) {
        if (!takes[i](&facts, item, &err) || !takes[i](&facts, item, &err))
            abort(); /* far from too many */
    }
    openstack_facts_take_nova_limits(&facts, item);
    openstack_facts_take_quota_set(&facts, item, NULL, NULL);
    openstack_facts_take_quota_set(&facts, item, "port", "ports");
    openstack_facts_take_formats(&facts, item);
    openstack_facts_take_room(&(struct openstack_network){.id = "n"}, item);
    for (size_t i = 0; i < facts.subnet_count; i++) {
        if (facts.subnets[i].prefix > 128)
            abort();
    }
    json_decref(item);
    return 0;
}
