/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of Nova, Neutron, Cinder and Glance as facts. A cloud's answer is input from outside: what is
 * not as the service's reference says is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "migration/destination/openstack_facts.h"
#include "proto/text.h"

#define POOLS_MOST 64
#define ADDRESSES_MOST 32
#define FORMATS_MOST 32
#define TEXT_MOST 255

/* A field's text in the arena, or NULL: none, too long, or nothing that may be shown. */
static const char *text_of(struct openstack_facts *facts, const json_t *item, const char *key)
{
    const json_t *value = json_object_get(item, key);
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) > TEXT_MOST || !text_is_printable(text, false))
        return NULL;
    return arena_strdup(facts->arena, text);
}

static const char *text_or_empty(struct openstack_facts *facts, const json_t *item, const char *key)
{
    const char *text = text_of(facts, item, key);
    return text != NULL ? text : "";
}

static uint64_t number_of(const json_t *item, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(item, key));
    return number > 0 ? (uint64_t)number : 0;
}

static bool is_true(const json_t *item, const char *key)
{
    return json_is_true(json_object_get(item, key));
}

/* Room for one more of the array. */
static bool grow(struct openstack_facts *facts, void *array, size_t size, size_t count,
                 size_t *room, struct error *err)
{
    if (count >= OPENSTACK_FACTS_MOST)
        return error_set(err, &FAULT_TOO_LARGE, "the cloud tells of more than %d of one kind",
                         OPENSTACK_FACTS_MOST);
    if (count < *room)
        return true;
    size_t more = *room != 0 ? *room * 2 : 16;
    void *items = arena_calloc(facts->arena, more, size);
    void **old = array;
    if (count > 0)
        memcpy(items, *old, count * size);
    *old = items;
    *room = more;
    return true;
}

/* -- Nova --------------------------------------------------------------------------------------------- */

static bool is_special(const json_t *extra_specs)
{
    static const char *const prefixes[] = {"pci_passthrough:", "resources", "trait", "hw:numa_",
                                           "hw:cpu_policy",    "hw:pmem",   "accel:"};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)extra_specs, name, value)
        for (size_t i = 0; i < COUNT_OF(prefixes); i++)
            if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
                return true;
    return false;
}

bool openstack_facts_take_flavor(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    struct openstack_flavor flavor = {
        .id = text_of(facts, item, "id"),
        .name = text_of(facts, item, "name"),
        .ram_mib = number_of(item, "ram"),
        .cpus = number_of(item, "vcpus"),
        .disk_gib = number_of(item, "disk"),
        .ephemeral_gib = number_of(item, "OS-FLV-EXT-DATA:ephemeral"),
        .disabled = is_true(item, "OS-FLV-DISABLED:disabled"),
        .is_public = is_true(item, "os-flavor-access:is_public"),
        .special = is_special(json_object_get(item, "extra_specs")),
    };
    if (flavor.id == NULL || flavor.name == NULL)
        return true;
    if (!grow(facts, &facts->flavors, sizeof(flavor), facts->flavor_count, &facts->flavor_room,
              err))
        return false;
    facts->flavors[facts->flavor_count++] = flavor;
    return true;
}

static bool add_name(struct openstack_facts *facts, struct openstack_names *names, const char *id,
                     const char *name, bool available, const char *detail, struct error *err)
{
    if (id == NULL || name == NULL)
        return true;
    if (!grow(facts, &names->items, sizeof(*names->items), names->count, &names->room, err))
        return false;
    names->items[names->count++] = (struct openstack_named){id, name, available, detail};
    return true;
}

bool openstack_facts_take_keypair(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    const json_t *inner = json_object_get(item, "keypair");
    inner = inner != NULL ? inner : item;
    const char *name = text_of(facts, inner, "name");
    return add_name(facts, &facts->keypairs, name, name, true,
                    text_or_empty(facts, inner, "fingerprint"), err);
}

static bool take_zone(struct openstack_facts *facts, struct openstack_names *names,
                      const json_t *item, struct error *err)
{
    const char *name = text_of(facts, item, "zoneName");
    bool available = is_true(json_object_get(item, "zoneState"), "available");
    return add_name(facts, names, name, name, available, "", err);
}

bool openstack_facts_take_zone(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    return take_zone(facts, &facts->zones, item, err);
}

bool openstack_facts_take_volume_zone(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    return take_zone(facts, &facts->volume_zones, item, err);
}

/* -- quotas ------------------------------------------------------------------------------------------- */

