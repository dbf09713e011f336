/* SPDX-License-Identifier: Apache-2.0
 *
 * What was published and has no fate yet: the broker confirms by the number that each message has
 * on its channel, one at a time or all up to a number. Bounded, so that a broker that confirms
 * nothing stops its publisher. For bus_amqp only; knows no AMQP library.
 *
 * Threads: as the bus.
 */
#ifndef GUTS_PROTO_BUS_WINDOW_H
#define GUTS_PROTO_BUS_WINDOW_H

#include "proto/bus.h"

#define BUS_WINDOW_MOST 4096u /* a power of two */

/* One message, while it waits and once its fate is known. */
struct window_entry {
    uint64_t cookie;
    uint64_t reject_tag; /* of the message that this dead letter is about; 0: none */
    struct uuid message_id;
    enum bus_fate fate;
    bool settled;
};

struct bus_window {
    struct window_entry *entries; /* BUS_WINDOW_MOST, by number */
    uint64_t first, last;         /* numbers that are open: (first, last] */
    struct window_entry *told;    /* fates that nobody took yet */
    size_t told_first, told_count, told_capacity;
};

void window_init(struct bus_window *window);
void window_fini(struct bus_window *window);
bool window_is_full(const struct bus_window *window);
uint64_t window_open_count(const struct bus_window *window);
/* The next message on the channel. The window must not be full. */
void window_add(struct bus_window *window, uint64_t cookie, uint64_t reject_tag,
                const struct uuid *message_id);
/* The broker gave message_id back; its confirm follows. */
void window_returned(struct bus_window *window, const struct uuid *message_id);
/* BUS_CONFIRMED or BUS_REFUSED for `number`, with `multiple` for all up to it. */
void window_settle(struct bus_window *window, uint64_t number, bool multiple, enum bus_fate fate);
/* The channel is gone: all that is open is BUS_LOST, numbers begin anew. */
void window_lose(struct bus_window *window);
/* The oldest fate that was not taken yet; false when there is none. */
bool window_take(struct bus_window *window, struct window_entry *ret_entry);

#endif
