/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger as a fence: writes of workers are stored when their token is current, and answered
 * after the commit (design: "Ledger"). Which write changes an entry is decided in decide.c.
 */
#ifndef GUTS_SCHEDULER_FENCE_H
#define GUTS_SCHEDULER_FENCE_H

#include "scheduler/tick.h"

struct ledger_write {
    struct uuid node_id;
    const char *node_instance;
    struct token token;
    uint64_t number;
    struct ledger_entry entry;
};
/* The owner's ledger was read into the tick (when the job is known). */
void fence_write(struct tick *tick, const struct ledger_write *write);
/* Ledger copies of a node's journal: entries that the database lost are put back. */
void fence_restore(struct tick *tick, enum owner_kind owner_kind, const struct uuid *owner,
                   const struct token *token, const struct ledger_entry *entry);

#endif
