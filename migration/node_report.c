/* SPDX-License-Identifier: Apache-2.0
 *
 * What the node tells the scheduler: reports, which carry everything as levels, and the few messages
 * that should arrive sooner than the next report.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/metrics.h"
#include "migration/common_options.h"
#include "migration/destination/destination.h"
#include "migration/node_inside.h"
#include "migration/node_trim.h"
#include "migration/progress.h"
#include "migration/source/source.h"
#include "migration/work_inside.h"
#include "proto/codec.h"

static bool publish(struct node *node, const char *key, enum message_type type,
                    const ProtobufCMessage *message, bool persistent, uint64_t expires_ms,
                    uint64_t cookie)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer packed = {0};
    codec_pack(message, &packed);
    struct bus_publication publication = {
        .exchange = TOPOLOGY_EXCHANGE,
        .routing_key = key,
        .type = type,
        .body = packed.data,
        .length = packed.length,
        .persistent = persistent,
        .mandatory = persistent,
        .expires_ms = expires_ms,
        .cookie = cookie,
    };
    bool sent = bus_publish(node->plan.bus, &publication, &err);
    if (!sent)
        log_fault(LOG_DEBUG_LEVEL, "not_published", &err);
    return sent;
}

/* -- declarations ------------------------------------------------------------------------------------------ */

static char *mutable(const char *text)
{
    return (char *)(text ? text : "");
}

/* Appends to what *settings (of *count) holds already. */
static void put_settings(struct arena *arena, const struct setting *from, size_t more,
                         Guts__V1__Setting ***settings, size_t *count)
{
    Guts__V1__Setting **all = arena_calloc(arena, *count + more + 1, sizeof(*all));
    for (size_t i = 0; i < *count; i++)
        all[i] = (*settings)[i];
    for (size_t i = 0; i < more; i++) {
        Guts__V1__Setting *setting = arena_alloc(arena, sizeof(*setting));
        guts__v1__setting__init(setting);
        setting->name = mutable(from[i].name);
        setting->type = mutable(setting_type_name(from[i].type));
        setting->secret = from[i].secret;
        setting->required = from[i].required;
        setting->address = from[i].address;
        setting->standard = mutable(from[i].standard);
        setting->help = mutable(from[i].help);
        setting->choices = mutable(from[i].choices);
        setting->shape = mutable(from[i].shape);
        setting->catalog = mutable(from[i].catalog);
        setting->least = from[i].least;
        setting->most = from[i].most;
        all[(*count)++] = setting;
    }
    *settings = all;
}

static Guts__V1__DriverDeclaration *put_driver(struct arena *arena, enum end end, const char *name,
                                               const char *title, const char *const *features)
{
    Guts__V1__DriverDeclaration *driver = arena_alloc(arena, sizeof(*driver));
    guts__v1__driver_declaration__init(driver);
    driver->end = (Guts__V1__End)end;
    driver->name = mutable(name);
    driver->title = mutable(title);
    driver->features = (char **)features;
    while (features && features[driver->n_features])
        driver->n_features++;
    return driver;
}

static void put_declarations(struct arena *arena, Guts__V1__NodeReport *report)
{
    size_t count = source_driver_count + destination_driver_count, at = 0;
    report->drivers = arena_calloc(arena, count + 1, sizeof(*report->drivers));
    for (size_t i = 0; i < source_driver_count; i++) {
        const struct source_driver *from = source_drivers[i];
        Guts__V1__DriverDeclaration *to =
            put_driver(arena, END_SOURCE, from->name, from->title, from->features);
        put_settings(arena, from->settings, from->setting_count, &to->settings, &to->n_settings);
        report->drivers[at++] = to;
    }
    for (size_t i = 0; i < destination_driver_count; i++) {
        const struct destination_driver *from = destination_drivers[i];
        Guts__V1__DriverDeclaration *to =
            put_driver(arena, END_DESTINATION, from->name, from->title, from->features);
        put_settings(arena, from->settings, from->setting_count, &to->settings, &to->n_settings);
        put_settings(arena, from->options, from->option_count, &to->options, &to->n_options);
        put_settings(arena, common_options, common_option_count, &to->options, &to->n_options);
        report->drivers[at++] = to;
    }
    report->n_drivers = at;
}

