/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of the scheduler. Each is for one instance of this node; another's are dropped. A message
 * is acknowledged when what it asks for is on the disk or need not be.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/daemon/metrics.h"
#include "migration/destination/destination.h"
#include "migration/node_inside.h"
#include "migration/source/source.h"
#include "proto/codec.h"

#define REFUSED_MOST_MS 60000

/* -- JobAssign -------------------------------------------------------------------------------------------- */

static struct pool *find_pool(const struct node *node, const struct uuid *id)
{
    for (size_t i = 0; i < node->pool_count; i++) {
        if (uuid_equal(&node->pools[i].id, id))
            return &node->pools[i];
    }
    return uuid_is_nil(id) ? &node->pools[0] : NULL;
}

static bool needs_slot(enum job_kind kind)
{
    return kind == JOB_MIGRATE || kind == JOB_ROLLBACK || kind == JOB_CLEANUP;
}

static bool has_slot(const struct node *node)
{
    int64_t taken = 0;
    for (size_t i = 0; i < node->job_count; i++)
        taken += held_is_live(node->jobs[i]) && needs_slot(node->jobs[i]->assign.kind);
    return taken < node->plan.node->slots;
}

static bool knows_drivers(const struct assign *assign, struct error *err)
{
    if (*assign->source.driver && !source_driver_find(assign->source.driver))
        return error_set(err, &FAULT_DRIVER_UNKNOWN, "no source driver \"%s\" here",
                         assign->source.driver);
    if (*assign->destination.driver && !destination_driver_find(assign->destination.driver))
        return error_set(err, &FAULT_DRIVER_UNKNOWN, "no destination driver \"%s\" here",
                         assign->destination.driver);
    return true;
}

static bool may_take(const struct node *node, const struct assign *assign, struct error *err)
{
    if (node->draining)
        return error_set(err, &FAULT_NODE_REFUSED, "the node is draining");
    if (needs_slot(assign->kind) && !has_slot(node))
        return error_set(err, &FAULT_NODE_REFUSED, "all %lld slots are taken",
                         (long long)node->plan.node->slots);
    if (!find_pool(node, &assign->pool))
        return error_set(err, &FAULT_NODE_REFUSED, "the pool is not here");
    return knows_drivers(assign, err);
}

static bool take_job(struct node *node, const struct assign *assign,
                     const ProtobufCBinaryData *packed, struct held **ret_held, struct error *err)
{
    CLEANUP(xfreep) char *path = NULL;
    struct error stays;
    if (!may_take(node, assign, err) ||
        !pool_job_make(find_pool(node, &assign->pool), &assign->token, &path, err))
        return false;
    if (held_new(packed->data, packed->len, path, ret_held, err))
        return true;
    if (!file_remove_tree(path, &stays)) /* a job that is refused has no directory */
        log_fault(LOG_ERROR_LEVEL, "directory_stays", &stays);
    return false;
}

static void accept(struct node_verdicts *verdicts, const struct token *token)
{
    verdicts->accepted[verdicts->accepted_count++] = codec_token_to(verdicts->arena, token);
}

static void refuse(struct node_verdicts *verdicts, const struct token *token,
                   const struct error *why)
{
    Guts__V1__Refusal *refusal = arena_alloc(verdicts->arena, sizeof(*refusal));
    struct error *kept = arena_alloc(verdicts->arena, sizeof(*kept));
    *kept = *why; /* its text is borrowed until the verdicts are told */
    guts__v1__refusal__init(refusal);
    refusal->token = codec_token_to(verdicts->arena, token);
    refusal->fault = codec_fault_to(verdicts->arena, kept);
    verdicts->refused[verdicts->refused_count++] = refusal;
}

/* True when the assignment is an answer to itself: doubled, or older than what we hold. */
static bool is_known(struct node *node, const struct assign *assign, struct node_verdicts *verdicts)
{
    struct held *held = node_find(node, &assign->token.job);
    if (!held)
        return false;
    if (held->token.attempt < assign->token.attempt) {
        metric_add(&metric_fenced, 1);
        held_drop(held);
        node_forget(node, held);
        return false;
    }
    if (held->token.attempt == assign->token.attempt && held->state != HELD_GONE)
        accept(verdicts, &assign->token);
    return true;
}

