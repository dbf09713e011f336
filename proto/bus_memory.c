/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker in memory. It routes, holds back unacknowledged messages and tells fates as RabbitMQ
 * does; it waits for nothing, so that tests need no time: bus_next and bus_flush answer at once.
 */
#include <stdio.h>
#include <string.h>

#include "proto/bus_letter.h"
#include "proto/bus_ops.h"

/* A queue of the broker; those of api's (BUS_QUEUE_CHANGES) belong to one bus. */
struct box {
    struct box *next;
    struct bus_queue queue;
    struct memory_bus *consumer; /* NULL: nobody */
    struct letter_list letters;
};

struct fate_note {
    struct fate_note *next;
    uint64_t cookie;
    enum bus_fate fate;
};

struct memory_bus {
    struct bus bus;
    struct bus_memory *broker;
    struct memory_bus *next;
    struct letter_list unacked;
    struct letter *given; /* what the last bus_next returned, if it was acknowledged since */
    struct fate_note *fates, **fates_end;
    struct box *last_box; /* took the last letter: the next one's turn is after it */
    uint64_t last_tag;
    struct bus_stats stats;
    bool is_refused; /* another has the queue that it asked for last */
};

struct bus_memory {
    struct memory_bus *buses;
    struct box *boxes;
    struct letter_list held;
    bool down;
    enum bus_memory_fate (*choose)(void *, enum message_type, const char *);
    void *choose_context;
};

/* -- queues --------------------------------------------------------------------------------------- */

static struct box *box_find(struct bus_memory *broker, const struct bus_queue *queue,
                            const struct memory_bus *consumer)
{
    for (struct box *box = broker->boxes; box; box = box->next)
        if (bus_queue_equal(&box->queue, queue) &&
            (queue->kind != BUS_QUEUE_CHANGES || box->consumer == consumer))
            return box;
    return NULL;
}

static struct box *box_get(struct bus_memory *broker, const struct bus_queue *queue,
                           struct memory_bus *consumer)
{
    struct box *box = box_find(broker, queue, consumer);
    struct box **end = &broker->boxes;

    if (box)
        return box;
    box = xcalloc(1, sizeof(*box));
    box->queue = *queue;
    letter_list_init(&box->letters);
    while (*end)
        end = &(*end)->next;
    *end = box;
    return box;
}

static void box_free(struct bus_memory *broker, struct box *box)
{
    struct box **at = &broker->boxes;

    while (*at != box)
        at = &(*at)->next;
    *at = box->next;
    letter_list_free(&box->letters);
    free(box);
}

static struct box *dead_box(struct bus_memory *broker)
{
    struct bus_queue queue = {.kind = BUS_QUEUE_DEAD, .name = TOPOLOGY_DEAD};

    return box_get(broker, &queue, NULL);
}

/* Puts a copy into each queue that the letter's address names; returns how many. */
static size_t letter_route(struct bus_memory *broker, const struct letter *letter)
{
    bool is_change = strcmp(letter->exchange, TOPOLOGY_CHANGES) == 0;
    size_t count = 0;

    for (struct box *box = broker->boxes; box; box = box->next) {
        bool matches = is_change ? box->queue.kind == BUS_QUEUE_CHANGES
                                 : box->queue.kind != BUS_QUEUE_CHANGES &&
                                       strcmp(box->queue.name, letter->routing_key) == 0;
        if (!matches)
            continue;
        letter_list_append(&box->letters, letter_copy(letter));
        count++;
    }
    return count;
}

/* -- one bus ------------------------------------------------------------------------------------ */

/* Hands what is not acknowledged back to its queue, oldest in front; all of it when box is NULL. */
static void unacked_return(struct memory_bus *bus, const struct box *box)
{
    struct letter_list back;
    struct letter **at = &bus->unacked.first;

    letter_list_init(&back);
    while (*at)
        if (!box || (*at)->box == box)
            letter_list_prepend(&back, letter_list_take(&bus->unacked, at));
        else
            at = &(*at)->next;
    while (back.first) {
        struct letter *letter = letter_list_take(&back, &back.first);
        letter->redelivered = true;
        letter_list_prepend(&letter->box->letters, letter);
    }
}

static void memory_unconsume(struct bus *base, const struct bus_queue *queue)
{
    struct memory_bus *bus = (struct memory_bus *)base;
    struct box *box = box_find(bus->broker, queue, bus);

    if (!box || box->consumer != bus)
        return;
    unacked_return(bus, box);
    box->consumer = NULL;
    bus->last_box = NULL;
    if (box->queue.kind == BUS_QUEUE_CHANGES)
        box_free(bus->broker, box);
}

/* Of several consumers of a shared queue the first one gets everything: what RabbitMQ would deal out
 * among them is no business of a unit test. */
static void memory_consume(struct bus *base, const struct bus_queue *queue)
{
    struct memory_bus *bus = (struct memory_bus *)base;
    struct box *box = box_get(bus->broker, queue, bus);

    bus->is_refused = box->consumer && box->consumer != bus;
    if (bus->is_refused)
        snprintf(bus->stats.last_error, sizeof(bus->stats.last_error),
                 "queue \"%.100s\" is in exclusive use", queue->name);
    else
        box->consumer = bus;
}

