/* SPDX-License-Identifier: Apache-2.0
 *
 * The bus: messages between daemons over RabbitMQ (AMQP 0-9-1), or in memory for unit tests. It
 * keeps two connections (one publishes, one consumes), confirms what matters, connects again by
 * itself with back-off over the list of addresses, and declares its queues anew each time. It knows
 * nothing of what messages mean; proto/topology.h names exchanges and queues.
 *
 * bus_amqp.c is the one file that includes amqp.h.
 *
 * Threads: one thread owns a bus and calls it often (bus_next serves heartbeats, confirms and
 * reconnects too). bus_wake may be called from any thread.
 */
#ifndef GUTS_PROTO_BUS_H
#define GUTS_PROTO_BUS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/secret.h"
#include "common/base/uuid.h"
#include "common/conf/conf.h"

struct bus_settings {
    struct conf_strings addresses; /* "host:port", tried in turn, from a random first */
    const char *virtual_host;
    const char *user;
    struct secret *password;
    const char *tls_ca; /* "": no TLS */
    const char *tls_certificate;
    const char *tls_key;
    uint64_t heartbeat_ms;
    uint64_t connect_timeout_ms;
    uint64_t send_timeout_ms; /* a broker that takes no bytes for so long is left */
    uint64_t backoff_first_ms;
    uint64_t backoff_most_ms;
    int64_t prefetch;
};
extern const struct conf_key bus_conf_keys[];
extern const size_t bus_conf_key_count;

/* The types of guts.proto's messages, as AMQP's "type" property carries them. */
enum message_type {
    MESSAGE_UNKNOWN,
    MESSAGE_WAKE,
    MESSAGE_JOB_ASSIGN,
    MESSAGE_LEASE_RENEW,
    MESSAGE_LEDGER_ANSWER,
    MESSAGE_NODE_CONTROL,
    MESSAGE_NODE_REPORT,
    MESSAGE_JOB_ACCEPT,
    MESSAGE_JOB_REFUSE,
    MESSAGE_LEDGER_WRITE,
    MESSAGE_JOB_FINISHED,
    MESSAGE_INVENTORY_PAGE,
    MESSAGE_CATALOG_PAGE,
    MESSAGE_CHANGE,
};
const char *message_type_name(enum message_type type); /* "guts.v1.NodeReport" */
enum message_type message_type_parse(const char *name);

#define BUS_MESSAGE_MOST_BYTES (1u << 20)
#define BUS_PAGE_MOST_BYTES (256u << 10) /* pages, and assignments that travel together */
#define BUS_TURN_MOST_BYTES (16u << 20)

/* A queue to consume: a name and a kind from topology.h. */
struct bus_queue;

/* A message that came. Body and texts are valid until the next bus_next. */
struct bus_message {
    enum message_type type;        /* MESSAGE_UNKNOWN: reject it */
    const struct bus_queue *queue; /* the bus's copy: compare kind and name, not the address */
    const void *body;
    size_t length;
    uint64_t tag; /* for bus_ack; of no worth after a reconnect (acks are then dropped silently) */
    bool redelivered;
    struct uuid message_id;
    const char *correlation_id;
};

struct bus_publication {
    const char *exchange; /* topology.h */
    const char *routing_key;
    enum message_type type;
    const void *body;
    size_t length;
    bool persistent;
    bool mandatory;             /* unroutable: reported as `returned` */
    uint64_t expires_ms;        /* 0: never */
    const char *correlation_id; /* NULL: none */
    uint64_t cookie;            /* handed to the confirm callback; 0: not interested */
};
enum bus_fate { BUS_CONFIRMED, BUS_RETURNED, BUS_REFUSED, BUS_LOST /* connection broke first */ };
typedef void bus_fate_handler(void *context, uint64_t cookie, enum bus_fate fate);

struct bus_stats {
    uint64_t published, confirmed, returned, lost, received, rejected, connects;
    bool publishing; /* connected, and not blocked by the broker */
    bool consuming;
    bool blocked; /* connection.blocked: the broker is short of memory or disk */
    char last_error[160];
};

struct bus;
/* Does not wait for a connection. The settings are borrowed for the bus's life. */
struct bus *bus_open(const struct bus_settings *settings, const char *connection_name);
/* Waits for confirms, at most send_timeout_ms and at most 2 s: a daemon that is told to end has 5. */
void bus_close(struct bus *bus);
void bus_on_fate(struct bus *bus, bus_fate_handler *handler, void *context);

/* Begins to consume (now and after each reconnect); the queue is declared as its kind demands.
 * bus_unconsume hands unacknowledged messages back to the broker. */
void bus_consume(struct bus *bus, const struct bus_queue *queue);
void bus_unconsume(struct bus *bus, const struct bus_queue *queue);

/* Sends; returns false (FAULT_UNAVAILABLE) when there is no connection or the broker blocks us: the
 * message is then not queued anywhere, since messages are hints and levels that are sent again. */
bool bus_publish(struct bus *bus, const struct bus_publication *publication,
                 struct error *err) MUST_CHECK;
/* Waits until everything published has its fate, at most timeout_ms. False: FAULT_TIMEOUT or
 * FAULT_UNAVAILABLE; the fates so far were told to the handler. */
bool bus_flush(struct bus *bus, uint64_t timeout_ms, struct error *err) MUST_CHECK;

/* Waits at most timeout_ms for a message (0: only what is here already). Returns true with one;
 * false when there is none. Also returns early, false, after bus_wake or when `extra_fd` (−1: none)
 * becomes readable. Calls with 0 in a row give at most BUS_TURN_MOST_BYTES (and the message that goes
 * beyond), then say that there is none until one is settled or a call waits: whoever gathers a batch
 * cannot be made to hold more. */
bool bus_next(struct bus *bus, uint64_t timeout_ms, int extra_fd, struct bus_message *ret_message);
void bus_wake(struct bus *bus);
void bus_ack(struct bus *bus, uint64_t tag);
void bus_requeue(struct bus *bus, uint64_t tag);
/* Publishes the message to the dead-letter queue with `err` as its reason, confirmed, then acks.
 * Without a connection it is simply redelivered later. */
void bus_reject(struct bus *bus, const struct bus_message *message, const struct error *err);
void bus_stats(const struct bus *bus, struct bus_stats *ret_stats);
/* Drops both connections and makes new ones (a daemon that lost its leadership). */
void bus_reconnect(struct bus *bus);

/* The in-memory broker for unit tests: any number of buses in one process share it. Nothing is
 * delivered, and no fate told, before bus_next or bus_flush, which never wait. Messages may be
 * doubled, dropped or held back by the hooks; their senders see them confirmed all the same. Queues
 * exist from their first bus_consume on, as on a real broker; the consumer of a queue has it alone.
 * Closing the broker closes its buses. */
struct bus_memory;
struct bus_memory *bus_memory_new(void);
void bus_memory_free(struct bus_memory *broker);
struct bus *bus_memory_open(struct bus_memory *broker);
enum bus_memory_fate { BUS_MEMORY_DELIVER, BUS_MEMORY_DROP, BUS_MEMORY_DOUBLE, BUS_MEMORY_HOLD };
void bus_memory_on_publish(struct bus_memory *broker,
                           enum bus_memory_fate (*choose)(void *context, enum message_type type,
                                                          const char *routing_key),
                           void *context);
void bus_memory_release(struct bus_memory *broker); /* what was held comes now */
void bus_memory_set_up(struct bus_memory *broker, bool up);
size_t bus_memory_dead_count(const struct bus_memory *broker);

#endif
