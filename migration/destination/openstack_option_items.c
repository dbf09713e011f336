/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/openstack_option_items.h"

#include <arpa/inet.h>
#include <string.h>

#include "proto/vm.h"

#define NUMBER_MOST 1000000u
#define METADATA_BYTES_MOST 255

/* Splits at `at`, which points into `item`; false when one side is empty. */
static bool split(struct arena *arena, const char *item, const char *at, const char **ret_front,
                  const char **ret_rest)
{
    if (at == NULL || at == item || at[1] == '\0')
        return false;
    *ret_front = arena_strndup(arena, item, (size_t)(at - item));
    *ret_rest = at + 1;
    return true;
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 7 || text[length] != '\0')
        return false;
    for (const char *at = text; *at != '\0'; at++)
        number = number * 10 + (uint64_t)(*at - '0');
    if (number > NUMBER_MOST)
        return false;
    *ret_number = number;
    return true;
}

static int hex_value(char letter)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = letter != '\0' ? strchr(digits, letter) : NULL;
    return at != NULL ? (int)((at - digits) % 16) : -1;
}

/* "52:54:00:AB:…" in lower case, or NULL. */
static const char *parse_mac(struct arena *arena, const char *text)
{
    if (strlen(text) != 17)
        return NULL;
    char *mac = arena_strdup(arena, text);
    for (size_t i = 0; i < 17; i++) {
        int value = hex_value(mac[i]);
        if (i % 3 == 2 ? mac[i] != ':' && mac[i] != '-' : value < 0)
            return NULL;
        mac[i] = i % 3 == 2 ? ':' : "0123456789abcdef"[value];
    }
    return mac;
}

bool openstack_address_parse(struct arena *arena, const char *text,
                             struct openstack_address *ret_address)
{
    struct openstack_address address = {.family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET};
    char clean[INET6_ADDRSTRLEN];
    if (inet_pton(address.family, text, address.bytes) != 1)
        return false;
    address.text =
        arena_strdup(arena, inet_ntop(address.family, address.bytes, clean, sizeof(clean)));
    *ret_address = address;
    return true;
}

bool openstack_network_rule_parse(struct arena *arena, const char *item,
                                  struct openstack_network_rule *ret_rule)
{
    struct openstack_network_rule rule;
    if (!split(arena, item, strrchr(item, '='), &rule.source, &rule.network))
        return false;
    if (strcmp(rule.network, "-") == 0)
        rule.network = NULL;
    *ret_rule = rule;
    return true;
}

bool openstack_fixed_ip_parse(struct arena *arena, const char *item,
                              struct openstack_fixed_ip *ret_ip)
{
    const char *card, *address;
    struct openstack_fixed_ip ip = {0};
    uint64_t number = 0;
    if (!split(arena, item, strrchr(item, '='), &card, &address) ||
        !openstack_address_parse(arena, address, &ip.address))
        return false;
    ip.mac = parse_mac(arena, card);
    if (ip.mac == NULL && (!parse_number(card, &number) || number >= VM_NICS_MOST))
        return false;
    ip.card = (size_t)number;
    *ret_ip = ip;
    return true;
}

bool openstack_disk_type_parse(struct arena *arena, const char *item,
                               struct openstack_disk_type *ret_type)
{
    const char *disk, *type;
    uint64_t number;
    if (!split(arena, item, strchr(item, '='), &disk, &type) || !parse_number(disk, &number) ||
        number >= VM_DISKS_MOST)
        return false;
    *ret_type = (struct openstack_disk_type){(size_t)number, type};
    return true;
}

bool openstack_extra_volume_parse(struct arena *arena, const char *item,
                                  struct openstack_extra_volume *ret_volume)
{
    struct openstack_extra_volume volume = {0};
    const char *size = item;
    const char *colon = strchr(item, ':');
    if ((colon != NULL && !split(arena, item, colon, &size, &volume.volume_type)) ||
        !parse_number(size, &volume.gib) || volume.gib == 0)
        return false;
    *ret_volume = volume;
    return true;
}

/* Nova's own bounds (api-ref, "metadata"); what begins with "guts" is written by us. */
static const char *judge_pair(const struct openstack_pair *pair)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "-_:. ";
    if (strspn(pair->key, letters) != strlen(pair->key))
        return "may have letters, digits and -_:. in keys only";
    if (strlen(pair->key) > METADATA_BYTES_MOST || strlen(pair->value) > METADATA_BYTES_MOST)
        return "may have at most 255 bytes in a key or a value";
    if (strncmp(pair->key, "guts", 4) == 0)
        return "must not hold keys that begin with \"guts\"";
    return NULL;
}

const char *openstack_pair_parse(struct arena *arena, const char *item,
                                 struct openstack_pair *ret_pair)
{
    const char *equals = strchr(item, '=');
    if (equals == NULL || equals == item)
        return "must hold items KEY=VALUE";
    *ret_pair =
        (struct openstack_pair){arena_strndup(arena, item, (size_t)(equals - item)), equals + 1};
    return judge_pair(ret_pair);
}
