/* SPDX-License-Identifier: Apache-2.0
 *
 * The ports that the cards become: network, MAC, fixed addresses.
 */
#include <string.h>

#include "migration/destination/openstack_choice.h"
#include "proto/fault.h"

/* -- which network -------------------------------------------------------------------------------------- */

static const struct openstack_network *network_named(struct openstack_choosing *choosing,
                                                     const char *name)
{
    const struct openstack_facts *facts = choosing->question->facts;
    const struct openstack_network *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < facts->network_count; i++) {
        if (strcmp(facts->networks[i].id, name) == 0)
            return &facts->networks[i];
        if (strcmp(facts->networks[i].name, name) == 0 && count++ == 0)
            found = &facts->networks[i];
    }
    if (count == 0)
        fault_list_add(choosing->faults, &FAULT_NETWORK_NOT_FOUND, "there is no network \"%.100s\"",
                       name);
    if (count > 1)
        fault_list_add(choosing->faults, &FAULT_NAME_AMBIGUOUS,
                       "%zu networks are called \"%.100s\": use the id", count, name);
    return count == 1 ? found : NULL;
}

static const struct openstack_network *only_network(const struct openstack_facts *facts)
{
    const struct openstack_network *found = NULL;
    for (size_t i = 0; i < facts->network_count; i++) {
        if (facts->networks[i].external)
            continue;
        if (found != NULL)
            return NULL;
        found = &facts->networks[i];
    }
    return found;
}

/* The map's rule for the source's network of a card, or NULL. */
static const struct openstack_network_rule *rule_for(const struct openstack_options *options,
                                                     const struct vm_nic *nic)
{
    const char *source = nic->network != NULL ? nic->network : "";
    for (size_t i = 0; i < options->network_rule_count; i++)
        if (strcmp(options->network_rules[i].source, source) == 0)
            return &options->network_rules[i];
    return NULL;
}

static const struct openstack_network *network_for(struct openstack_choosing *choosing,
                                                   size_t number,
                                                   const struct openstack_network_rule *rule)
{
    const struct openstack_options *options = choosing->question->options;
    const struct vm_nic *nic = &choosing->question->vm->nics[number];
    const char *name = rule != NULL ? rule->network : options->network;
    if (name != NULL)
        return network_named(choosing, name);
    const struct openstack_network *only = only_network(choosing->question->facts);
    if (only == NULL)
        fault_list_add(choosing->faults, &FAULT_NETWORK_NOT_FOUND,
                       "nothing says which network card %zu goes to (\"%.100s\" at the source): "
                       "see the options network and network_map",
                       number, nic->network != NULL ? nic->network : "");
    return only;
}

static void check_network(struct openstack_choosing *choosing,
                          const struct openstack_network *network)
{
    const struct openstack_facts *facts = choosing->question->facts;
    size_t subnets = 0;
    for (size_t i = 0; i < facts->subnet_count; i++)
        subnets += strcmp(facts->subnets[i].network_id, network->id) == 0;
    if (!network->up)
        fault_list_add(choosing->faults, &FAULT_NETWORK_UNUSABLE,
                       "network \"%s\" is administratively down", network->name);
    if (subnets == 0)
        fault_list_add(choosing->faults, &FAULT_NETWORK_UNUSABLE, "network \"%s\" has no subnet",
                       network->name);
    if (!network->port_security && choosing->question->options->security_group_count > 0)
        fault_list_add(choosing->faults, &FAULT_NETWORK_UNUSABLE,
                       "network \"%s\" has no port security, so it takes no security groups",
                       network->name);
}

/* -- fixed addresses -------------------------------------------------------------------------------------- */

static bool is_ours(const struct openstack_choosing *choosing,
                    const struct openstack_seen_port *port)
{
    const char *mark = choosing->question->held.mark;
    return mark != NULL && strstr(port->marks, mark) != NULL;
}