static void take_assign(struct node *node, const struct assign *assign,
                        const ProtobufCBinaryData *packed, struct node_verdicts *verdicts)
{
    struct held *held;
    struct error err;
    if (is_known(node, assign, verdicts))
        return;
    if (!take_job(node, assign, packed, &held, &err)) {
        log_fault(LOG_WARN_LEVEL, "job_refused", &err);
        metric_add(&metric_refused, 1);
        refuse(verdicts, &assign->token, &err);
        return;
    }
    log_info("job_accepted", "%s, attempt %u", job_kind_name(assign->kind), assign->token.attempt);
    metric_add(&metric_accepted, 1);
    node_add(node, held);
    accept(verdicts, &assign->token);
    node->report_soon = true;
}

/* Takes each that can be understood; the others stay in *message, with the reason of the last. */
static bool take_each(struct node *node, Guts__V1__JobAssign *message, struct arena *arena,
                      struct error *err)
{
    size_t count = message->n_assignments, bad = 0;
    struct node_verdicts verdicts = {
        .arena = arena,
        .accepted = arena_calloc(arena, count + 1, sizeof(*verdicts.accepted)),
        .refused = arena_calloc(arena, count + 1, sizeof(*verdicts.refused)),
    };
    for (size_t i = 0; i < count; i++) {
        struct assign *assign =
            arena_alloc(arena, sizeof(*assign)); /* the verdicts borrow its token */
        const ProtobufCBinaryData packed = message->assignments[i];
        if (!assign_unpack(packed.data, packed.len, arena, assign, err)) {
            message->assignments[bad++] = packed;
            continue;
        }
        LOG_SCOPE("job", UUID_TEXT(&assign->token.job));
        LOG_SCOPE("owner", UUID_TEXT(&assign->owner));
        take_assign(node, assign, &packed, &verdicts);
    }
    message->n_assignments = bad;
    node_tell_verdicts(node, &verdicts);
    return bad == 0;
}

static void reject(struct node *node, const struct bus_message *message, const struct error *err)
{
    log_fault(LOG_WARN_LEVEL, "message_rejected", err);
    metric_add(&metric_rejected, 1);
    bus_reject(node->plan.bus, message, err);
}

static void settle(struct node *node, const struct bus_message *message)
{
    crashpoint("after_message", message_type_name(message->type));
    bus_ack(node->plan.bus, message->tag);
}

static void receive_assign(struct node *node, const struct bus_message *message,
                           struct arena *arena)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer rest = {0};
    struct bus_message dead = *message;
    Guts__V1__JobAssign *assign = (Guts__V1__JobAssign *)codec_unpack_bus(message, arena, &err);
    if (!assign) {
        reject(node, message, &err);
    } else if (strcmp(assign->node_instance, node->instance) != 0 ||
               take_each(node, assign, arena, &err)) {
        settle(node, message);
    } else {
        /* Only what is bad goes to the dead letters. */
        codec_pack(&assign->base, &rest);
        dead.body = rest.data;
        dead.length = rest.length;
        reject(node, &dead, &err);
    }
}

/* -- LeaseRenew -------------------------------------------------------------------------------------------- */

static void renew_one(struct node *node, const Guts__V1__JobRenew *renew, uint64_t lease_until_ms)
{
    struct token token;
    if (!codec_token(renew->token, &token))
        return;
    struct held *held = node_find(node, &token.job);
    if (!held || held->token.attempt != token.attempt || held->state == HELD_GONE)
        return;
    LOG_SCOPE("job", UUID_TEXT(&token.job));
    uint64_t now = clock_mono_ms();
    uint64_t rate = renew->limits ? renew->limits->bytes_per_second : 0;
    uint64_t expires = renew->limits ? renew->limits->expires_ms : 0;
    switch (codec_wanted(renew->wanted)) {
    case WANTED_GO:
        held_renew(held, renew->leased ? lease_until_ms : 0, rate, expires ? now + expires : 0);
        break;
    case WANTED_CANCEL:
        if (renew->leased)
            lease_extend(held->page, lease_until_ms);
        held_cancel(held, now);
        break;
    case WANTED_FENCED:
        log_warn("job_fenced", "attempt %u is no longer the current one", token.attempt);
        metric_add(&metric_fenced, 1);
        held_drop(held);
        node->report_soon = true;
        break;
    case WANTED_CLOSE:
        held_drop(held);
        node->report_soon = true;
        break;
    case WANTED_UNKNOWN:
        break;
    }
}