static void put_names(struct arena *arena, Guts__V1__NodeReport *report)
{
    report->source_drivers = arena_calloc(arena, source_driver_count + 1, sizeof(char *));
    report->destination_drivers = arena_calloc(arena, destination_driver_count + 1, sizeof(char *));
    for (size_t i = 0; i < source_driver_count; i++)
        report->source_drivers[report->n_source_drivers++] = mutable(source_drivers[i]->name);
    for (size_t i = 0; i < destination_driver_count; i++)
        report->destination_drivers[report->n_destination_drivers++] =
            mutable(destination_drivers[i]->name);
}

static void put_pools(struct node *node, struct arena *arena, Guts__V1__NodeReport *report)
{
    report->pools = arena_calloc(arena, node->pool_count + 1, sizeof(*report->pools));
    for (size_t i = 0; i < node->pool_count; i++) {
        struct pool_state state;
        struct error err;
        if (!pool_measure(&node->pools[i], &state, &err)) {
            log_fault(LOG_WARN_LEVEL, "pool_unreadable", &err);
            continue;
        }
        Guts__V1__PoolReport *pool = arena_alloc(arena, sizeof(*pool));
        guts__v1__pool_report__init(pool);
        pool->id = codec_uuid_to(&node->pools[i].id);
        pool->path = node->pools[i].path;
        pool->capacity_bytes = node->pools[i].capacity_bytes;
        pool->used_bytes = state.used_bytes;
        pool->free_bytes = state.free_bytes;
        report->pools[report->n_pools++] = pool;
    }
}

static void put_resource(struct arena *arena, Guts__V1__NodeReport *report, const char *name,
                         uint64_t total)
{
    Guts__V1__Resource *resource = arena_alloc(arena, sizeof(*resource));
    guts__v1__resource__init(resource);
    resource->name = mutable(name);
    resource->total = total;
    report->resources[report->n_resources++] = resource;
}

/* -- jobs ------------------------------------------------------------------------------------------------------ */

/* The worker's own words, or a bare report where it has not spoken yet. */
static Guts__V1__JobReport *start_job_report(const struct held *held, struct arena *arena)
{
    struct error err;
    Guts__V1__JobReport *report = NULL;
    if (held->status.length > 0)
        report = (Guts__V1__JobReport *)codec_unpack(
            &guts__v1__job_report__descriptor, held->status.data, held->status.length, arena, &err);
    if (report)
        return report;
    report = arena_alloc(arena, sizeof(*report));
    guts__v1__job_report__init(report);
    report->reached = (Guts__V1__MigrationState)held->reached;
    return report;
}

/* The ledger as this node knows it: what it was assigned with, then what its journal says. */
static void put_ledger(const struct held *held, struct arena *arena, Guts__V1__JobReport *report)
{
    CLEANUP(progress_closep) struct progress *progress = NULL;
    struct error err;
    size_t written =
        progress_peek(held->directory, &progress, &err) ? progress_ledger_count(progress) : 0;
    report->ledger =
        arena_calloc(arena, held->assign.ledger_count + written + 1, sizeof(*report->ledger));
    for (size_t i = 0; i < held->assign.ledger_count; i++) {
        const struct ledger_entry *entry = &held->assign.ledger[i];
        if (!progress || !progress_has_ledger(progress, entry))
            report->ledger[report->n_ledger++] = codec_ledger_entry_to(arena, entry);
    }
    for (size_t i = 0; i < written; i++) {
        const struct ledger_entry *from = progress_ledger_get(progress, i);
        struct ledger_entry entry = *from;
        entry.kind = arena_strdup(arena, from->kind);
        entry.key = arena_strdup(arena, from->key);
        entry.external_id = arena_strdup(arena, from->external_id);
        entry.prior_json = arena_strdup(arena, from->prior_json);
        entry.detail = arena_strdup(arena, from->detail);
        report->ledger[report->n_ledger++] = codec_ledger_entry_to(arena, &entry);
    }
}

/* Before the worker's own notes: those of the run that crashed are older, those of the next newer. */
static void put_crash(const struct held *held, struct arena *arena, Guts__V1__JobReport *report)
{
    if (!held->crash.fault)
        return;
    Guts__V1__Note *note = arena_alloc(arena, sizeof(*note));
    guts__v1__note__init(note);
    note->number = (uint64_t)held->crash_run * NOTES_A_RUN + NOTES_A_RUN - 1;
    note->at = held->crash_at;
    note->text = arena_printf(arena, "%s: the worker ended with %s", held->crash.fault->code,
                              held->crash.text);
    Guts__V1__Note **notes = arena_calloc(arena, report->n_notes + 2, sizeof(*notes));
    notes[0] = note;
    for (size_t i = 0; i < report->n_notes; i++)
        notes[i + 1] = report->notes[i];
    report->notes = notes;
    report->n_notes++;
}