static const struct openstack_seen_port *holder_of(const struct openstack_choosing *choosing,
                                                   const struct openstack_network *network,
                                                   const struct openstack_address *address)
{
    const struct openstack_facts *facts = choosing->question->facts;
    for (size_t i = 0; i < facts->port_count; i++) {
        const struct openstack_seen_port *port = &facts->ports[i];
        if (strcmp(port->network_id, network->id) != 0 || is_ours(choosing, port))
            continue;
        for (size_t k = 0; k < port->address_count; k++)
            if (port->addresses[k].family == address->family &&
                memcmp(port->addresses[k].bytes, address->bytes, sizeof(address->bytes)) == 0)
                return port;
    }
    return NULL;
}

static const struct openstack_subnet *subnet_of(const struct openstack_facts *facts,
                                                const struct openstack_network *network,
                                                const struct openstack_address *address)
{
    for (size_t i = 0; i < facts->subnet_count; i++)
        if (strcmp(facts->subnets[i].network_id, network->id) == 0 &&
            openstack_subnet_holds(&facts->subnets[i], address))
            return &facts->subnets[i];
    return NULL;
}

static bool is_taken_by_card(const struct openstack_choice *choice,
                             const struct openstack_network *network,
                             const struct openstack_address *address)
{
    for (size_t i = 0; i < choice->nic_count; i++)
        for (size_t k = 0; k < choice->nics[i].address_count; k++)
            if (choice->nics[i].network == network &&
                strcmp(choice->nics[i].addresses[k]->text, address->text) == 0)
                return true;
    return false;
}

static void add_address(struct openstack_choosing *choosing, struct openstack_choice_nic *card,
                        const struct openstack_address *address)
{
    const struct openstack_facts *facts = choosing->question->facts;
    const struct openstack_subnet *subnet = subnet_of(facts, card->network, address);
    const struct openstack_seen_port *holder = holder_of(choosing, card->network, address);
    if (subnet == NULL) {
        fault_list_add(choosing->faults, &FAULT_ADDRESS_OUTSIDE,
                       "%s lies in no subnet of network \"%s\"", address->text,
                       card->network->name);
        return;
    }
    if (openstack_subnet_reserves(subnet, address))
        fault_list_add(choosing->faults, &FAULT_ADDRESS_OUTSIDE,
                       "%s is no address of a card: it stands for subnet %s (%s)", address->text,
                       subnet->name, subnet->cidr);
    else if (!choosing->question->options->outside_pools && !openstack_pools_hold(subnet, address))
        fault_list_add(choosing->faults, &FAULT_ADDRESS_OUTSIDE,
                       "%s lies in no allocation pool of subnet %s (%s): see the option "
                       "outside_pools",
                       address->text, subnet->name, subnet->cidr);
    if (holder != NULL || is_taken_by_card(choosing->choice, card->network, address))
        fault_list_add(choosing->faults, &FAULT_ADDRESS_IN_USE, "%s is in use on \"%s\" by %s %s",
                       address->text, card->network->name, holder != NULL ? "port" : "another card",
                       holder != NULL ? holder->id : "");
    if (card->address_count < COUNT_OF(card->addresses)) {
        card->subnets[card->address_count] = subnet;
        card->addresses[card->address_count++] = address;
    }
}

static bool names_card(const struct openstack_fixed_ip *ip, size_t number, const struct vm_nic *nic)
{
    return ip->mac != NULL ? nic->mac != NULL && strcasecmp(ip->mac, nic->mac) == 0
                           : ip->card == number;
}

static void add_addresses(struct openstack_choosing *choosing, struct openstack_choice_nic *card)
{
    const struct openstack_options *options = choosing->question->options;
    const struct vm_nic *nic = &choosing->question->vm->nics[card->number];
    for (size_t i = 0; i < options->fixed_ip_count; i++)
        if (names_card(&options->fixed_ips[i], card->number, nic))
            add_address(choosing, card, &options->fixed_ips[i].address);
}

