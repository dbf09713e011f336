/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/check.h"

#include "proto/fault.h"
#include "tests/unit/migration/choice_world.h"

void world_take(struct world *world, openstack_take *reader, const char *text)
{
    struct error err;
    json_t *item = json_loads(text, 0, NULL);
    assert_non_null(item);
    assert_true(reader(&world->facts, item, &err));
    json_decref(item);
}

void world_add_flavor(struct world *world, const char *id, const char *name, int ram, int cpus,
                      int disk, const char *more)
{
    world_take(world, openstack_facts_take_flavor,
               arena_printf(world->arena,
                            "{\"id\":\"%s\",\"name\":\"%s\",\"ram\":%d,\"vcpus\":%d,\"disk\":%d%s}",
                            id, name, ram, cpus, disk, more));
}

void world_add_network(struct world *world, const char *id, const char *name, const char *more)
{
    world_take(world, openstack_facts_take_network,
               arena_printf(world->arena,
                            "{\"id\":\"%s\",\"name\":\"%s\",\"project_id\":\"p\","
                            "\"admin_state_up\":true%s}",
                            id, name, more));
}

static void add_subnet(struct world *world, const char *network, const char *cidr,
                       const char *first, const char *last)
{
    world_take(
        world, openstack_facts_take_subnet,
        arena_printf(world->arena,
                     "{\"id\":\"s-%s\",\"name\":\"sub\",\"network_id\":\"%s\",\"cidr\":\"%s\","
                     "\"gateway_ip\":null,\"allocation_pools\":[{\"start\":\"%s\","
                     "\"end\":\"%s\"}]}",
                     network, network, cidr, first, last));
}

static void fill_facts(struct world *world)
{
    world->facts =
        (struct openstack_facts){.arena = world->arena, .project_id = "p", .has_volumes = true};
    world_add_flavor(world, "f2", "small", 2048, 2, 20, "");
    world_add_flavor(world, "f1", "tiny", 512, 1, 1, "");
    world_add_flavor(world, "f3", "gpu", 1024, 2, 20,
                     ",\"extra_specs\":{\"pci_passthrough:alias\":\"a100:1\"}");
    world_add_flavor(world, "f4", "off", 1024, 2, 20, ",\"OS-FLV-DISABLED:disabled\":true");
    world_add_network(world, "n1", "lan", "");
    add_subnet(world, "n1", "10.7.0.0/24", "10.7.0.10", "10.7.0.99");
    world_add_network(world, "n2", "dmz", ",\"port_security_enabled\":false");
    add_subnet(world, "n2", "2001:db8::/60", "2001:db8::10", "2001:db8::ff");
    world_take(world, openstack_facts_take_volume_type, "{\"id\":\"t1\",\"name\":\"fast\"}");
    world_take(world, openstack_facts_take_keypair, "{\"keypair\":{\"name\":\"key\"}}");
    world_take(world, openstack_facts_take_security_group,
               "{\"id\":\"g1\",\"name\":\"web\",\"project_id\":\"p\"}");
    world_take(world, openstack_facts_take_zone,
               "{\"zoneName\":\"nova\",\"zoneState\":{\"available\":true}}");
    world_take(world, openstack_facts_take_zone,
               "{\"zoneName\":\"dark\",\"zoneState\":{\"available\":false}}");
    world_take(world, openstack_facts_take_volume_zone,
               "{\"zoneName\":\"nova\",\"zoneState\":{\"available\":true}}");
}

int world_begin(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    world->arena = arena_new();
    world->faults = fault_list_new();
    world->server_name = "web-1";
    fill_facts(world);
    world->disks[0].capacity_bytes = 3ull << 30;
    world->disks[1].capacity_bytes = (1ull << 30) + 512;
    world->nics[0] = (struct vm_nic){.mac = "52:54:00:00:00:01", .network = "VM Network"};
    world->nics[1] = (struct vm_nic){.mac = "52:54:00:00:00:02", .network = "backup"};
    world->vm = (struct vm){.name = "web-1",
                            .cpus = 2,
                            .memory_mib = 600,
                            .disks = world->disks,
                            .disk_count = 2,
                            .nics = world->nics,
                            .nic_count = 1};
    *state = world;
    return 0;
}

int world_end(void **state)
{
    struct world *world = *state;
    settings_free(world->settings);
    fault_list_free(world->faults);
    arena_free(world->arena);
    free(world);
    return 0;
}

void world_choose(struct world *world, const char *options)
{
    struct error err;
    json_t *values = json_loads(options, 0, NULL);
    assert_non_null(values);
    settings_free(world->settings);
    if (!settings_new(openstack_options, OPENSTACK_OPTION_COUNT, values, NULL, &world->settings,
                      &err) ||
        !openstack_options_read(world->settings, world->arena, &world->options, &err))
        fail_msg("%s", err.text);
    json_decref(values);
    const struct openstack_question question = {
        .facts = &world->facts,
        .vm = &world->vm,
        .server_name = world->server_name,
        .options = &world->options,
        .held = world->held,
    };
    openstack_choose(&question, world->arena, world->faults, &world->choice);
}

void assert_fine(struct world *world)
{
    if (fault_list_count(world->faults) > 0)
        fail_msg("%s", fault_list_get(world->faults, 0)->text);
}

void assert_fault(struct world *world, const struct fault *fault, const char *words)
{
    assert_int_equal(fault_list_count(world->faults), 1);
    const struct error *found = fault_list_get(world->faults, 0);
    if (found->fault != fault || strstr(found->text, words) == NULL)
        fail_msg("%s: %s", found->fault->code, found->text);
}
