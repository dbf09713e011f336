/* SPDX-License-Identifier: Apache-2.0
 *
 * What is chosen at a cloud, and each thing that would fail there: one test a rule.
 */
#include "tests/unit/check.h"

#include "proto/fault.h"
#include "tests/unit/migration/choice_world.h"

/* -- what is chosen ------------------------------------------------------------------------------------ */

#define LAN "\"network\":\"lan\""

static void the_smallest_flavor_that_fits_is_chosen(void **state)
{
    struct world *world = *state;
    world_choose(world, "{" LAN "}");
    assert_fine(world);
    assert_string_equal(world->choice.flavor->name, "small");
    assert_int_equal(world->choice.volumes[0].gib, 3);
    assert_int_equal(world->choice.volumes[1].gib, 2);
    assert_string_equal(world->choice.image_format, "qcow2");
}

static void less_may_be_asked_for(void **state)
{
    struct world *world = *state;
    world_choose(world, "{" LAN ",\"cpus\":1,\"ram_mib\":256}");
    assert_fine(world);
    assert_string_equal(world->choice.flavor->name, "tiny");
}

static void a_named_flavor_may_be_smaller_than_the_vm(void **state)
{
    struct world *world = *state;
    world_choose(world, "{" LAN ",\"flavor\":\"f1\"}");
    assert_fine(world);
    assert_string_equal(world->choice.flavor->name, "tiny");
}

static void cards_follow_the_map_and_keep_their_order(void **state)
{
    struct world *world = *state;
    world->vm.nic_count = 3;
    world->nics[2] = (struct vm_nic){.mac = "52:54:00:00:00:03", .network = "storage"};
    world_choose(world, "{" LAN ",\"network_map\":[\"backup=-\",\"storage=n2\"],"
                        "\"fixed_ips\":[\"0=10.7.0.12\",\"52:54:00:00:00:03=2001:db8::11\"]}");
    assert_fine(world);
    assert_int_equal(world->choice.nic_count, 2);
    assert_int_equal(world->choice.nics[1].number, 2);
    assert_string_equal(world->choice.nics[0].network->id, "n1");
    assert_string_equal(world->choice.nics[1].network->id, "n2");
    assert_string_equal(world->choice.nics[0].mac, "52:54:00:00:00:01");
    assert_string_equal(world->choice.nics[0].addresses[0]->text, "10.7.0.12");
    assert_string_equal(world->choice.nics[1].subnets[0]->id, "s-n2");
}

static void names_become_ids(void **state)
{
    struct world *world = *state;
    world_choose(world, "{" LAN ",\"security_groups\":[\"web\"],\"keypair\":\"key\","
                        "\"volume_types\":[\"1=fast\"],\"extra_volumes\":[\"5:fast\"],"
                        "\"availability_zone\":\"nova\",\"volume_zone\":\"nova\"}");
    assert_fine(world);
    assert_string_equal(world->choice.security_group_ids[0], "g1");
    assert_null(world->choice.volumes[0].type);
    assert_string_equal(world->choice.volumes[1].type, "fast");
    assert_int_equal(world->choice.extra_volumes[0].gib, 5);
    assert_string_equal(world->choice.keypair, "key");
}

static void all_faults_are_told_at_once(void **state)
{
    struct world *world = *state;
    world->server_name = " x";
    world_choose(world, "{\"network\":\"wan\",\"flavor\":\"huge\",\"keypair\":\"none\","
                        "\"volume_type\":\"slow\",\"availability_zone\":\"far\","
                        "\"security_groups\":[\"db\"]}");
    assert_int_equal(fault_list_count(world->faults), 7);
}

/* -- what would fail -------------------------------------------------------------------------------------- */

static void an_unknown_flavor(void **state)
{
    world_choose(*state, "{" LAN ",\"flavor\":\"huge\"}");
    assert_fault(*state, &FAULT_FLAVOR_NOT_FOUND, "huge");
}

static void a_disabled_flavor(void **state)
{
    world_choose(*state, "{" LAN ",\"flavor\":\"off\"}");
    assert_fault(*state, &FAULT_FLAVOR_NOT_FOUND, "disabled");
}

static void two_flavors_of_one_name(void **state)
{
    struct world *world = *state;
    world_add_flavor(world, "f9", "small", 4096, 4, 40, "");
    world_choose(world, "{" LAN ",\"flavor\":\"small\"}");
    assert_fault(world, &FAULT_NAME_AMBIGUOUS, "2 flavors");
}

