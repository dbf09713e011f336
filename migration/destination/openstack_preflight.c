/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/openstack_preflight.h"

#include <string.h>

#include "migration/destination/fault_list.h"

/* What a former attempt of the migration made and nobody took back yet. */
static struct openstack_held count_held(const struct work *work, struct arena *arena)
{
    struct openstack_held held = {.mark = arena_strdup(arena, UUID_TEXT(work_owner(work)))};
    for (size_t i = 0; i < work_ledger_count(work); i++) {
        const struct ledger_entry *entry = work_ledger_get(work, i);
        if (entry->end != END_DESTINATION || entry->state != LEDGER_MADE)
            continue;
        held.servers += strcmp(entry->kind, "server") == 0;
        held.volumes += strcmp(entry->kind, "volume") == 0;
        held.ports += strcmp(entry->kind, "port") == 0;
    }
    return held;
}

/* The ports that hold a MAC or an address which this choice wants, and room for its other addresses. */
static bool ask_ports(struct openstack_session *session, struct openstack_facts *facts,
                      const struct openstack_choice *choice, struct error *err)
{
    facts->port_count = 0;
    for (size_t i = 0; i < choice->nic_count; i++) {
        const struct openstack_choice_nic *nic = &choice->nics[i];
        if (!openstack_facts_ask_room(session, facts, nic->network->id, err))
            return false;
        if (nic->mac != NULL &&
            !openstack_facts_ask_mac(session, facts, nic->network->id, nic->mac, err))
            return false;
        for (size_t k = 0; k < nic->address_count; k++)
            if (!openstack_facts_ask_address(session, facts, nic->network->id,
                                             nic->addresses[k]->text, err))
                return false;
    }
    return true;
}

static void tell_options(struct fault_list *faults, const struct error *why)
{
    fault_list_add(faults, why->fault, "%s", why->text);
}

/* Twice: the first look says which networks, MACs and addresses there are to ask about. */
bool openstack_decide(struct openstack_session *session, const struct destination_plan *plan,
                      struct openstack_facts **facts, struct fault_list *faults,
                      struct openstack_options *ret_options, struct openstack_choice *ret_choice,
                      struct error *err)
{
    CLEANUP(fault_list_freep) struct fault_list *first = fault_list_new();
    struct arena *arena = work_arena(plan->work);
    struct error why;
    if (*facts == NULL && !openstack_facts_read(session, arena, facts, err))
        return false;
    if (!openstack_options_read(plan->options, arena, ret_options, &why)) {
        tell_options(faults, &why);
        *ret_choice = (struct openstack_choice){0};
        return true;
    }
    struct openstack_question question = {
        .facts = *facts,
        .vm = plan->vm,
        .server_name = plan->server_name,
        .options = ret_options,
        .held = count_held(plan->work, arena),
    };
    openstack_choose(&question, arena, first, ret_choice);
    if (!ask_ports(session, *facts, ret_choice, err))
        return false;
    openstack_choose(&question, arena, faults, ret_choice);
    return true;
}
