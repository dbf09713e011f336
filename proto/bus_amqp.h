/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the bus over RabbitMQ share, and the one place that includes the AMQP library's
 * headers. Included by proto/bus_amqp*.c alone.
 *
 *   bus_amqp.c           the bus: its loop, consuming, acknowledging
 *   bus_amqp_publish.c   publishing, confirms, dead letters
 *   bus_amqp_dial.c      connecting and logging in, in a thread of its own
 *   bus_amqp_link.c      one connection: dialled again with back-off, its frames, its end
 *   bus_amqp_consumer.c  one consumed queue: its channel, deliveries, acknowledgements
 *
 * Threads: the owner's, but for the inside of a dial.
 */
#ifndef GUTS_PROTO_BUS_AMQP_H
#define GUTS_PROTO_BUS_AMQP_H

#include <amqp.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>

#include "proto/bus_ops.h"
#include "proto/bus_tags.h"
#include "proto/bus_window.h"

#define PUBLISH_CHANNEL 1

static inline amqp_bytes_t bytes_of(const char *text)
{
    return amqp_cstring_bytes(text);
}

/* -- dial --------------------------------------------------------------------------------------- */

enum link_role { LINK_PUBLISH, LINK_CONSUME };

/* One attempt to connect, log in and declare the exchanges; for LINK_PUBLISH also to open the
 * channel with confirms. The thread owns the connection until the attempt is done. */
struct dial;
struct dial *dial_begin(const struct bus_settings *settings, const char *address,
                        const char *connection_name, enum link_role role, int wake_fd);
/* Whether it has ended: then the connection (NULL: it failed, err says why) is the caller's, and the
 * dial is freed. */
bool dial_end(struct dial *dial, amqp_connection_state_t *ret_connection, struct error *err);
void dial_abandon(struct dial *dial); /* it cleans up after itself */

/* What went wrong in the library, on the channel or on the connection: one text. */
void reply_error(const amqp_rpc_reply_t *reply, const char *what, struct error *err);

/* -- link --------------------------------------------------------------------------------------- */

struct link {
    enum link_role role;
    const struct bus_settings *settings;
    const char *connection_name;
    int wake_fd;
    amqp_connection_state_t connection; /* NULL: not up */
    struct dial *dial;
    size_t address;    /* of the settings' list, the one that is tried */
    unsigned failures; /* since the last time it was up */
    uint64_t retry_at_ms;
    bool gathers; /* see link_gather */
    char error[160];
};

void link_init(struct link *link, enum link_role role, const struct bus_settings *settings,
               const char *connection_name, int wake_fd);
void link_fini(struct link *link);
/* What is sent from now on leaves in full packets, the rest with link_let_go (or after the 200 ms that
 * tcp(7) gives TCP_CORK): a burst of small messages costs both ends a fraction of the wake-ups. */
void link_gather(struct link *link);
void link_let_go(struct link *link);
/* Dials when it is time to, takes over a connection that is ready: true when it has just come up. */
bool link_tend(struct link *link);
/* Leaves the connection; the next dial follows after a pause, or at once. */
void link_drop(struct link *link, const char *why);
void link_drop_status(struct link *link, const char *what, int status);
/* The next frame that is here already: 1, 0 for none, −1 when the link was dropped. Heartbeats are
 * served inside. The frame is valid until link_release. */
int link_read(struct link *link, amqp_frame_t *ret_frame);
/* Whether the library holds bytes that poll() cannot show any more. */
bool link_has_read_ahead(const struct link *link);
void link_release(struct link *link, amqp_channel_t channel);
bool link_send(struct link *link, amqp_channel_t channel, amqp_method_number_t id, void *method);
int link_fd(const struct link *link); /* −1: not up */
/* How long one may sleep before link_tend or link_read is due (heartbeats, retries). */
uint64_t link_idle_ms(const struct link *link);
/* Waits until the socket takes bytes, at most the send time-out. False: dropped. */
bool link_await_writable(struct link *link);
/* Answers what concerns the connection as a whole; true when the frame was such a one. */
bool link_handle(struct link *link, const amqp_frame_t *frame, bool *blocked);

