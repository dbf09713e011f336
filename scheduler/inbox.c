/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/inbox.h"

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "common/base/log.h"
#include "scheduler/fence.h"
#include "scheduler/gauge.h"

/* -- gathering --------------------------------------------------------------------------------------- */

static void reject(struct scheduler *scheduler, const struct bus_message *message,
                   const struct error *err)
{
    log_fault(LOG_WARN_LEVEL, "message_rejected", err);
    bus_reject(scheduler->bus, message, err);
    metric_add(&gauge_dead, 1);
}

static void take(struct scheduler *scheduler, struct inbox *inbox,
                 const struct bus_message *message)
{
    struct error err;
    metric_add(&gauge_batch_messages, 1);
    ProtobufCMessage *body = codec_unpack_bus(message, inbox->arena, &err);
    if (body == NULL || !inbox_check(message->type, body, inbox->arena, &err)) {
        reject(scheduler, message, &err);
        return;
    }
    if (message->type == MESSAGE_WAKE)
        inbox->hinted = true;
    struct inbox_item *item = TICK_ADD(inbox, &inbox->items);
    item->message = *message;
    item->message.body = arena_memdup(inbox->arena, message->body, message->length);
    item->message.correlation_id = arena_strdup(inbox->arena, message->correlation_id);
    item->body = body;
}

void inbox_gather(struct scheduler *scheduler, struct inbox *inbox, uint64_t wait_ms, int signal_fd)
{
    struct bus_message message;
    const struct scheduler_settings *settings = scheduler->settings;
    if (!bus_next(scheduler->bus, wait_ms, signal_fd, &message))
        return;
    uint64_t begun_ms = clock_mono_ms();
    do
        take(scheduler, inbox, &message);
    while (inbox->items.count < (size_t)settings->batch_messages &&
           clock_mono_ms() - begun_ms < settings->batch_time_ms &&
           bus_next(scheduler->bus, 0, -1, &message));
}

void inbox_ack(struct scheduler *scheduler, const struct inbox *inbox)
{
    for (size_t i = 0; i < inbox->items.count; i++)
        bus_ack(scheduler->bus, inbox->items.items[i].message.tag);
}

/* -- applying ---------------------------------------------------------------------------------------- */

static const struct uuid *owner_of(const struct tick *tick, const Guts__V1__Token *wire)
{
    struct token token;
    if (!codec_token(wire, &token))
        return NULL;
    const struct job *job = map_find(&tick->picture->jobs, &token.job);
    return job == NULL ? NULL : &job->fact.owner_id;
}

/* One query for the ledgers of all owners that these messages are about. */
static bool read_ledgers(struct tick *tick, const struct inbox_item *items, size_t count,
                         struct error *err)
{
    TICK_LIST(struct uuid) owners = {0};
    for (size_t i = 0; i < count; i++) {
        const struct uuid *owner = NULL;
        if (items[i].message.type == MESSAGE_LEDGER_WRITE)
            owner = owner_of(tick, ((const Guts__V1__LedgerWrite *)items[i].body)->token);
        else if (items[i].message.type == MESSAGE_JOB_FINISHED)
            owner = owner_of(tick, ((const Guts__V1__JobFinished *)items[i].body)->result->token);
        if (owner != NULL)
            *TICK_ADD(tick, &owners) = *owner;
    }
    return tick_read_ledgers(tick, owners.items, owners.count, err);
}

static void apply_ledger_write(struct tick *tick, const Guts__V1__LedgerWrite *wire)
{
    struct error err;
    struct ledger_write write = {.node_instance = wire->node_instance, .number = wire->number};
    if (codec_uuid(wire->node_id, &write.node_id) && codec_token(wire->token, &write.token) &&
        codec_ledger_entry(wire->entry, &write.entry, &err))
        fence_write(tick, &write);
}

static bool apply_finished(struct tick *tick, const Guts__V1__JobFinished *wire, struct error *err)
{
    struct uuid node_id;
    struct token token;
    bool is_stored;
    if (!codec_uuid(wire->node_id, &node_id) || !codec_token(wire->result->token, &token))
        return true;
    struct job *job = map_find(&tick->picture->jobs, &token.job);
    if (job == NULL || !job->fact.live || job->node == NULL || job->fact.attempt != token.attempt ||
        !uuid_equal(&job->node->id, &node_id)) {
        metric_add(&gauge_stale, 1);
        return true;
    }
    inbox_accept_job(tick, job);
    if (wire->report != NULL)
        inbox_apply_progress(tick, job, wire->report);
    /* In a new term its ledger is compared first; the result comes again with the report that does. */
    if (!job->node->is_told)
        return true;
    return inbox_apply_result(tick, job, wire->result, &is_stored, err);
}

static bool apply(struct tick *tick, const struct inbox_item *item, struct error *err)
{
    const void *body = item->body;
    switch (item->message.type) {
    case MESSAGE_NODE_REPORT:
        return inbox_apply_report(tick, body, err);
    case MESSAGE_JOB_ACCEPT:
        inbox_apply_accept(tick, body);
        return true;
    case MESSAGE_JOB_REFUSE:
        return inbox_apply_refuse(tick, body, err);
    case MESSAGE_LEDGER_WRITE:
        apply_ledger_write(tick, body);
        return true;
    case MESSAGE_JOB_FINISHED:
        return apply_finished(tick, body, err);
    case MESSAGE_INVENTORY_PAGE:
        return inbox_apply_inventory(tick, body, err);
    case MESSAGE_CATALOG_PAGE:
        return inbox_apply_catalogue(tick, body, err);
    default:
        return true; /* a hint to look for what is due */
    }
}

bool inbox_apply(struct tick *tick, const struct inbox_item *items, size_t count, struct error *err)
{
    if (!read_ledgers(tick, items, count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (apply(tick, &items[i], err))
            crashpoint("applied", message_type_name(items[i].message.type));
        else
            return false;
    return true;
}