/* An address for a card that is not there was meant for one that is. */
static void check_addresses_meant(struct openstack_choosing *choosing)
{
    const struct openstack_options *options = choosing->question->options;
    const struct vm *vm = choosing->question->vm;
    for (size_t i = 0; i < options->fixed_ip_count; i++) {
        bool found = false;
        for (size_t k = 0; k < vm->nic_count; k++)
            found = found || names_card(&options->fixed_ips[i], k, &vm->nics[k]);
        if (!found)
            fault_list_add(choosing->faults, &FAULT_FIELDS_INVALID,
                           "\"fixed_ips\" gives %s to a card that the machine has not",
                           options->fixed_ips[i].address.text);
    }
}

/* -- MACs ------------------------------------------------------------------------------------------------- */

static void check_mac(struct openstack_choosing *choosing, const struct openstack_choice_nic *card)
{
    const struct openstack_facts *facts = choosing->question->facts;
    const struct openstack_choice *choice = choosing->choice;
    for (size_t i = 0; i < facts->port_count; i++) {
        const struct openstack_seen_port *port = &facts->ports[i];
        if (strcmp(port->network_id, card->network->id) == 0 &&
            strcasecmp(port->mac, card->mac) == 0 && !is_ours(choosing, port)) {
            fault_list_add(choosing->faults, &FAULT_MAC_IN_USE,
                           "%s is in use on network \"%s\" by port %s", card->mac,
                           card->network->name, port->id);
            return;
        }
    }
    for (size_t i = 0; i < choice->nic_count; i++)
        if (choice->nics[i].network == card->network && choice->nics[i].mac != NULL &&
            strcasecmp(choice->nics[i].mac, card->mac) == 0)
            fault_list_add(choosing->faults, &FAULT_MAC_IN_USE,
                           "cards %zu and %zu have the same MAC %s on network \"%s\"",
                           choice->nics[i].number, card->number, card->mac, card->network->name);
}

static bool was_checked(const struct openstack_choice *choice,
                        const struct openstack_network *network)
{
    for (size_t i = 0; i < choice->nic_count; i++)
        if (choice->nics[i].network == network)
            return true;
    return false;
}

static void choose_card(struct openstack_choosing *choosing, size_t number)
{
    const struct openstack_question *question = choosing->question;
    const struct vm_nic *nic = &question->vm->nics[number];
    const struct openstack_network_rule *rule = rule_for(question->options, nic);
    if (rule != NULL && rule->network == NULL)
        return;
    struct openstack_choice_nic card = {.number = number,
                                        .network = network_for(choosing, number, rule)};
    if (card.network == NULL)
        return;
    if (!was_checked(choosing->choice, card.network))
        check_network(choosing, card.network);
    if (question->options->keep_mac && nic->mac != NULL && nic->mac[0] != '\0') {
        card.mac = nic->mac;
        check_mac(choosing, &card);
    }
    add_addresses(choosing, &card);
    choosing->choice->nics[choosing->choice->nic_count++] = card;
}

/* Where Neutron finds the addresses. What a former attempt holds would be counted twice. */
static void check_room(struct openstack_choosing *choosing)
{
    const struct openstack_choice *choice = choosing->choice;
    for (size_t i = 0; i < choice->nic_count; i++) {
        const struct openstack_network *network = choice->nics[i].network;
        size_t needed = 0, before = 0;
        for (size_t k = 0; k < choice->nic_count; k++) {
            needed += choice->nics[k].network == network && choice->nics[k].address_count == 0;
            before += choice->nics[k].network == network && k < i;
        }
        if (network->room_known && before == 0 && needed > network->room &&
            choosing->question->held.ports == 0)
            fault_list_add(choosing->faults, &FAULT_NETWORK_UNUSABLE,
                           "network \"%s\" has %llu free addresses, %zu are needed", network->name,
                           (unsigned long long)network->room, needed);
    }
}

void openstack_choose_cards(struct openstack_choosing *choosing)
{
    const struct vm *vm = choosing->question->vm;
    choosing->choice->nics =
        arena_calloc(choosing->arena, vm->nic_count + 1, sizeof(struct openstack_choice_nic));
    for (size_t i = 0; i < vm->nic_count; i++)
        choose_card(choosing, i);
    check_addresses_meant(choosing);
    check_room(choosing);
}
