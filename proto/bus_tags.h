/* SPDX-License-Identifier: Apache-2.0
 *
 * Which deliveries of a channel are acknowledged, so that many acknowledgements go out as one. The
 * broker numbers deliveries from 1 on. For bus_amqp only; knows no AMQP library.
 *
 * Threads: as the bus.
 */
#ifndef GUTS_PROTO_BUS_TAGS_H
#define GUTS_PROTO_BUS_TAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus_tags {
    uint8_t *slots;     /* by number */
    size_t capacity;    /* a power of two */
    uint64_t low, next; /* numbers that may be open: [low, next) */
    size_t unsent;      /* acknowledged, not yet told to the broker */
};

void tags_init(struct bus_tags *tags);
void tags_fini(struct bus_tags *tags);
void tags_reset(struct bus_tags *tags); /* a new channel */
/* The broker delivered a message; false when its number is not the one that follows. */
bool tags_deliver(struct bus_tags *tags, uint64_t number);
/* False when it is not open (acknowledged before, or never delivered). */
bool tags_ack(struct bus_tags *tags, uint64_t number);
bool tags_forget(struct bus_tags *tags, uint64_t number); /* handed back to the broker */
/* What to tell the broker next: all up to number, or just it; false when nothing is left. */
bool tags_next_ack(struct bus_tags *tags, uint64_t *ret_number, bool *ret_multiple);

#endif