static void no_flavor_is_large_enough(void **state)
{
    struct world *world = *state;
    world->vm.memory_mib = 4096;
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_FLAVOR_TOO_SMALL, "4096 MiB");
}

static void a_root_disk_larger_than_the_flavors(void **state)
{
    world_choose(*state, "{" LAN ",\"flavor\":\"tiny\",\"boot_from\":\"image\"}");
    assert_fault(*state, &FAULT_FLAVOR_TOO_SMALL, "first disk needs 3");
}

static void a_named_flavor_below_what_is_asked_for(void **state)
{
    world_choose(*state, "{" LAN ",\"flavor\":\"tiny\",\"ram_mib\":1024}");
    assert_fault(*state, &FAULT_FLAVOR_TOO_SMALL, "1024 are asked for");
}

static void an_unknown_network(void **state)
{
    world_choose(*state, "{\"network\":\"wan\"}");
    assert_fault(*state, &FAULT_NETWORK_NOT_FOUND, "wan");
}

static void a_card_that_nothing_maps(void **state)
{
    world_choose(*state, "{\"network_map\":[\"backup=lan\"]}");
    assert_fault(*state, &FAULT_NETWORK_NOT_FOUND, "VM Network");
}

static void two_networks_of_one_name(void **state)
{
    struct world *world = *state;
    world_add_network(world, "n9", "lan", "");
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_NAME_AMBIGUOUS, "2 networks");
}

static void a_network_without_a_subnet(void **state)
{
    struct world *world = *state;
    world_add_network(world, "n9", "bare", "");
    world_choose(world, "{\"network\":\"bare\"}");
    assert_fault(world, &FAULT_NETWORK_UNUSABLE, "no subnet");
}

static void a_network_that_is_down(void **state)
{
    struct world *world = *state;
    world->facts.networks[0].up = false;
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_NETWORK_UNUSABLE, "down");
}

static void a_network_without_enough_free_addresses(void **state)
{
    struct world *world = *state;
    world->vm.nic_count = 2;
    world->facts.networks[0].room_known = true;
    world->facts.networks[0].room = 1;
    world_choose(world, "{" LAN ",\"fixed_ips\":[\"0=10.7.0.12\"]}");
    assert_fine(world);
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_NETWORK_UNUSABLE, "1 free addresses, 2 are needed");
}

static void free_addresses_are_those_of_its_ipv4_subnets(void **state)
{
    struct openstack_network network = {.id = "n"};
    json_t *subnets = json_loads("[{\"ip_version\":4,\"total_ips\":9,\"used_ips\":7},"
                                 "{\"ip_version\":4,\"total_ips\":3,\"used_ips\":4},"
                                 "{\"ip_version\":6,\"total_ips\":99,\"used_ips\":0}]",
                                 0, NULL);
    openstack_facts_take_room(&network, subnets);
    assert_true(network.room_known);
    assert_int_equal(network.room, 2);
    json_decref(subnets);
    openstack_facts_take_room(&network, NULL);
    assert_false(network.room_known);
}

static void security_groups_where_there_is_no_port_security(void **state)
{
    world_choose(*state, "{\"network\":\"dmz\",\"security_groups\":[\"web\"]}");
    assert_fault(*state, &FAULT_NETWORK_UNUSABLE, "port security");
}

static void an_address_in_no_subnet(void **state)
{
    world_choose(*state, "{" LAN ",\"fixed_ips\":[\"0=10.7.1.1\"]}");
    assert_fault(*state, &FAULT_ADDRESS_OUTSIDE, "no subnet");
}

static void an_address_in_no_pool_unless_that_is_wanted(void **state)
{
    struct world *world = *state;
    world_choose(world, "{" LAN ",\"fixed_ips\":[\"0=10.7.0.9\"],\"outside_pools\":true}");
    assert_fine(world);
    world_choose(world, "{" LAN ",\"fixed_ips\":[\"0=10.7.0.9\"]}");
    assert_fault(world, &FAULT_ADDRESS_OUTSIDE, "no allocation pool");
}

