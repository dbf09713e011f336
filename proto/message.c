/* SPDX-License-Identifier: Apache-2.0
 *
 * The types of messages, as AMQP's "type" property carries them.
 */
#include "proto/bus.h"

#include <string.h>

static const char *const names[] = {
    [MESSAGE_UNKNOWN] = "guts.v1.Unknown",
    [MESSAGE_WAKE] = "guts.v1.Wake",
    [MESSAGE_JOB_ASSIGN] = "guts.v1.JobAssign",
    [MESSAGE_LEASE_RENEW] = "guts.v1.LeaseRenew",
    [MESSAGE_LEDGER_ANSWER] = "guts.v1.LedgerAnswer",
    [MESSAGE_NODE_CONTROL] = "guts.v1.NodeControl",
    [MESSAGE_NODE_REPORT] = "guts.v1.NodeReport",
    [MESSAGE_JOB_ACCEPT] = "guts.v1.JobAccept",
    [MESSAGE_JOB_REFUSE] = "guts.v1.JobRefuse",
    [MESSAGE_LEDGER_WRITE] = "guts.v1.LedgerWrite",
    [MESSAGE_JOB_FINISHED] = "guts.v1.JobFinished",
    [MESSAGE_INVENTORY_PAGE] = "guts.v1.InventoryPage",
    [MESSAGE_CATALOG_PAGE] = "guts.v1.CatalogPage",
    [MESSAGE_CHANGE] = "guts.v1.Change",
};

const char *message_type_name(enum message_type type)
{
    return names[(unsigned)type < COUNT_OF(names) ? type : MESSAGE_UNKNOWN];
}

enum message_type message_type_parse(const char *name)
{
    for (unsigned i = MESSAGE_WAKE; name && i < COUNT_OF(names); i++)
        if (strcmp(names[i], name) == 0)
            return (enum message_type)i;
    return MESSAGE_UNKNOWN;
}
