/* SPDX-License-Identifier: Apache-2.0
 *
 * Items of an OpenStack migration's options: the first byte chooses the grammar, the rest is the item.
 *
 * sources: migration/destination/openstack_option_items.c proto/text.c
 */
#include "migration/destination/openstack_option_items.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(const struct openstack_address *address)
{
    if ((address->family != AF_INET && address->family != AF_INET6) || address->text[0] == '\0')
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const char *item = arena_strndup(arena, (const char *)data + 1, size - 1);
    union {
        struct openstack_address address;
        struct openstack_network_rule rule;
        struct openstack_fixed_ip ip;
        struct openstack_disk_type type;
        struct openstack_extra_volume volume;
        struct openstack_pair pair;
    } made;
    memset(&made, 0, sizeof(made));
    switch (data[0] % 6) {
    case 0:
        if (openstack_address_parse(arena, item, &made.address))
            check_address(&made.address);
        break;
    case 1:
        if (openstack_network_rule_parse(arena, item, &made.rule) && made.rule.source[0] == '\0')
            abort();
        break;
    case 2:
        if (openstack_fixed_ip_parse(arena, item, &made.ip))
            check_address(&made.ip.address);
        break;
    case 3:
        if (openstack_disk_type_parse(arena, item, &made.type) && made.type.volume_type[0] == '\0')
            abort();
        break;
    case 4:
        if (openstack_extra_volume_parse(arena, item, &made.volume) && made.volume.gib == 0)
            abort();
        break;
    default:
        if (openstack_pair_parse(arena, item, &made.pair) == NULL && made.pair.key[0] == '\0')
            abort();
    }
    return 0;
}