static Guts__V1__JobReport *put_job(struct held *held, bool full, uint64_t number,
                                    struct arena *arena)
{
    struct error err;
    Guts__V1__JobReport *report = start_job_report(held, arena);
    report->token = codec_token_to(arena, &held->token);
    report->owner_kind = (Guts__V1__OwnerKind)held->assign.owner_kind;
    report->owner_id = codec_uuid_to(&held->assign.owner);
    put_crash(held, arena, report);
    report->directory_gone = held->state == HELD_GONE;
    if (report->directory_gone && held->gone_report == 0)
        held->gone_report = number;
    if (!report->directory_gone)
        report->allocated_bytes = pool_allocated_bytes(held->directory);
    if (held->result.length > 0 && held->state == HELD_FINISHED)
        report->result = (Guts__V1__JobResult *)codec_unpack(
            &guts__v1__job_result__descriptor, held->result.data, held->result.length, arena, &err);
    if (full && !report->directory_gone)
        put_ledger(held, arena, report);
    return report;
}

static void put_self(struct node *node, struct arena *arena, Guts__V1__NodeReport *report)
{
    const struct node_settings *settings = node->plan.node;
    report->node_id = codec_uuid_to(&node->id);
    report->name = mutable(settings->name);
    report->instance = node->instance;
    report->version = GUTS_VERSION;
    report->host = node->host;
    report->labels = (char **)settings->labels.items;
    report->n_labels = settings->labels.count;
    report->draining = node->draining;
    report->resources = arena_calloc(arena, 2, sizeof(*report->resources));
    put_resource(arena, report, "slot", (uint64_t)settings->slots);
    put_resource(arena, report, "memory", settings->memory_bytes);
    put_names(arena, report);
    put_pools(node, arena, report);
}

/* Whoever cannot hear an answer does not speak: what consumes the queue may be another node that has
 * this one's name, or its disk with the name and the id on it, and two that speak in turns would each
 * lose the other's jobs. */
static bool hears_answers(const struct node *node)
{
    struct bus_stats stats;
    bus_stats(node->plan.bus, &stats);
    return stats.consuming;
}

/* In parts where it must be; a full one that did not go out whole is told again. */
static bool send_report(struct node *node, Guts__V1__NodeReport *report, uint64_t now_ms,
                        struct arena *arena)
{
    size_t count;
    Guts__V1__NodeReport **parts = report_split(report, arena, &count);
    uint64_t expires = node->lease_ms ? node->lease_ms : node->plan.node->report_expiry_ms;
    node->report_number = report->number;
    node->report_soon = false;
    for (size_t i = 0; i < count; i++) {
        lease_clock_sent(&node->sent, parts[i]->number, now_ms);
        if (!publish(node, TOPOLOGY_SCHEDULER, MESSAGE_NODE_REPORT, &parts[i]->base, false, expires,
                     0))
            return false;
        metric_add(&metric_reports, 1);
    }
    return true;
}

void node_report(struct node *node, uint64_t now_ms)
{
    node->reported_ms = now_ms;
    if (!hears_answers(node))
        return;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__NodeReport report;
    guts__v1__node_report__init(&report);
    report.number = ++node->report_number;
    report.full = node->full;
    put_self(node, arena, &report);
    if (node->full)
        put_declarations(arena, &report);
    node_put_left(node, arena, &report);
    report.jobs = arena_calloc(arena, node->job_count + 1, sizeof(*report.jobs));
    for (size_t i = 0; i < node->job_count; i++)
        report.jobs[report.n_jobs++] = put_job(node->jobs[i], node->full, report.number, arena);
    if (!send_report(node, &report, now_ms, arena))
        return;
    node->full = false;
    node->look = (struct uuid){0};
}

/* -- single messages --------------------------------------------------------------------------------------------- */

