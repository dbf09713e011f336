/* SPDX-License-Identifier: Apache-2.0
 *
 * The facts as items of the destination's catalogue.
 */
#include <string.h>

#include "migration/destination/openstack_preflight.h"

struct telling {
    const struct openstack_facts *facts;
    openstack_take_item *take;
    void *context;
};

/* Takes the detail. */
static bool tell(const struct telling *telling, const char *kind, const char *id, const char *name,
                 json_t *detail, struct error *err)
{
    bool good = telling->take(telling->context, kind, id, name, detail, err);
    json_decref(detail);
    return good;
}

static bool tell_flavors(const struct telling *telling, struct error *err)
{
    for (size_t i = 0; i < telling->facts->flavor_count; i++) {
        const struct openstack_flavor *one = &telling->facts->flavors[i];
        json_t *detail =
            json_pack("{s:I, s:I, s:I, s:I, s:b, s:b, s:b}", "cpus", (json_int_t)one->cpus,
                      "ram_mib", (json_int_t)one->ram_mib, "disk_gib", (json_int_t)one->disk_gib,
                      "ephemeral_gib", (json_int_t)one->ephemeral_gib, "disabled", one->disabled,
                      "public", one->is_public, "special", one->special);
        if (!tell(telling, "flavor", one->id, one->name, detail, err))
            return false;
    }
    return true;
}

static json_t *subnet_detail(const struct openstack_subnet *subnet)
{
    json_t *pools = json_array();
    for (size_t i = 0; i < subnet->pool_count; i++)
        json_array_append_new(pools, json_pack("{s:s, s:s}", "first", subnet->pools[i].first.text,
                                               "last", subnet->pools[i].last.text));
    return json_pack("{s:s, s:s, s:s, s:b, s:s?, s:o}", "id", subnet->id, "name", subnet->name,
                     "cidr", subnet->cidr, "dhcp", subnet->dhcp, "gateway", subnet->gateway,
                     "pools", pools);
}

static bool tell_networks(const struct telling *telling, struct error *err)
{
    const struct openstack_facts *facts = telling->facts;
    for (size_t i = 0; i < facts->network_count; i++) {
        const struct openstack_network *one = &facts->networks[i];
        json_t *subnets = json_array();
        for (size_t k = 0; k < facts->subnet_count; k++)
            if (strcmp(facts->subnets[k].network_id, one->id) == 0)
                json_array_append_new(subnets, subnet_detail(&facts->subnets[k]));
        json_t *detail =
            json_pack("{s:b, s:b, s:b, s:b, s:b, s:I, s:o}", "up", one->up, "shared", one->shared,
                      "external", one->external, "own", one->own, "port_security",
                      one->port_security, "mtu", (json_int_t)one->mtu, "subnets", subnets);
        if (!tell(telling, "network", one->id, one->name, detail, err))
            return false;
    }
    return true;
}

static bool tell_names(const struct telling *telling, const char *kind,
                       const struct openstack_names *names, const char *word, struct error *err)
{
    for (size_t i = 0; i < names->count; i++) {
        const struct openstack_named *one = &names->items[i];
        json_t *detail = word != NULL ? json_pack("{s:s}", word, one->detail)
                                      : json_pack("{s:b}", "available", one->available);
        if (!tell(telling, kind, one->id, one->name, detail, err))
            return false;
    }
    return true;
}

static bool tell_quotas(const struct telling *telling, struct error *err)
{
    for (size_t i = 0; i < telling->facts->quota_count; i++) {
        const struct openstack_quota *one = &telling->facts->quotas[i];
        json_t *detail =
            json_pack("{s:I, s:I}", "limit", (json_int_t)one->limit, "used", (json_int_t)one->used);
        json_int_t left = one->limit > one->used ? one->limit - one->used : 0;
        json_object_set_new(detail, "left", one->limit < 0 ? json_null() : json_integer(left));
        if (!tell(telling, "quota", one->name, one->name, detail, err))
            return false;
    }
    return true;
}

static bool tell_formats(const struct telling *telling, struct error *err)
{
    for (size_t i = 0; i < telling->facts->image_format_count; i++)
        if (!tell(telling, "image_format", telling->facts->image_formats[i],
                  telling->facts->image_formats[i], json_object(), err))
            return false;
    return true;
}

bool openstack_facts_tell(const struct openstack_facts *facts, openstack_take_item *take,
                          void *context, struct error *err)
{
    const struct telling telling = {facts, take, context};
    return tell_flavors(&telling, err) && tell_networks(&telling, err) &&
           tell_names(&telling, "volume_type", &facts->volume_types, "description", err) &&
           tell_names(&telling, "keypair", &facts->keypairs, "fingerprint", err) &&
           tell_names(&telling, "security_group", &facts->security_groups, "description", err) &&
           tell_names(&telling, "availability_zone", &facts->zones, NULL, err) &&
           tell_names(&telling, "volume_zone", &facts->volume_zones, NULL, err) &&
           tell_formats(&telling, err) && tell_quotas(&telling, err);
}
