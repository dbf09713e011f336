/* SPDX-License-Identifier: Apache-2.0
 *
 * The list that a preflight fills, from its reader's side: drivers only add to it
 * (destination.h). Bounded: what comes after FAULT_LIST_MOST is counted and dropped.
 *
 * Threads: a list belongs to one thread.
 */
#ifndef GUTS_MIGRATION_DESTINATION_FAULT_LIST_H
#define GUTS_MIGRATION_DESTINATION_FAULT_LIST_H

#include "migration/destination/destination.h"

#define FAULT_LIST_MOST 64

struct fault_list *fault_list_new(void);
void fault_list_free(struct fault_list *list);
void fault_list_freep(struct fault_list **list);
size_t fault_list_count(const struct fault_list *list); /* at most FAULT_LIST_MOST */
const struct error *fault_list_get(const struct fault_list *list, size_t index);

#endif