void openstack_facts_put_quota(struct openstack_facts *facts, const char *name, int64_t limit,
                               int64_t used)
{
    struct error ignored;
    if (!grow(facts, &facts->quotas, sizeof(*facts->quotas), facts->quota_count, &facts->quota_room,
              &ignored))
        return;
    facts->quotas[facts->quota_count++] = (struct openstack_quota){
        arena_strdup(facts->arena, name), limit < 0 ? -1 : limit, used < 0 ? 0 : used};
}

void openstack_facts_take_nova_limits(struct openstack_facts *facts, const json_t *absolute)
{
    static const char *const names[][3] = {{"cores", "maxTotalCores", "totalCoresUsed"},
                                           {"ram_mib", "maxTotalRAMSize", "totalRAMUsed"},
                                           {"instances", "maxTotalInstances", "totalInstancesUsed"},
                                           {"metadata", "maxServerMeta", NULL}};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const json_t *limit = json_object_get(absolute, names[i][1]);
        const json_t *used = names[i][2] != NULL ? json_object_get(absolute, names[i][2]) : NULL;
        if (json_is_integer(limit))
            openstack_facts_put_quota(facts, names[i][0], json_integer_value(limit),
                                      json_integer_value(used));
    }
}

static int64_t sum(json_int_t left, json_int_t right)
{
    json_int_t total;
    return __builtin_add_overflow(left, right, &total) ? INT64_MAX : total;
}

void openstack_facts_take_quota_set(struct openstack_facts *facts, const json_t *set,
                                    const char *only, const char *name)
{
    const char *key;
    json_t *one;
    json_object_foreach((json_t *)set, key, one) {
        const json_t *limit = json_object_get(one, "limit");
        if (!json_is_integer(limit) || (only != NULL && strcmp(key, only) != 0) ||
            strlen(key) > TEXT_MOST || !text_is_printable(key, false))
            continue;
        json_int_t used = sum(sum(json_integer_value(json_object_get(one, "in_use")),
                                  json_integer_value(json_object_get(one, "used"))),
                              json_integer_value(json_object_get(one, "reserved")));
        openstack_facts_put_quota(facts, name != NULL ? name : key, json_integer_value(limit),
                                  used);
    }
}

/* -- Neutron -------------------------------------------------------------------------------------------- */

/* Of those that an administrator sees, only what this project may use. */
bool openstack_facts_take_network(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    const char *project = text_or_empty(facts, item, "project_id");
    const json_t *security = json_object_get(item, "port_security_enabled");
    struct openstack_network network = {
        .id = text_of(facts, item, "id"),
        .name = text_of(facts, item, "name"),
        .up = is_true(item, "admin_state_up"),
        .shared = is_true(item, "shared"),
        .external = is_true(item, "router:external"),
        .own = facts->project_id != NULL && strcmp(project, facts->project_id) == 0,
        .port_security = security == NULL || json_is_true(security),
        .mtu = number_of(item, "mtu"),
    };
    if (network.id == NULL || network.name == NULL ||
        (!network.own && !network.shared && !network.external))
        return true;
    if (!grow(facts, &facts->networks, sizeof(network), facts->network_count, &facts->network_room,
              err))
        return false;
    facts->networks[facts->network_count++] = network;
    return true;
}

/* Nothing about IPv6: its subnets do not run out, nor does a number hold what they have. */
void openstack_facts_take_room(struct openstack_network *network, const json_t *subnets)
{
    size_t index;
    const json_t *each;
    network->room = 0;
    network->room_known = false;
    json_array_foreach(subnets, index, each) {
        if (json_integer_value(json_object_get(each, "ip_version")) != 4)
            continue;
        uint64_t total = number_of(each, "total_ips"), used = number_of(each, "used_ips");
        network->room_known = true;
        network->room += total > used && total <= UINT32_MAX ? total - used : 0;
    }
}

static bool parse_cidr(struct arena *arena, const char *cidr, struct openstack_subnet *subnet)
{
    const char *slash = cidr != NULL ? strchr(cidr, '/') : NULL;
    if (slash == NULL || slash[1] < '0' || slash[1] > '9')
        return false;
    unsigned long prefix = strtoul(slash + 1, NULL, 10);
    const char *base = arena_strndup(arena, cidr, (size_t)(slash - cidr));
    subnet->cidr = cidr;
    subnet->prefix = (unsigned)prefix;
    return openstack_address_parse(arena, base, &subnet->base) &&
           prefix <= (subnet->base.text != NULL && strchr(base, ':') != NULL ? 128u : 32u);
}