/* -- contents ------------------------------------------------------------------------------------ */

/* A message that comes in: method, header, bodies. */
struct intake {
    enum { INTAKE_NONE, INTAKE_HEADER, INTAKE_BODY } stage;
    uint64_t left;       /* bytes of body that are still to come */
    uint64_t body_bytes; /* as announced */
    struct buffer body;  /* stays empty when it is too long */
    char type[64];
    char correlation_id[128];
    char message_id[UUID_TEXT_SIZE];
};
void intake_begin(struct intake *intake);
/* Takes a header or body frame. True when the message is whole. */
bool intake_take(struct intake *intake, const amqp_frame_t *frame);
bool intake_is_too_long(const struct intake *intake);

/* -- consumers ----------------------------------------------------------------------------------- */

enum consumer_state {
    CONSUMER_IDLE, /* no channel; begins at retry_at_ms */
    CONSUMER_OPENING,
    CONSUMER_LIMITING,
    CONSUMER_DECLARING,
    CONSUMER_BINDING,
    CONSUMER_SUBSCRIBING,
    CONSUMER_ACTIVE,
    CONSUMER_CLOSING,
};
struct consumer {
    struct consumer *next;
    struct bus_queue queue;
    enum consumer_state state;
    bool unwanted; /* freed once its channel is closed */
    amqp_channel_t channel;
    uint16_t generation; /* of its channel: part of the tags, so that old ones are known */
    unsigned failures;
    uint64_t retry_at_ms;
    uint64_t asked_at_ms; /* when the present request to open or close began */
    char name[256];       /* of the queue, as the broker declared it */
    struct bus_tags tags;
    uint64_t delivery; /* number of the message in the intake */
    bool redelivered;
    struct intake intake;
};
struct consumer *consumer_new(const struct bus_queue *queue, amqp_channel_t channel);
void consumer_free(struct consumer *consumer);
/* Opens the channel when it is time to. */
void consumer_tend(struct consumer *consumer, struct link *link, uint16_t *generation);
void consumer_stop(struct consumer *consumer, struct link *link);
void consumer_lost(struct consumer *consumer); /* the connection is gone */
/* Takes a frame of its channel. True when a message is whole. */
bool consumer_handle(struct consumer *consumer, struct link *link, const amqp_frame_t *frame,
                     int64_t prefetch);
void consumer_acks_flush(struct consumer *consumer, struct link *link);
bool consumer_requeue(struct consumer *consumer, struct link *link, uint64_t number);

/* -- the bus ------------------------------------------------------------------------------------- */

struct rabbit_bus {
    struct bus bus;
    const struct bus_settings *settings;
    char *name;
    int wake_fd;
    _Atomic bool woken;
    struct link out, in;
    struct bus_window window;
    struct intake returned; /* a message that the broker gives back */
    bool blocked;
    bool orphans; /* a message could not be put with the dead letters: it must come again */
    struct consumer *consumers;
    uint16_t generation;
    unsigned turns;
    struct bus_stats stats;
};

static inline struct rabbit_bus *rabbit_of(struct bus *bus)
{
    return (struct rabbit_bus *)bus;
}
/* NULL when the tag's channel is gone: the message comes again by itself. */
struct consumer *tag_consumer(struct rabbit_bus *bus, uint64_t tag);
uint64_t tag_number(uint64_t tag); /* of the delivery on its channel */
void rabbit_ack(struct bus *base, uint64_t tag);

/* The publishing half. */
void out_tend(struct rabbit_bus *bus); /* connects when it is time to */
void out_pump(struct rabbit_bus *bus); /* reads what the broker says about what was published */
void out_lost(struct rabbit_bus *bus); /* the connection is gone */
void fates_tell(struct rabbit_bus *bus);
bool rabbit_publish(struct bus *base, const struct bus_publication *publication, struct error *err);
bool rabbit_flush(struct bus *base, uint64_t timeout_ms, struct error *err);
void rabbit_reject(struct bus *base, const struct bus_message *message, const struct error *err);

#endif
