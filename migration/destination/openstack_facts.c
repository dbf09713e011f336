/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/openstack_facts.h"

#include <string.h>
#include <sys/socket.h>

/* Nova's microversion 2.61 shows extra specs of flavors in the list (api-ref, "List Flavors With
 * Details"); 2.35 pages keypairs. */
#define NOVA_FLAVORS "2.61"
#define NOVA_KEYPAIRS "2.35"

struct listing {
    const char *service, *path, *microversion, *name;
    openstack_take *take;
};

static bool read_lists(struct openstack_session *session, const struct listing *lists, size_t count,
                       struct openstack_facts *facts, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const struct listing *one = &lists[i];
        if (!openstack_each(session, one->service, one->path, one->microversion, one->name,
                            one->take, facts, err))
            return error_prefix(err, "%s of %s", one->name, one->service);
    }
    return true;
}

/* What a policy hides, or an older release lacks, is not known and no error. */
static bool may_be_hidden(const struct error *err)
{
    return err->fault == &FAULT_NOT_FOUND || err->fault == &FAULT_DENIED ||
           err->fault == &FAULT_INVALID;
}

/* *ret_json NULL: hidden. */
static bool get_if_shown(struct openstack_session *session, const char *service, const char *path,
                         const char *name, json_t **ret_json, struct error *err)
{
    *ret_json = NULL;
    return openstack_get(session, service, path, NULL, name, ret_json, err) || may_be_hidden(err);
}

static bool read_nova(struct openstack_session *session, struct openstack_facts *facts,
                      struct error *err)
{
    static const struct listing lists[] = {
        {"compute", "/flavors/detail", NOVA_FLAVORS, "flavors", openstack_facts_take_flavor},
        {"compute", "/os-keypairs", NOVA_KEYPAIRS, "keypairs", openstack_facts_take_keypair},
        {"compute", "/os-availability-zone", NULL, "availabilityZoneInfo",
         openstack_facts_take_zone},
    };
    json_t *limits;
    if (!read_lists(session, lists, COUNT_OF(lists), facts, err) ||
        !get_if_shown(session, "compute", "/limits", "limits", &limits, err))
        return false;
    openstack_facts_take_nova_limits(facts, json_object_get(limits, "absolute"));
    json_decref(limits);
    return true;
}

static bool read_neutron(struct openstack_session *session, struct openstack_facts *facts,
                         struct error *err)
{
    static const struct listing lists[] = {
        {"network", "/networks", NULL, "networks", openstack_facts_take_network},
        {"network", "/subnets", NULL, "subnets", openstack_facts_take_subnet},
        {"network", "/security-groups", NULL, "security_groups",
         openstack_facts_take_security_group},
    };
    json_t *quota;
    const char *path =
        arena_printf(facts->arena, "/quotas/%s/details",
                     openstack_escape(facts->arena, facts->project_id ? facts->project_id : ""));
    if (!read_lists(session, lists, COUNT_OF(lists), facts, err) ||
        !get_if_shown(session, "network", path, "quota", &quota, err))
        return false;
    openstack_facts_take_quota_set(facts, quota, "port", "ports");
    json_decref(quota);
    return true;
}

static bool read_cinder(struct openstack_session *session, struct openstack_facts *facts,
                        struct error *err)
{
    static const struct listing lists[] = {
        {"volume", "/types", NULL, "volume_types", openstack_facts_take_volume_type},
        {"volume", "/os-availability-zone", NULL, "availabilityZoneInfo",
         openstack_facts_take_volume_zone},
    };
    json_t *set;
    const char *path =
        arena_printf(facts->arena, "/os-quota-sets/%s?usage=true",
                     openstack_escape(facts->arena, facts->project_id ? facts->project_id : ""));
    if (!openstack_has(session, "volume", &facts->has_volumes, err))
        return false;
    if (!facts->has_volumes)
        return true;
    if (!read_lists(session, lists, COUNT_OF(lists), facts, err) ||
        !get_if_shown(session, "volume", "/types/default", "volume_type", &set, err))
        return false;
    openstack_facts_take_default_type(facts, set);
    json_decref(set);
    if (!get_if_shown(session, "volume", path, "quota_set", &set, err))
        return false;
    openstack_facts_take_quota_set(facts, set, NULL, NULL);
    json_decref(set);
    return true;
}

static bool read_glance(struct openstack_session *session, struct openstack_facts *facts,
                        struct error *err)
{
    json_t *schema;
    if (!get_if_shown(session, "image", "/schemas/image", NULL, &schema, err))
        return false;
    openstack_facts_take_formats(facts, schema);
    json_decref(schema);
    return true;
}