static void fate_append(struct memory_bus *bus, uint64_t cookie, enum bus_fate fate)
{
    struct fate_note *note = xcalloc(1, sizeof(*note));

    note->cookie = cookie;
    note->fate = fate;
    *bus->fates_end = note;
    bus->fates_end = &note->next;
}

static void fates_tell(struct memory_bus *bus, bool lost)
{
    while (bus->fates) {
        struct fate_note *note = bus->fates;
        enum bus_fate fate = lost ? BUS_LOST : note->fate;
        bus->fates = note->next;
        if (!bus->fates)
            bus->fates_end = &bus->fates;
        bus->stats.confirmed += fate == BUS_CONFIRMED;
        bus->stats.returned += fate == BUS_RETURNED;
        bus->stats.lost += fate == BUS_LOST;
        bus_tell_fate(&bus->bus, note->cookie, fate);
        free(note);
    }
}

static bool memory_publish(struct bus *base, const struct bus_publication *publication,
                           struct error *err)
{
    struct memory_bus *bus = (struct memory_bus *)base;
    struct bus_memory *broker = bus->broker;
    enum bus_memory_fate choice = BUS_MEMORY_DELIVER;
    enum bus_fate fate = BUS_CONFIRMED;
    struct letter *letter;

    if (broker->down)
        return error_set(err, &FAULT_UNAVAILABLE, "no connection to the broker");
    if (broker->choose)
        choice =
            broker->choose(broker->choose_context, publication->type, publication->routing_key);
    letter = letter_new(publication);
    bus->stats.published++;
    if (choice == BUS_MEMORY_HOLD) {
        letter_list_append(&broker->held, letter_copy(letter));
    } else if (choice != BUS_MEMORY_DROP) {
        if (letter_route(broker, letter) == 0 && publication->mandatory)
            fate = BUS_RETURNED;
        if (choice == BUS_MEMORY_DOUBLE)
            letter_route(broker, letter);
    }
    letter_free(letter);
    fate_append(bus, publication->cookie, fate);
    return true;
}

static bool memory_flush(struct bus *base, uint64_t timeout_ms, struct error *err)
{
    struct memory_bus *bus = (struct memory_bus *)base;

    fates_tell(bus, bus->broker->down);
    if (bus->broker->down)
        return error_set(err, &FAULT_UNAVAILABLE, "no connection to the broker");
    return true;
}

/* The first letter that this bus may have from a queue, its prefetch considered. */
static struct letter *box_take(struct memory_bus *bus, struct box *box)
{
    size_t unacked = 0;

    while (box->letters.first && letter_is_expired(box->letters.first))
        letter_free(letter_list_take(&box->letters, &box->letters.first));
    for (const struct letter *letter = bus->unacked.first; letter; letter = letter->next)
        unacked += letter->box == box;
    if (!box->letters.first || (box->queue.prefetch && unacked >= box->queue.prefetch))
        return NULL;
    return letter_list_take(&box->letters, &box->letters.first);
}

/* Takes turns among the queues that the bus consumes. */
static struct letter *letter_take(struct memory_bus *bus)
{
    struct box *boxes = bus->broker->boxes;
    struct box *start = bus->last_box && bus->last_box->next ? bus->last_box->next : boxes;
    struct box *box = start;

    while (box) {
        struct letter *letter = box->consumer == bus ? box_take(bus, box) : NULL;
        if (letter) {
            letter->box = bus->last_box = box;
            return letter;
        }
        box = box->next ? box->next : boxes;
        if (box == start)
            return NULL;
    }
    return NULL;
}

static bool memory_next(struct bus *base, uint64_t timeout_ms, int extra_fd,
                        struct bus_message *ret_message)
{
    struct memory_bus *bus = (struct memory_bus *)base;
    struct letter *letter;

    letter_free(bus->given);
    bus->given = NULL;
    fates_tell(bus, false);
    letter = bus->broker->down ? NULL : letter_take(bus);
    if (!letter)
        return false;
    letter->tag = ++bus->last_tag;
    letter_list_append(&bus->unacked, letter);
    bus->stats.received++;
    *ret_message = (struct bus_message){
        .type = letter->type,
        .queue = &letter->box->queue,
        .body = letter->body,
        .length = letter->length,
        .tag = letter->tag,
        .redelivered = letter->redelivered,
        .message_id = letter->message_id,
        .correlation_id = letter->correlation_id,
    };
    return true;
}

static void memory_wake(struct bus *base)
{
    (void)base; /* bus_next never waits */
}

static struct letter *unacked_take(struct memory_bus *bus, uint64_t tag)
{
    for (struct letter **at = &bus->unacked.first; *at; at = &(*at)->next)
        if ((*at)->tag == tag)
            return letter_list_take(&bus->unacked, at);
    return NULL;
}

