/* SPDX-License-Identifier: Apache-2.0
 *
 * Intrusive lists: an element embeds a link for each list that it may stand in. A link that was
 * never put anywhere, or was taken out, is alone.
 */
#ifndef GUTS_SCHEDULER_LIST_H
#define GUTS_SCHEDULER_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *previous, *next; /* NULL: alone; a list's head points at itself when empty */
};

#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
/* Goes on after `item` was taken out of the list in the body. */
#define LIST_EACH(head, at)                                                                        \
    for (struct link *at = (head)->next, *at##_next = at->next; at != (head);                      \
         at = at##_next, at##_next = at->next)

static inline void list_init(struct link *head)
{
    head->previous = head->next = head;
}
static inline bool list_is_empty(const struct link *head)
{
    return head->next == head;
}
static inline void list_append(struct link *head, struct link *link)
{
    link->previous = head->previous;
    link->next = head;
    head->previous->next = link;
    head->previous = link;
}
static inline void list_remove(struct link *link)
{
    if (link->next == NULL)
        return;
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = link->next = NULL;
}

#endif