bool openstack_facts_read(struct openstack_session *session, struct arena *arena,
                          struct openstack_facts **ret_facts, struct error *err)
{
    const char *token;
    if (!openstack_token(session, 0, &token, err))
        return false;
    struct openstack_facts *facts = arena_alloc(arena, sizeof(*facts));
    facts->arena = arena;
    facts->project_id = arena_strdup(arena, openstack_project_id(session));
    if (!read_nova(session, facts, err) || !read_neutron(session, facts, err) ||
        !read_cinder(session, facts, err) || !read_glance(session, facts, err))
        return false;
    *ret_facts = facts;
    return true;
}

bool openstack_facts_ask_mac(struct openstack_session *session, struct openstack_facts *facts,
                             const char *network_id, const char *mac, struct error *err)
{
    const char *path = arena_printf(facts->arena, "/ports?network_id=%s&mac_address=%s",
                                    openstack_escape(facts->arena, network_id),
                                    openstack_escape(facts->arena, mac));
    return openstack_each(session, "network", path, NULL, "ports", openstack_facts_take_port, facts,
                          err);
}

bool openstack_facts_ask_address(struct openstack_session *session, struct openstack_facts *facts,
                                 const char *network_id, const char *address, struct error *err)
{
    const char *path = arena_printf(facts->arena, "/ports?network_id=%s&fixed_ips=ip_address%%3D%s",
                                    openstack_escape(facts->arena, network_id),
                                    openstack_escape(facts->arena, address));
    return openstack_each(session, "network", path, NULL, "ports", openstack_facts_take_port, facts,
                          err);
}

bool openstack_facts_ask_room(struct openstack_session *session, struct openstack_facts *facts,
                              const char *network_id, struct error *err)
{
    json_t *room = NULL;
    const char *path = arena_printf(facts->arena, "/network-ip-availabilities/%s",
                                    openstack_escape(facts->arena, network_id));
    if (!openstack_get(session, "network", path, NULL, "network_ip_availability", &room, err))
        return err->fault == &FAULT_DENIED || err->fault == &FAULT_NOT_FOUND;
    for (size_t i = 0; i < facts->network_count; i++)
        if (strcmp(facts->networks[i].id, network_id) == 0)
            openstack_facts_take_room(&facts->networks[i],
                                      json_object_get(room, "subnet_ip_availability"));
    json_decref(room);
    return true;
}

/* -- questions ---------------------------------------------------------------------------------------- */

const struct openstack_quota *openstack_quota_find(const struct openstack_facts *facts,
                                                   const char *name)
{
    for (size_t i = 0; i < facts->quota_count; i++)
        if (strcmp(facts->quotas[i].name, name) == 0)
            return &facts->quotas[i];
    return NULL;
}

static size_t address_length(const struct openstack_address *address)
{
    return address->family == AF_INET6 ? 16 : 4;
}

bool openstack_subnet_holds(const struct openstack_subnet *subnet,
                            const struct openstack_address *address)
{
    if (address->family != subnet->base.family)
        return false;
    size_t whole = subnet->prefix / 8;
    unsigned rest = subnet->prefix % 8;
    unsigned char mask = (unsigned char)(0xffu << (8 - rest));
    return memcmp(address->bytes, subnet->base.bytes, whole) == 0 &&
           (rest == 0 || ((address->bytes[whole] ^ subnet->base.bytes[whole]) & mask) == 0);
}

bool openstack_subnet_reserves(const struct openstack_subnet *subnet,
                               const struct openstack_address *address)
{
    bool first = true, last = true;
    if (address->family != AF_INET || !openstack_subnet_holds(subnet, address))
        return false;
    for (unsigned bit = subnet->prefix; bit < 32; bit++) {
        bool set = (address->bytes[bit / 8] & (0x80u >> bit % 8)) != 0;
        first = first && !set;
        last = last && set;
    }
    return first || (last && subnet->prefix < 31);
}

bool openstack_pools_hold(const struct openstack_subnet *subnet,
                          const struct openstack_address *address)
{
    size_t length = address_length(address);
    for (size_t i = 0; i < subnet->pool_count; i++) {
        const struct openstack_pool *pool = &subnet->pools[i];
        if (pool->first.family == address->family && pool->last.family == address->family &&
            memcmp(address->bytes, pool->first.bytes, length) >= 0 &&
            memcmp(address->bytes, pool->last.bytes, length) <= 0)
            return true;
    }
    return false;
}