static void the_address_that_stands_for_all_in_a_subnet(void **state)
{
    struct world *world = *state;
    world_choose(world, "{" LAN ",\"fixed_ips\":[\"0=10.7.0.254\"],\"outside_pools\":true}");
    assert_fine(world);
    world_choose(world, "{" LAN ",\"fixed_ips\":[\"0=10.7.0.255\"],\"outside_pools\":true}");
    assert_fault(world, &FAULT_ADDRESS_OUTSIDE, "stands for");
}

static void an_address_for_a_card_that_is_not_there(void **state)
{
    world_choose(*state, "{" LAN ",\"fixed_ips\":[\"1=10.7.0.20\"]}");
    assert_fault(*state, &FAULT_FIELDS_INVALID, "card");
}

static void an_address_in_use(void **state)
{
    struct world *world = *state;
    world_take(world, openstack_facts_take_port,
               "{\"id\":\"p1\",\"network_id\":\"n1\",\"mac_address\":\"52:54:00:00:00:99\","
               "\"fixed_ips\":[{\"ip_address\":\"10.7.0.20\"}]}");
    world_choose(world, "{" LAN ",\"fixed_ips\":[\"0=10.7.0.20\"]}");
    assert_fault(world, &FAULT_ADDRESS_IN_USE, "p1");
}

static void one_address_for_two_cards(void **state)
{
    struct world *world = *state;
    world->vm.nic_count = 2;
    world_choose(world, "{" LAN ",\"fixed_ips\":[\"0=10.7.0.20\",\"1=10.7.0.20\"]}");
    assert_fault(world, &FAULT_ADDRESS_IN_USE, "another card");
}

static void a_mac_in_use_unless_it_is_not_kept(void **state)
{
    struct world *world = *state;
    world_take(world, openstack_facts_take_port,
               "{\"id\":\"p1\",\"network_id\":\"n1\",\"mac_address\":\"52:54:00:00:00:01\"}");
    world_choose(world, "{" LAN ",\"keep_mac\":false}");
    assert_fine(world);
    assert_null(world->choice.nics[0].mac);
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_MAC_IN_USE, "p1");
}

static void a_port_of_an_older_attempt_is_no_rival(void **state)
{
    struct world *world = *state;
    world->held.mark = "0190aaaa-0000-7000-8000-000000000001";
    world_take(world, openstack_facts_take_port,
               "{\"id\":\"p1\",\"network_id\":\"n1\",\"mac_address\":\"52:54:00:00:00:01\","
               "\"tags\":[\"guts_migration=0190aaaa-0000-7000-8000-000000000001\"]}");
    world_choose(world, "{" LAN "}");
    assert_fine(world);
}

static void one_mac_on_two_cards_of_a_network(void **state)
{
    struct world *world = *state;
    world->vm.nic_count = 2;
    world->nics[1].mac = "52:54:00:00:00:01";
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_MAC_IN_USE, "cards 0 and 1");
}

static void an_unknown_volume_type(void **state)
{
    world_choose(*state, "{" LAN ",\"volume_types\":[\"0=slow\"]}");
    assert_fault(*state, &FAULT_VOLUME_TYPE_NOT_FOUND, "slow");
}

static void a_type_for_a_disk_that_is_not_there(void **state)
{
    world_choose(*state, "{" LAN ",\"volume_types\":[\"2=fast\"]}");
    assert_fault(*state, &FAULT_FIELDS_INVALID, "disk 2");
}

static void an_unknown_keypair(void **state)
{
    world_choose(*state, "{" LAN ",\"keypair\":\"yours\"}");
    assert_fault(*state, &FAULT_KEYPAIR_NOT_FOUND, "yours");
}

static void an_unknown_security_group(void **state)
{
    world_choose(*state, "{" LAN ",\"security_groups\":[\"web\",\"db\"]}");
    assert_fault(*state, &FAULT_SECURITY_GROUP_NOT_FOUND, "db");
}

static void two_security_groups_of_one_name(void **state)
{
    struct world *world = *state;
    world_take(world, openstack_facts_take_security_group,
               "{\"id\":\"g2\",\"name\":\"web\",\"project_id\":\"p\"}");
    world_choose(world, "{" LAN ",\"security_groups\":[\"web\"]}");
    assert_fault(world, &FAULT_NAME_AMBIGUOUS, "web");
}

static void an_unknown_zone(void **state)
{
    world_choose(*state, "{" LAN ",\"availability_zone\":\"far\"}");
    assert_fault(*state, &FAULT_ZONE_NOT_FOUND, "far");
}

