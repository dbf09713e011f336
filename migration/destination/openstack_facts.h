/* SPDX-License-Identifier: Apache-2.0
 *
 * What an OpenStack offers to a project: flavors, networks with their subnets, volume types, keypairs,
 * security groups, zones, image formats, and what is left of its quotas. Read whole, from each service
 * that is there; the catalogue and the preflight stand upon it.
 *
 * Knows nothing of migrations. Threads: as the session's; facts are plain data in one arena.
 */
#ifndef GUTS_MIGRATION_DESTINATION_OPENSTACK_FACTS_H
#define GUTS_MIGRATION_DESTINATION_OPENSTACK_FACTS_H

#include "common/openstack/session.h"
#include "migration/destination/openstack_option_items.h"

#define OPENSTACK_FACTS_MOST 50000 /* of one kind: FAULT_TOO_LARGE */

struct openstack_flavor {
    const char *id, *name;
    uint64_t ram_mib, cpus, disk_gib, ephemeral_gib;
    bool disabled, is_public;
    bool special; /* its extra specs ask for hardware that not every machine wants */
};
struct openstack_pool {
    struct openstack_address first, last;
};
struct openstack_subnet {
    const char *id, *name, *network_id;
    struct openstack_address base; /* of its CIDR */
    unsigned prefix;
    const char *cidr;
    bool dhcp;
    const char *gateway; /* NULL: none */
    struct openstack_pool *pools;
    size_t pool_count;
};
struct openstack_network {
    const char *id, *name;
    bool up, shared, external, own; /* own: of this project */
    bool port_security;
    uint64_t mtu;
    bool room_known; /* Neutron tells it to administrators, as a rule */
    uint64_t room;   /* IPv4 addresses that it would still give */
};
/* Volume types, keypairs, security groups, zones. */
struct openstack_named {
    const char *id, *name;
    bool available; /* of zones */
    const char *detail;
};
struct openstack_names {
    struct openstack_named *items;
    size_t count, room;
};
/* limit −1: none */
struct openstack_quota {
    const char *name; /* "cores", "ram_mib", "instances", "ports", "volumes", "gigabytes_fast", … */
    int64_t limit, used;
};
/* A port that holds one of the MACs or addresses that were asked about. */
struct openstack_seen_port {
    const char *id, *network_id, *mac, *device_id;
    const char *marks; /* its name, description and tags in one text */
    struct openstack_address *addresses;
    size_t address_count;
};

struct openstack_facts {
    struct arena *arena;
    const char *project_id;
    bool has_volumes; /* there is a Cinder */
    struct openstack_flavor *flavors;
    size_t flavor_count, flavor_room;
    struct openstack_network *networks;
    size_t network_count, network_room;
    struct openstack_subnet *subnets;
    size_t subnet_count, subnet_room;
    struct openstack_names volume_types, keypairs, security_groups, zones, volume_zones;
    const char *default_volume_type; /* its name; NULL: not told */
    struct openstack_quota *quotas;
    size_t quota_count, quota_room;
    const char **image_formats; /* count 0: Glance does not tell */
    size_t image_format_count;
    struct openstack_seen_port *ports;
    size_t port_count, port_room;
};

/* All but the ports. */
bool openstack_facts_read(struct openstack_session *session, struct arena *arena,
                          struct openstack_facts **ret_facts, struct error *err) MUST_CHECK;
/* Adds the ports of a network that hold the MAC, or the address. */
bool openstack_facts_ask_mac(struct openstack_session *session, struct openstack_facts *facts,
                             const char *network_id, const char *mac, struct error *err) MUST_CHECK;
bool openstack_facts_ask_address(struct openstack_session *session, struct openstack_facts *facts,
                                 const char *network_id, const char *address,
                                 struct error *err) MUST_CHECK;
/* Reads a network's room anew, where that is told. */
bool openstack_facts_ask_room(struct openstack_session *session, struct openstack_facts *facts,
                              const char *network_id, struct error *err) MUST_CHECK;

/* NULL: not told. */
const struct openstack_quota *openstack_quota_find(const struct openstack_facts *facts,
                                                   const char *name);
/* Whether the subnet's CIDR, or one of its pools, holds the address; whether it stands for the subnet itself, or
 * for all in it, so that Neutron gives it to no port (neutron.ipam.utils.check_subnet_ip). */
bool openstack_subnet_holds(const struct openstack_subnet *subnet,
                            const struct openstack_address *address);
bool openstack_subnet_reserves(const struct openstack_subnet *subnet,
                               const struct openstack_address *address);
bool openstack_pools_hold(const struct openstack_subnet *subnet,
                          const struct openstack_address *address);

/* -- openstack_fact_parse.c: one answer's object each; what cannot be understood adds nothing --------- */
bool openstack_facts_take_flavor(void *facts, const json_t *item, struct error *err);
bool openstack_facts_take_network(void *facts, const json_t *item, struct error *err);
/* {"total_ips", "used_ips", "ip_version"} of each subnet */
void openstack_facts_take_room(struct openstack_network *network, const json_t *subnets);
bool openstack_facts_take_subnet(void *facts, const json_t *item, struct error *err);
bool openstack_facts_take_port(void *facts, const json_t *item, struct error *err);
bool openstack_facts_take_volume_type(void *facts, const json_t *item, struct error *err);
void openstack_facts_take_default_type(struct openstack_facts *facts, const json_t *type);
bool openstack_facts_take_keypair(void *facts, const json_t *item, struct error *err);
bool openstack_facts_take_security_group(void *facts, const json_t *item, struct error *err);
bool openstack_facts_take_zone(void *facts, const json_t *item, struct error *err);
bool openstack_facts_take_volume_zone(void *facts, const json_t *item, struct error *err);
void openstack_facts_put_quota(struct openstack_facts *facts, const char *name, int64_t limit,
                               int64_t used);
void openstack_facts_take_nova_limits(struct openstack_facts *facts, const json_t *absolute);
/* {"volumes": {"limit": …, "in_use" or "used": …, "reserved": …}, …}; `only` NULL: all */
void openstack_facts_take_quota_set(struct openstack_facts *facts, const json_t *set,
                                    const char *only, const char *name);
void openstack_facts_take_formats(struct openstack_facts *facts, const json_t *image_schema);

#endif