/* What a report said is gone, and the scheduler has read that report. */
static void forget_gone(struct node *node, uint64_t report)
{
    for (size_t i = node->job_count; i-- > 0;) {
        struct held *held = node->jobs[i];
        if (held->state == HELD_GONE && held->gone_report != 0 && held->gone_report <= report)
            node_forget(node, held);
    }
}

static void receive_renew(struct node *node, const Guts__V1__LeaseRenew *renew)
{
    uint64_t sent_ms = 0, until = 0;
    if (lease_clock_find(&node->sent, renew->report, &sent_ms))
        until = sent_ms + renew->lease_ms;
    node->lease_ms = renew->lease_ms;
    node->draining = renew->drain;
    for (size_t i = 0; i < renew->n_jobs; i++)
        renew_one(node, renew->jobs[i], until);
    forget_gone(node, renew->report);
    if (renew->declare_again)
        node->full = node->report_soon = true;
}

/* -- the others ------------------------------------------------------------------------------------------------ */

static void receive_answer(struct node *node, const struct bus_message *message,
                           const Guts__V1__LedgerAnswer *answer)
{
    struct token token;
    if (!codec_token(answer->token, &token))
        return;
    struct held *held = node_find(node, &token.job);
    /* Numbers begin anew with each run: an answer to another run says nothing to this one. */
    if (held && held->token.attempt == token.attempt && held->token.run == token.run)
        held_send(held, CHANNEL_LEDGER_ANSWER, message->body, message->length);
}

/* What was said of us may pass: the other one goes, and is forgotten one takeover time later. */
static uint64_t refused_pause_ms(const struct node *node)
{
    uint64_t lease_ms = node->lease_ms ? node->lease_ms : node->plan.node->report_expiry_ms;
    return lease_ms < REFUSED_MOST_MS ? lease_ms : REFUSED_MOST_MS;
}

/* Somebody else lives under our name: no work until it is gone. We ask again now and then, for what
 * stands in our conversion space is told by nobody else. */
static void receive_control(struct node *node, const Guts__V1__NodeControl *control)
{
    if (control->declare_again)
        node->full = node->report_soon = true;
    if (control->look.len > 0)
        node_look(node, control);
    codec_fault(control->refused, &node->refused);
    if (!node->refused.fault)
        return;
    log_fault(LOG_ERROR_LEVEL, "node_refused", &node->refused);
    node->refused_until_ms = clock_mono_ms() + refused_pause_ms(node);
    for (size_t i = 0; i < node->job_count; i++)
        held_suspend(node->jobs[i]);
}

/* After what refused us is acknowledged: else it would come back with the queue, and refuse again. */
static void withdraw(struct node *node)
{
    if (node->refused.fault)
        bus_unconsume(node->plan.bus, &node->queue);
}

static const char *instance_of(enum message_type type, const ProtobufCMessage *message)
{
    switch (type) {
    case MESSAGE_LEASE_RENEW:
        return ((const Guts__V1__LeaseRenew *)message)->node_instance;
    case MESSAGE_LEDGER_ANSWER:
        return ((const Guts__V1__LedgerAnswer *)message)->node_instance;
    case MESSAGE_NODE_CONTROL:
        return ((const Guts__V1__NodeControl *)message)->node_instance;
    default:
        return NULL;
    }
}

static bool receive_other(struct node *node, const struct bus_message *message, struct arena *arena,
                          struct error *err)
{
    const ProtobufCMessage *unpacked = codec_unpack_bus(message, arena, err);
    if (!unpacked)
        return false;
    const char *instance = instance_of(message->type, unpacked);
    if (!instance)
        return error_set(err, &FAULT_MESSAGE_POISON, "a %s is nothing for a node",
                         message_type_name(message->type));
    if (strcmp(instance, node->instance) != 0)
        return true;
    if (message->type == MESSAGE_LEASE_RENEW)
        receive_renew(node, (const Guts__V1__LeaseRenew *)unpacked);
    else if (message->type == MESSAGE_LEDGER_ANSWER)
        receive_answer(node, message, (const Guts__V1__LedgerAnswer *)unpacked);
    else
        receive_control(node, (const Guts__V1__NodeControl *)unpacked);
    return true;
}

void node_receive(struct node *node, const struct bus_message *message)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err;
    crashpoint("before_message", message_type_name(message->type));
    if (message->type == MESSAGE_JOB_ASSIGN)
        receive_assign(node, message, arena);
    else if (receive_other(node, message, arena, &err))
        settle(node, message);
    else
        reject(node, message, &err);
    withdraw(node);
}