static void a_zone_that_is_switched_off(void **state)
{
    world_choose(*state, "{" LAN ",\"availability_zone\":\"dark\"}");
    assert_fault(*state, &FAULT_ZONE_NOT_FOUND, "not available");
}

static void a_format_that_glance_refuses(void **state)
{
    struct world *world = *state;
    json_t *schema =
        json_loads("{\"properties\":{\"disk_format\":{\"enum\":[null,\"raw\",\"iso\"]}}}", 0, NULL);
    openstack_facts_take_formats(&world->facts, schema);
    json_decref(schema);
    world_choose(world, "{" LAN "}");
    assert_fine(world);
    assert_string_equal(world->choice.image_format, "raw");
    world_choose(world, "{" LAN ",\"image_format\":\"qcow2\"}");
    assert_fault(world, &FAULT_IMAGE_FORMAT_REFUSED, "qcow2");
}

static void volumes_where_there_is_no_cinder(void **state)
{
    struct world *world = *state;
    world->facts.has_volumes = false;
    world_choose(world, "{" LAN ",\"boot_from\":\"image\"}");
    assert_fault(world, &FAULT_SERVICE_MISSING, "Cinder");
}

static void a_name_that_nova_refuses(void **state)
{
    struct world *world = *state;
    world->server_name = "web \xf0\x9f\x98\x80";
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_SERVER_NAME_INVALID, "web");
}

static void a_disk_that_is_no_number_of_sectors(void **state)
{
    struct world *world = *state;
    world->disks[1].capacity_bytes = 1000;
    world_choose(world, "{" LAN "}");
    assert_fault(world, &FAULT_DISK_UNSUPPORTED, "disk 1");
}

static void each_quota_is_held_against_what_is_needed(void **state)
{
    static const struct {
        const char *name;
        int64_t limit, used;
        const char *words;
    } quotas[] = {
        {"cores", 10, 9, "2 more are needed, 1 of 10"},
        {"ram_mib", 4096, 3000, "2048 more are needed"},
        {"instances", 3, 3, "1 more are needed, 0 of 3"},
        {"ports", 5, 5, "1 more"},
        {"volumes", 3, 1, "3 more are needed, 2 of 3"},
        {"gigabytes", 10, 1, "10 more are needed, 9 of 10"},
        {"volumes_fast", 0, 0, "volumes_fast"},
        {"gigabytes_fast", 1, 0, "gigabytes_fast"},
        {"per_volume_gigabytes", 4, 0, "a volume needs 5, 4 are allowed"},
    };
    for (size_t i = 0; i < COUNT_OF(quotas); i++) {
        world_begin(state);
        struct world *world = *state;
        openstack_facts_put_quota(&world->facts, quotas[i].name, quotas[i].limit, quotas[i].used);
        world_choose(world, "{" LAN ",\"extra_volumes\":[\"5\"],\"volume_types\":[\"1=fast\"]}");
        assert_fault(world, &FAULT_QUOTA_EXCEEDED, quotas[i].words);
        if (i + 1 < COUNT_OF(quotas))
            world_end(state);
    }
}

static void the_type_of_an_empty_volume_has_its_quota_too(void **state)
{
    struct world *world = *state;
    openstack_facts_put_quota(&world->facts, "gigabytes_fast", 6, 0);
    world_choose(world, "{" LAN ",\"extra_volumes\":[\"7:fast\"]}");
    assert_fault(world, &FAULT_QUOTA_EXCEEDED, "7 more are needed, 6 of 6");
}

static void a_volume_of_no_named_type_counts_for_the_default_one(void **state)
{
    struct world *world = *state;
    json_t *type = json_pack("{s:s, s:s}", "id", "t1", "name", "fast");
    openstack_facts_take_default_type(&world->facts, type);
    json_decref(type);
    openstack_facts_put_quota(&world->facts, "gigabytes_fast", 5, 0);
    world_choose(world, "{" LAN ",\"extra_volumes\":[\"6\"]}");
    assert_fault(world, &FAULT_QUOTA_EXCEEDED, "gigabytes_fast");
}

static void quotas_without_a_limit_hold_nothing_back(void **state)
{
    struct world *world = *state;
    openstack_facts_put_quota(&world->facts, "cores", -1, 1000);
    world_choose(world, "{" LAN "}");
    assert_fine(world);
}

