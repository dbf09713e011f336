/* SPDX-License-Identifier: Apache-2.0
 *
 * What an implementation of the bus gives: RabbitMQ (bus_amqp.c) or memory (bus_memory.c). Each
 * embeds struct bus first in its own struct. bus.h says what the functions promise; bus.c has
 * checked the arguments. For implementers only.
 *
 * Threads: as bus.h says.
 */
#ifndef GUTS_PROTO_BUS_OPS_H
#define GUTS_PROTO_BUS_OPS_H

#include "proto/bus.h"
#include "proto/topology.h"

struct bus_ops {
    void (*close)(struct bus *bus);
    void (*consume)(struct bus *bus, const struct bus_queue *queue);
    void (*unconsume)(struct bus *bus, const struct bus_queue *queue);
    bool (*publish)(struct bus *bus, const struct bus_publication *publication, struct error *err);
    bool (*flush)(struct bus *bus, uint64_t timeout_ms, struct error *err);
    bool (*next)(struct bus *bus, uint64_t timeout_ms, int extra_fd,
                 struct bus_message *ret_message);
    void (*wake)(struct bus *bus);
    void (*ack)(struct bus *bus, uint64_t tag);
    void (*requeue)(struct bus *bus, uint64_t tag);
    void (*reject)(struct bus *bus, const struct bus_message *message, const struct error *err);
    void (*stats)(const struct bus *bus, struct bus_stats *ret_stats);
    void (*reconnect)(struct bus *bus);
};

struct bus {
    const struct bus_ops *ops;
    bus_fate_handler *fate_handler; /* NULL: nobody asks */
    void *fate_context;
    size_t turn_bytes; /* given since the last call that waited or settled a message */
};

/* Tells the handler, if there is one and the cookie is not 0. */
void bus_tell_fate(struct bus *bus, uint64_t cookie, enum bus_fate fate);
bool bus_queue_equal(const struct bus_queue *a, const struct bus_queue *b);

#endif
