/* SPDX-License-Identifier: Apache-2.0
 *
 * One consumed queue has one channel, so that giving it up hands its messages back at once and a
 * refusal (a queue in exclusive use) leaves the others alone. Nothing waits for the broker: each
 * answer sends the next request.
 */
#include "proto/bus_amqp.h"

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"

#define NODE_QUEUE_EXPIRES_MS (7ll * 24 * 3600 * 1000)
#define CHANGES_MOST 1000
#define RETRY_FIRST_MS 500u
#define RETRY_MOST_MS 10000u

struct consumer *consumer_new(const struct bus_queue *queue, amqp_channel_t channel)
{
    struct consumer *consumer = xcalloc(1, sizeof(*consumer));

    consumer->queue = *queue;
    consumer->channel = channel;
    tags_init(&consumer->tags);
    return consumer;
}

void consumer_free(struct consumer *consumer)
{
    tags_fini(&consumer->tags);
    buffer_fini(&consumer->intake.body);
    free(consumer);
}

void consumer_lost(struct consumer *consumer)
{
    consumer->state = CONSUMER_IDLE;
    consumer->retry_at_ms = 0;
    consumer->generation = 0;
    consumer->intake.stage = INTAKE_NONE;
    tags_reset(&consumer->tags);
}

static void channel_close(struct consumer *consumer, struct link *link)
{
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS};

    consumer->state = CONSUMER_CLOSING;
    consumer->asked_at_ms = clock_mono_ms();
    consumer->generation = 0;
    link_send(link, consumer->channel, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

/* -- beginning: open, limit, declare, bind, subscribe -------------------------------------------- */

/* An answer that does not come within twice the time to connect never comes: a quorum queue without
 * a leader keeps its channel waiting for ever. */
static bool is_overdue(const struct consumer *consumer, const struct link *link)
{
    return consumer->state != CONSUMER_IDLE && consumer->state != CONSUMER_ACTIVE &&
           clock_mono_ms() > consumer->asked_at_ms + 2 * link->settings->connect_timeout_ms;
}

void consumer_tend(struct consumer *consumer, struct link *link, uint16_t *generation)
{
    amqp_channel_open_t open = {0};

    if (is_overdue(consumer, link)) {
        link_drop(link, "the broker does not answer about a queue");
        return;
    }
    if (consumer->state != CONSUMER_IDLE || consumer->unwanted ||
        clock_mono_ms() < consumer->retry_at_ms)
        return;
    consumer_lost(consumer);
    if (++*generation == 0)
        ++*generation;
    consumer->generation = *generation;
    consumer->state = CONSUMER_OPENING;
    consumer->asked_at_ms = clock_mono_ms();
    link_send(link, consumer->channel, AMQP_CHANNEL_OPEN_METHOD, &open);
}

static void limit(struct consumer *consumer, struct link *link, int64_t prefetch)
{
    amqp_basic_qos_t qos = {
        .prefetch_count = consumer->queue.prefetch ? consumer->queue.prefetch : (uint16_t)prefetch,
    };

    consumer->state = CONSUMER_LIMITING;
    link_send(link, consumer->channel, AMQP_BASIC_QOS_METHOD, &qos);
}

static amqp_table_entry_t argument_text(const char *key, const char *text)
{
    return (amqp_table_entry_t){
        .key = bytes_of(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = bytes_of(text)},
    };
}

static amqp_table_entry_t argument_number(const char *key, int64_t number)
{
    return (amqp_table_entry_t){
        .key = bytes_of(key),
        .value = {.kind = AMQP_FIELD_KIND_I64, .value.i64 = number},
    };
}

static amqp_table_entry_t argument_yes(const char *key)
{
    return (amqp_table_entry_t){
        .key = bytes_of(key),
        .value = {.kind = AMQP_FIELD_KIND_BOOLEAN, .value.boolean = true},
    };
}

static void declare(struct consumer *consumer, struct link *link)
{
    bool is_changes = consumer->queue.kind == BUS_QUEUE_CHANGES;
    amqp_table_entry_t entries[3];
    int count = 0;

    if (is_changes)
        entries[count++] = argument_number("x-max-length", CHANGES_MOST); /* drops the oldest */
    else
        entries[count++] = argument_text("x-queue-type", "quorum");
    if (consumer->queue.kind == BUS_QUEUE_NODE) {
        entries[count++] = argument_number("x-expires", NODE_QUEUE_EXPIRES_MS);
        entries[count++] = argument_yes("x-single-active-consumer");
    }
    amqp_queue_declare_t queue = {
        .queue = bytes_of(consumer->queue.name),
        .durable = !is_changes,
        .exclusive = is_changes,
        .auto_delete = is_changes,
        .arguments = {.num_entries = count, .entries = entries},
    };
    consumer->state = CONSUMER_DECLARING;
    link_send(link, consumer->channel, AMQP_QUEUE_DECLARE_METHOD, &queue);
}

/* Quorum queues know no exclusive consumers: so the second one sees the first and withdraws; of two
 * that came at the same moment the broker serves one alone (x-single-active-consumer). */
static bool is_taken(const struct consumer *consumer, struct link *link,
                     const amqp_queue_declare_ok_t *declared)
{
    if (consumer->queue.kind != BUS_QUEUE_NODE || declared->consumer_count == 0)
        return false;
    snprintf(link->error, sizeof(link->error), "queue \"%.100s\" is in exclusive use",
             consumer->queue.name);
    return true;
}

static void bind(struct consumer *consumer, struct link *link,
                 const amqp_queue_declare_ok_t *declared)
{
    bool is_changes = consumer->queue.kind == BUS_QUEUE_CHANGES;

    if (is_taken(consumer, link, declared)) {
        channel_close(consumer, link);
        return;
    }
    snprintf(consumer->name, sizeof(consumer->name), "%.*s",
             (int)(declared->queue.len < 255 ? declared->queue.len : 255),
             (const char *)declared->queue.bytes);
    amqp_queue_bind_t binding = {
        .queue = bytes_of(consumer->name),
        .exchange = bytes_of(is_changes ? TOPOLOGY_CHANGES : TOPOLOGY_EXCHANGE),
        .routing_key = bytes_of(is_changes ? "" : consumer->name),
    };
    consumer->state = CONSUMER_BINDING;
    link_send(link, consumer->channel, AMQP_QUEUE_BIND_METHOD, &binding);
}

static void subscribe(struct consumer *consumer, struct link *link)
{
    amqp_basic_consume_t consume = {
        .queue = bytes_of(consumer->name),
    };

    consumer->state = CONSUMER_SUBSCRIBING;
    link_send(link, consumer->channel, AMQP_BASIC_CONSUME_METHOD, &consume);
}

/* -- the end of a channel ------------------------------------------------------------------------ */

static void rest(struct consumer *consumer)
{
    uint64_t pause = clock_backoff_ms(consumer->failures++, RETRY_FIRST_MS, RETRY_MOST_MS);

    consumer_lost(consumer);
    consumer->retry_at_ms = clock_mono_ms() + pause;
}

static void refused(struct consumer *consumer, struct link *link, const amqp_channel_close_t *close)
{
    amqp_channel_close_ok_t ok = {0};

    snprintf(link->error, sizeof(link->error), "queue \"%.60s\": %u %.*s", consumer->queue.name,
             close->reply_code, (int)(close->reply_text.len < 80 ? close->reply_text.len : 80),
             (const char *)close->reply_text.bytes);
    link_send(link, consumer->channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
    rest(consumer);
}

void consumer_stop(struct consumer *consumer, struct link *link)
{
    consumer->unwanted = true;
    if (!link->connection || consumer->state == CONSUMER_IDLE) {
        consumer_lost(consumer);
        return;
    }
    consumer_acks_flush(consumer, link);
    if (consumer->state != CONSUMER_CLOSING && link->connection)
        channel_close(consumer, link);
}

/* -- frames -------------------------------------------------------------------------------------- */

static void deliver(struct consumer *consumer, struct link *link,
                    const amqp_basic_deliver_t *delivery)
{
    if (consumer->state != CONSUMER_ACTIVE && consumer->state != CONSUMER_SUBSCRIBING)
        return; /* it was on its way when we closed the channel */
    if (!tags_deliver(&consumer->tags, delivery->delivery_tag)) {
        link_drop(link, "a delivery has the wrong number");
        return;
    }
    consumer->delivery = delivery->delivery_tag;
    consumer->redelivered = delivery->redelivered;
    intake_begin(&consumer->intake);
}

static void method_handle(struct consumer *consumer, struct link *link, const amqp_method_t *method,
                          int64_t prefetch)
{
    if (method->id == AMQP_CHANNEL_CLOSE_METHOD) {
        refused(consumer, link, method->decoded);
    } else if (method->id == AMQP_CHANNEL_CLOSE_OK_METHOD) {
        rest(consumer);
    } else if (consumer->state == CONSUMER_CLOSING) {
        return;
    } else if (method->id == AMQP_BASIC_DELIVER_METHOD) {
        deliver(consumer, link, method->decoded);
    } else if (method->id == AMQP_CHANNEL_OPEN_OK_METHOD) {
        limit(consumer, link, prefetch);
    } else if (method->id == AMQP_BASIC_QOS_OK_METHOD) {
        declare(consumer, link);
    } else if (method->id == AMQP_QUEUE_DECLARE_OK_METHOD) {
        bind(consumer, link, method->decoded);
    } else if (method->id == AMQP_QUEUE_BIND_OK_METHOD) {
        subscribe(consumer, link);
    } else if (method->id == AMQP_BASIC_CONSUME_OK_METHOD) {
        consumer->state = CONSUMER_ACTIVE;
        consumer->failures = 0;
        link->error[0] = 0;
    } else if (method->id == AMQP_BASIC_CANCEL_METHOD) {
        channel_close(consumer, link); /* the queue was deleted: it is declared anew */
    }
}

bool consumer_handle(struct consumer *consumer, struct link *link, const amqp_frame_t *frame,
                     int64_t prefetch)
{
    if (frame->frame_type == AMQP_FRAME_METHOD) {
        method_handle(consumer, link, &frame->payload.method, prefetch);
        return false;
    }
    return consumer->generation != 0 && intake_take(&consumer->intake, frame);
}

/* -- acknowledgements ---------------------------------------------------------------------------- */

void consumer_acks_flush(struct consumer *consumer, struct link *link)
{
    uint64_t number;
    bool multiple;

    while (consumer->generation != 0 && tags_next_ack(&consumer->tags, &number, &multiple)) {
        amqp_basic_ack_t ack = {.delivery_tag = number, .multiple = multiple};
        if (!link_send(link, consumer->channel, AMQP_BASIC_ACK_METHOD, &ack))
            return;
    }
}

bool consumer_requeue(struct consumer *consumer, struct link *link, uint64_t number)
{
    amqp_basic_nack_t nack = {.delivery_tag = number, .requeue = true};

    return tags_forget(&consumer->tags, number) &&
           link_send(link, consumer->channel, AMQP_BASIC_NACK_METHOD, &nack);
}