static void what_an_older_attempt_holds_is_not_counted_twice(void **state)
{
    struct world *world = *state;
    openstack_facts_put_quota(&world->facts, "instances", 3, 3);
    openstack_facts_put_quota(&world->facts, "volumes", 4, 3);
    world->held.servers = 1;
    world->held.volumes = 1;
    world_choose(world, "{" LAN "}");
    assert_fine(world);
}

static void a_quota_set_counts_what_is_reserved(void **state)
{
    struct world *world = *state;
    json_t *set =
        json_loads("{\"id\":\"p\",\"volumes\":{\"limit\":5,\"in_use\":2,\"reserved\":1}}", 0, NULL);
    openstack_facts_take_quota_set(&world->facts, set, NULL, NULL);
    json_decref(set);
    assert_int_equal(openstack_quota_find(&world->facts, "volumes")->used, 3);
}

static void what_belongs_to_others_is_left_out(void **state)
{
    struct world *world = *state;
    size_t networks = world->facts.network_count, groups = world->facts.security_groups.count;
    world_take(world, openstack_facts_take_network,
               "{\"id\":\"x\",\"name\":\"lan\",\"project_id\":\"q\",\"admin_state_up\":true}");
    world_take(world, openstack_facts_take_security_group,
               "{\"id\":\"x\",\"name\":\"web\",\"project_id\":\"q\"}");
    assert_int_equal(world->facts.network_count, networks);
    assert_int_equal(world->facts.security_groups.count, groups);
}

#define RULE(function) cmocka_unit_test_setup_teardown(function, world_begin, world_end)
#define RULE_OWN(function) cmocka_unit_test_setup_teardown(function, NULL, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULE(the_smallest_flavor_that_fits_is_chosen),
        RULE(less_may_be_asked_for),
        RULE(a_named_flavor_may_be_smaller_than_the_vm),
        RULE(cards_follow_the_map_and_keep_their_order),
        RULE(names_become_ids),
        RULE(all_faults_are_told_at_once),
        RULE(an_unknown_flavor),
        RULE(a_disabled_flavor),
        RULE(two_flavors_of_one_name),
        RULE(no_flavor_is_large_enough),
        RULE(a_root_disk_larger_than_the_flavors),
        RULE(a_named_flavor_below_what_is_asked_for),
        RULE(an_unknown_network),
        RULE(a_card_that_nothing_maps),
        RULE(two_networks_of_one_name),
        RULE(a_network_without_a_subnet),
        RULE(a_network_that_is_down),
        RULE(a_network_without_enough_free_addresses),
        RULE(free_addresses_are_those_of_its_ipv4_subnets),
        RULE(security_groups_where_there_is_no_port_security),
        RULE(an_address_in_no_subnet),
        RULE(an_address_in_no_pool_unless_that_is_wanted),
        RULE(the_address_that_stands_for_all_in_a_subnet),
        RULE(an_address_for_a_card_that_is_not_there),
        RULE(an_address_in_use),
        RULE(one_address_for_two_cards),
        RULE(a_mac_in_use_unless_it_is_not_kept),
        RULE(a_port_of_an_older_attempt_is_no_rival),
        RULE(one_mac_on_two_cards_of_a_network),
        RULE(an_unknown_volume_type),
        RULE(a_type_for_a_disk_that_is_not_there),
        RULE(an_unknown_keypair),
        RULE(an_unknown_security_group),
        RULE(two_security_groups_of_one_name),
        RULE(an_unknown_zone),
        RULE(a_zone_that_is_switched_off),
        RULE(a_format_that_glance_refuses),
        RULE(volumes_where_there_is_no_cinder),
        RULE(a_name_that_nova_refuses),
        RULE(a_disk_that_is_no_number_of_sectors),
        RULE_OWN(each_quota_is_held_against_what_is_needed),
        RULE(the_type_of_an_empty_volume_has_its_quota_too),
        RULE(a_volume_of_no_named_type_counts_for_the_default_one),
        RULE(quotas_without_a_limit_hold_nothing_back),
        RULE(what_an_older_attempt_holds_is_not_counted_twice),
        RULE(a_quota_set_counts_what_is_reserved),
        RULE(what_belongs_to_others_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