/* The body stays readable until the next bus_next. */
static void letter_drop(struct memory_bus *bus, struct letter *letter)
{
    if (!letter)
        return;
    if (letter->tag != bus->last_tag || bus->given)
        letter_free(letter);
    else
        bus->given = letter;
}

static void memory_ack(struct bus *base, uint64_t tag)
{
    struct memory_bus *bus = (struct memory_bus *)base;

    letter_drop(bus, unacked_take(bus, tag));
}

static void memory_requeue(struct bus *base, uint64_t tag)
{
    struct memory_bus *bus = (struct memory_bus *)base;
    struct letter *letter = unacked_take(bus, tag);

    if (!letter)
        return;
    letter->redelivered = true;
    letter_list_prepend(&letter->box->letters, letter);
}

static void memory_reject(struct bus *base, const struct bus_message *message,
                          const struct error *err)
{
    struct memory_bus *bus = (struct memory_bus *)base;
    struct letter *letter = unacked_take(bus, message->tag);

    if (!letter)
        return;
    bus->stats.rejected++;
    letter_list_append(&dead_box(bus->broker)->letters, letter_copy(letter));
    letter_drop(bus, letter);
}

static void memory_stats(const struct bus *base, struct bus_stats *ret_stats)
{
    const struct memory_bus *bus = (const struct memory_bus *)base;

    *ret_stats = bus->stats;
    ret_stats->publishing = !bus->broker->down;
    ret_stats->consuming = !bus->broker->down && !bus->is_refused;
}

/* The queue of an api ends with its connection, and what was in it. */
static void memory_reconnect(struct bus *base)
{
    struct memory_bus *bus = (struct memory_bus *)base;

    unacked_return(bus, NULL);
    for (struct box *box = bus->broker->boxes; box; box = box->next)
        if (box->consumer == bus && box->queue.kind == BUS_QUEUE_CHANGES)
            letter_list_free(&box->letters);
    bus->last_tag++; /* a body that was given may still be read, but no tag of before is known */
    bus->stats.connects++;
}

static void memory_close(struct bus *base)
{
    struct memory_bus *bus = (struct memory_bus *)base;
    struct memory_bus **at = &bus->broker->buses;

    fates_tell(bus, bus->broker->down);
    for (struct box *box = bus->broker->boxes, *next; box; box = next) {
        next = box->next;
        struct bus_queue queue = box->queue;
        if (box->consumer == bus)
            memory_unconsume(base, &queue);
    }
    letter_free(bus->given);
    while (*at != bus)
        at = &(*at)->next;
    *at = bus->next;
    free(bus);
}

static const struct bus_ops memory_ops = {
    .close = memory_close,
    .consume = memory_consume,
    .unconsume = memory_unconsume,
    .publish = memory_publish,
    .flush = memory_flush,
    .next = memory_next,
    .wake = memory_wake,
    .ack = memory_ack,
    .requeue = memory_requeue,
    .reject = memory_reject,
    .stats = memory_stats,
    .reconnect = memory_reconnect,
};

/* -- the broker ---------------------------------------------------------------------------------- */

struct bus_memory *bus_memory_new(void)
{
    struct bus_memory *broker = xcalloc(1, sizeof(*broker));

    letter_list_init(&broker->held);
    return broker;
}

void bus_memory_free(struct bus_memory *broker)
{
    if (!broker)
        return;
    while (broker->buses)
        memory_close(&broker->buses->bus);
    while (broker->boxes)
        box_free(broker, broker->boxes);
    letter_list_free(&broker->held);
    free(broker);
}

struct bus *bus_memory_open(struct bus_memory *broker)
{
    struct memory_bus *bus = xcalloc(1, sizeof(*bus));

    bus->bus.ops = &memory_ops;
    bus->broker = broker;
    letter_list_init(&bus->unacked);
    bus->fates_end = &bus->fates;
    bus->stats.connects = 1;
    bus->next = broker->buses;
    broker->buses = bus;
    return &bus->bus;
}

void bus_memory_on_publish(struct bus_memory *broker,
                           enum bus_memory_fate (*choose)(void *context, enum message_type type,
                                                          const char *routing_key),
                           void *context)
{
    broker->choose = choose;
    broker->choose_context = context;
}

void bus_memory_release(struct bus_memory *broker)
{
    while (broker->held.first) {
        struct letter *letter = letter_list_take(&broker->held, &broker->held.first);
        letter_route(broker, letter);
        letter_free(letter);
    }
}

static void memory_cut(struct memory_bus *bus)
{
    memory_reconnect(&bus->bus);
    fates_tell(bus, true);
}

void bus_memory_set_up(struct bus_memory *broker, bool up)
{
    if (broker->down == !up)
        return;
    broker->down = !up;
    for (struct memory_bus *bus = broker->buses; bus; bus = bus->next) {
        if (up)
            bus->stats.connects++;
        else
            memory_cut(bus);
    }
}

size_t bus_memory_dead_count(const struct bus_memory *broker)
{
    for (const struct box *box = broker->boxes; box; box = box->next)
        if (box->queue.kind == BUS_QUEUE_DEAD)
            return letter_list_count(&box->letters);
    return 0;
}
