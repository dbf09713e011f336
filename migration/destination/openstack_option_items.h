/* SPDX-License-Identifier: Apache-2.0
 *
 * The items of an OpenStack migration's lists, one grammar each: "VM Network=lab-net", "0=10.0.0.7",
 * "1=fast", "20:fast", "role=web". What they name may not exist: that is for others.
 *
 * Threads: pure functions; texts live in the arena or in the item.
 */
#ifndef GUTS_MIGRATION_DESTINATION_OPENSTACK_OPTION_ITEMS_H
#define GUTS_MIGRATION_DESTINATION_OPENSTACK_OPTION_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/memory.h"

struct openstack_address {
    int family; /* AF_INET or AF_INET6 */
    unsigned char bytes[16];
    const char *text; /* as inet_ntop writes it */
};

struct openstack_network_rule {
    const char *source;  /* the source's name of its network */
    const char *network; /* NULL: the card is left out */
};
struct openstack_fixed_ip {
    const char *mac; /* lower case; NULL: by number */
    size_t card;
    struct openstack_address address;
};
struct openstack_disk_type {
    size_t disk;
    const char *volume_type;
};
struct openstack_extra_volume {
    uint64_t gib;
    const char *volume_type; /* NULL: that of all volumes */
};
struct openstack_pair {
    const char *key, *value;
};

bool openstack_address_parse(struct arena *arena, const char *text,
                             struct openstack_address *ret_address);
/* SOURCE=NETWORK, split at the last "="; SOURCE=- leaves the card out. */
bool openstack_network_rule_parse(struct arena *arena, const char *item,
                                  struct openstack_network_rule *ret_rule);
/* CARD=ADDRESS: a number from 0 or a MAC, and an IPv4 or IPv6 address. */
bool openstack_fixed_ip_parse(struct arena *arena, const char *item,
                              struct openstack_fixed_ip *ret_ip);
/* DISK=TYPE */
bool openstack_disk_type_parse(struct arena *arena, const char *item,
                               struct openstack_disk_type *ret_type);
/* GIB or GIB:TYPE */
bool openstack_extra_volume_parse(struct arena *arena, const char *item,
                                  struct openstack_extra_volume *ret_volume);
/* KEY=VALUE, within Nova's bounds for metadata; NULL, or what is wrong. */
const char *openstack_pair_parse(struct arena *arena, const char *item,
                                 struct openstack_pair *ret_pair);

#endif