void node_tell_verdicts(struct node *node, const struct node_verdicts *verdicts)
{
    Guts__V1__JobAccept accept;
    Guts__V1__JobRefuse refuse;
    guts__v1__job_accept__init(&accept);
    guts__v1__job_refuse__init(&refuse);
    accept.node_id = refuse.node_id = codec_uuid_to(&node->id);
    accept.node_instance = refuse.node_instance = node->instance;
    accept.tokens = verdicts->accepted;
    accept.n_tokens = verdicts->accepted_count;
    refuse.refusals = verdicts->refused;
    refuse.n_refusals = verdicts->refused_count;
    if (accept.n_tokens > 0)
        publish(node, TOPOLOGY_SCHEDULER, MESSAGE_JOB_ACCEPT, &accept.base, true, 0, 0);
    if (refuse.n_refusals > 0)
        publish(node, TOPOLOGY_SCHEDULER, MESSAGE_JOB_REFUSE, &refuse.base, true, 0, 0);
}

void node_tell_finished(struct node *node, struct held *held)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err;
    Guts__V1__JobFinished finished;
    guts__v1__job_finished__init(&finished);
    finished.node_id = codec_uuid_to(&node->id);
    finished.node_instance = node->instance;
    finished.result = (Guts__V1__JobResult *)codec_unpack(
        &guts__v1__job_result__descriptor, held->result.data, held->result.length, arena, &err);
    finished.report = put_job(held, false, node->report_number, arena);
    finished.report->result = NULL;
    if (finished.result)
        publish(node, TOPOLOGY_SCHEDULER, MESSAGE_JOB_FINISHED, &finished.base, true, 0, 0);
}

/* -- what workers send through us ------------------------------------------------------------------------------------ */

static bool is_of(const struct held *held, const Guts__V1__Token *token)
{
    struct token said;
    return codec_token(token, &said) && uuid_equal(&said.job, &held->token.job) &&
           said.attempt == held->token.attempt && said.run == held->token.run;
}

static void pass_write(struct node *node, struct held *held, const void *data, size_t length)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err;
    Guts__V1__LedgerWrite *write = (Guts__V1__LedgerWrite *)codec_unpack(
        &guts__v1__ledger_write__descriptor, data, length, arena, &err);
    if (!write || !is_of(held, write->token))
        return;
    write->node_id = codec_uuid_to(&node->id);
    write->node_instance = node->instance;
    publish(node, TOPOLOGY_SCHEDULER, MESSAGE_LEDGER_WRITE, &write->base, true, 0, 0);
}

static uint64_t page_cookie(const struct held *held, uint32_t number)
{
    return (uint64_t)held->serial << 32 | number;
}

static void pass_inventory(struct node *node, struct held *held, const void *data, size_t length)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err;
    Guts__V1__InventoryPage *page = (Guts__V1__InventoryPage *)codec_unpack(
        &guts__v1__inventory_page__descriptor, data, length, arena, &err);
    if (!page || !is_of(held, page->token))
        return;
    page->node_id = codec_uuid_to(&node->id);
    publish(node, TOPOLOGY_SCHEDULER_BULK, MESSAGE_INVENTORY_PAGE, &page->base, true, 0,
            page_cookie(held, page->number));
}

static void pass_catalog(struct node *node, struct held *held, const void *data, size_t length)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err;
    Guts__V1__CatalogPage *page = (Guts__V1__CatalogPage *)codec_unpack(
        &guts__v1__catalog_page__descriptor, data, length, arena, &err);
    if (!page || !is_of(held, page->token))
        return;
    page->node_id = codec_uuid_to(&node->id);
    publish(node, TOPOLOGY_SCHEDULER_BULK, MESSAGE_CATALOG_PAGE, &page->base, true, 0,
            page_cookie(held, page->number));
}

void node_pass_frame(struct node *node, struct held *held, enum channel_kind kind, const void *data,
                     size_t length)
{
    if (kind == CHANNEL_LEDGER_WRITE)
        pass_write(node, held, data, length);
    else if (kind == CHANNEL_INVENTORY)
        pass_inventory(node, held, data, length);
    else if (kind == CHANNEL_CATALOG)
        pass_catalog(node, held, data, length);
}

/* A page that the broker did not take is sent again by its worker. */
void node_take_fate(struct node *node, uint64_t cookie, enum bus_fate fate)
{
    uint32_t number = (uint32_t)cookie;
    for (size_t i = 0; fate == BUS_CONFIRMED && i < node->job_count; i++) {
        if (node->jobs[i]->serial == cookie >> 32)
            held_send(node->jobs[i], CHANNEL_PAGE_TAKEN, &number, sizeof(number));
    }
}
