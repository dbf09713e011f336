/* SPDX-License-Identifier: Apache-2.0
 *
 * A message within the broker in memory, and lists of them. For bus_memory.c only.
 *
 * Threads: as the broker.
 */
#ifndef GUTS_PROTO_BUS_LETTER_H
#define GUTS_PROTO_BUS_LETTER_H

#include "proto/bus.h"
#include "proto/topology.h"

struct box;

struct letter {
    struct letter *next;
    enum message_type type;
    void *body;
    size_t length;
    uint64_t expires_at_ms; /* 0: never */
    char *correlation_id;   /* NULL: none */
    struct uuid message_id;
    bool redelivered;
    char exchange[TOPOLOGY_NAME_SIZE], routing_key[TOPOLOGY_NAME_SIZE];
    /* while unacknowledged */
    uint64_t tag;
    struct box *box;
};

struct letter_list {
    struct letter *first, **end;
};

struct letter *letter_new(const struct bus_publication *publication);
struct letter *letter_copy(const struct letter *letter);
void letter_free(struct letter *letter); /* NULL too */
bool letter_is_expired(const struct letter *letter);

/* A list points into itself: it is never copied. */
void letter_list_init(struct letter_list *list);
void letter_list_append(struct letter_list *list, struct letter *letter);
void letter_list_prepend(struct letter_list *list, struct letter *letter);
/* Takes out the letter that `at` (the list's `first` or a letter's `next`) points to. */
struct letter *letter_list_take(struct letter_list *list, struct letter **at);
void letter_list_free(struct letter_list *list); /* the letters: the list is empty then */
size_t letter_list_count(const struct letter_list *list);

#endif