static void take_pools(struct openstack_facts *facts, const json_t *list,
                       struct openstack_subnet *subnet)
{
    size_t index;
    json_t *pool;
    subnet->pools = arena_calloc(facts->arena, POOLS_MOST, sizeof(*subnet->pools));
    json_array_foreach((json_t *)list, index, pool) {
        struct openstack_pool *to = &subnet->pools[subnet->pool_count];
        if (openstack_address_parse(facts->arena, text_or_empty(facts, pool, "start"),
                                    &to->first) &&
            openstack_address_parse(facts->arena, text_or_empty(facts, pool, "end"), &to->last))
            subnet->pool_count++;
        if (subnet->pool_count == POOLS_MOST)
            break;
    }
}

bool openstack_facts_take_subnet(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    struct openstack_subnet subnet = {
        .id = text_of(facts, item, "id"),
        .name = text_or_empty(facts, item, "name"),
        .network_id = text_of(facts, item, "network_id"),
        .dhcp = is_true(item, "enable_dhcp"),
        .gateway = text_of(facts, item, "gateway_ip"),
    };
    if (subnet.id == NULL || subnet.network_id == NULL ||
        !parse_cidr(facts->arena, text_of(facts, item, "cidr"), &subnet))
        return true;
    take_pools(facts, json_object_get(item, "allocation_pools"), &subnet);
    if (!grow(facts, &facts->subnets, sizeof(subnet), facts->subnet_count, &facts->subnet_room,
              err))
        return false;
    facts->subnets[facts->subnet_count++] = subnet;
    return true;
}

bool openstack_facts_take_security_group(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    const char *project = text_or_empty(facts, item, "project_id");
    if (facts->project_id != NULL && strcmp(project, facts->project_id) != 0 &&
        !is_true(item, "shared"))
        return true;
    return add_name(facts, &facts->security_groups, text_of(facts, item, "id"),
                    text_of(facts, item, "name"), true, text_or_empty(facts, item, "description"),
                    err);
}

static void take_addresses(struct openstack_facts *facts, const json_t *list,
                           struct openstack_seen_port *port)
{
    size_t index;
    json_t *one;
    port->addresses = arena_calloc(facts->arena, ADDRESSES_MOST, sizeof(*port->addresses));
    json_array_foreach((json_t *)list, index, one) {
        if (port->address_count < ADDRESSES_MOST &&
            openstack_address_parse(facts->arena, text_or_empty(facts, one, "ip_address"),
                                    &port->addresses[port->address_count]))
            port->address_count++;
    }
}

bool openstack_facts_take_port(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    struct openstack_seen_port port = {
        .id = text_of(facts, item, "id"),
        .network_id = text_of(facts, item, "network_id"),
        .mac = text_or_empty(facts, item, "mac_address"),
        .device_id = text_or_empty(facts, item, "device_id"),
    };
    if (port.id == NULL || port.network_id == NULL)
        return true;
    char *tags = json_dumps(json_object_get(item, "tags"), JSON_ENCODE_ANY | JSON_COMPACT);
    port.marks = arena_printf(facts->arena, "%s %s %s", text_or_empty(facts, item, "name"),
                              text_or_empty(facts, item, "description"), tags ? tags : "");
    free(tags);
    take_addresses(facts, json_object_get(item, "fixed_ips"), &port);
    if (!grow(facts, &facts->ports, sizeof(port), facts->port_count, &facts->port_room, err))
        return false;
    facts->ports[facts->port_count++] = port;
    return true;
}

/* -- Cinder, Glance --------------------------------------------------------------------------------------- */

void openstack_facts_take_default_type(struct openstack_facts *facts, const json_t *type)
{
    facts->default_volume_type = text_of(facts, type, "name");
}

bool openstack_facts_take_volume_type(void *context, const json_t *item, struct error *err)
{
    struct openstack_facts *facts = context;
    return add_name(facts, &facts->volume_types, text_of(facts, item, "id"),
                    text_of(facts, item, "name"), true, text_or_empty(facts, item, "description"),
                    err);
}

void openstack_facts_take_formats(struct openstack_facts *facts, const json_t *image_schema)
{
    const json_t *properties = json_object_get(image_schema, "properties");
    const json_t *words = json_object_get(json_object_get(properties, "disk_format"), "enum");
    size_t index;
    json_t *word;
    facts->image_formats = arena_calloc(facts->arena, FORMATS_MOST, sizeof(char *));
    json_array_foreach((json_t *)words, index, word) {
        const char *text = json_string_value(word);
        if (text != NULL && facts->image_format_count < FORMATS_MOST && strlen(text) < 32 &&
            text_is_printable(text, false))
            facts->image_formats[facts->image_format_count++] = arena_strdup(facts->arena, text);
    }
}
