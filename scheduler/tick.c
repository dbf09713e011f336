/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/tick.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "proto/topology.h"
#include "scheduler/gauge.h"

void *tick_grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    char *grown = arena_calloc(arena, *capacity, size);
    if (count > 0)
        memcpy(grown, items, count * size);
    return grown;
}

struct tick *tick_new(struct scheduler *scheduler, uint64_t now_us, uint64_t now_ms)
{
    struct arena *arena = arena_new();
    struct tick *tick = arena_alloc(arena, sizeof *tick);
    tick->scheduler = scheduler;
    tick->picture = scheduler->picture;
    tick->arena = arena;
    tick->now_us = now_us;
    tick->now_ms = now_ms;
    tick->event_number = scheduler->event_number;
    return tick;
}

void tick_free(struct tick *tick)
{
    if (tick == NULL)
        return;
    map_fini(&tick->ledgers);
    map_fini(&tick->options);
    arena_free(tick->arena);
}

void tick_touch_migration(struct tick *tick, struct migration *migration)
{
    migration->fact.updated_at = tick->now_us;
    if (migration->is_dirty)
        return;
    migration->is_dirty = true;
    *TICK_ADD(tick, &tick->migrations) = migration;
    *TICK_ADD(tick, &tick->visited) = migration->fact.id;
}

void tick_touch_job(struct tick *tick, struct job *job)
{
    if (job->is_dirty)
        return;
    job->is_dirty = true;
    *TICK_ADD(tick, &tick->jobs) = job;
}

void tick_close_steps(struct tick *tick, const struct job *job, bool is_done)
{
    *TICK_ADD(tick, &tick->ended) =
        (struct step_attempt){job->fact.id, job->fact.owner_id, job->fact.attempt, is_done};
}

static void list_node(struct tick *tick, struct node *node)
{
    if (!node->is_listed)
        *TICK_ADD(tick, &tick->nodes) = node;
    node->is_listed = true;
}

void tick_touch_node(struct tick *tick, struct node *node)
{
    node->is_dirty = true;
    list_node(tick, node);
}

void tick_saw_node(struct tick *tick, struct node *node)
{
    node->is_seen = true;
    list_node(tick, node);
}

void tick_forget_node(struct tick *tick, const struct node *node)
{
    for (size_t i = 0; i < tick->nodes.count; i++)
        if (tick->nodes.items[i] == node) {
            tick->nodes.items[i] = tick->nodes.items[--tick->nodes.count];
            return;
        }
}

void tick_event(struct tick *tick, const char *project, const char *kind,
                enum event_severity severity, enum owner_kind owner_kind,
                const struct uuid *owner_id, const char *text, const char *data_json)
{
    struct event_fact *event = TICK_ADD(tick, &tick->events);
    *event = (struct event_fact){
        .number = ++tick->event_number,
        .at = tick->now_us,
        .project = project,
        .kind = kind,
        .severity = severity,
        .owner_kind = owner_kind,
        .owner_id = *owner_id,
        .text = arena_strdup(tick->arena, text),
        .data_json = arena_strdup(tick->arena, data_json),
    };
}

bool tick_read_ledgers(struct tick *tick, const struct uuid *owners, size_t count,
                       struct error *err)
{
    struct ledger_fact *entries;
    size_t entry_count, missing = 0;
    struct uuid *ids = arena_calloc(tick->arena, count + 1, sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        if (map_find(&tick->ledgers, &owners[i]) != NULL)
            continue;
        struct owner_ledger *ledger = arena_alloc(tick->arena, sizeof *ledger);
        ledger->owner = owners[i];
        map_put(&tick->ledgers, &owners[i], ledger);
        ids[missing++] = owners[i];
    }
    if (!ledger_load(tick->scheduler->db, tick->arena, ids, missing, &entries, &entry_count, err))
        return false;
    for (size_t i = 0; i < entry_count; i++) {
        struct owner_ledger *ledger = map_find(&tick->ledgers, &entries[i].owner_id);
        *TICK_ADD(tick, &ledger->entries) = &entries[i];
    }
    return true;
}

struct owner_ledger *tick_ledger(struct tick *tick, const struct uuid *owner)
{
    struct owner_ledger *ledger = map_find(&tick->ledgers, owner);
    assert(ledger != NULL);
    return ledger;
}

bool owner_ledger_is_open(const struct owner_ledger *ledger)
{
    for (size_t i = 0; i < ledger->entries.count; i++)
        if (ledger_state_is_open(ledger->entries.items[i]->state))
            return true;
    return false;
}

bool owner_ledger_has_error(const struct owner_ledger *ledger)
{
    for (size_t i = 0; i < ledger->entries.count; i++)
        if (ledger->entries.items[i]->state == LEDGER_ERROR)
            return true;
    return false;
}

void tick_send_node(struct tick *tick, const char *node_name, enum message_type type,
                    const ProtobufCMessage *message, bool is_lasting, uint64_t cookie)
{
    struct buffer packed = {0};
    codec_pack(message, &packed);
    TICK_ADD(tick, &tick->outgoing)->publication = (struct bus_publication){
        .exchange = TOPOLOGY_EXCHANGE,
        .routing_key = arena_printf(tick->arena, "%s%s", TOPOLOGY_NODE_PREFIX, node_name),
        .type = type,
        .body = arena_memdup(tick->arena, packed.data, packed.length),
        .length = packed.length,
        .persistent = is_lasting,
        .mandatory = is_lasting,
        .expires_ms = is_lasting ? 0 : tick->scheduler->settings->lease_ms,
        .cookie = cookie,
    };
    buffer_fini(&packed);
}

void tick_tell_changes(struct scheduler *scheduler, uint64_t event_number)
{
    struct error err;
    CLEANUP(buffer_fini) struct buffer packed = {0};
    Guts__V1__Change change = GUTS__V1__CHANGE__INIT;
    change.event = event_number;
    codec_pack(&change.base, &packed);
    const struct bus_publication publication = {.exchange = TOPOLOGY_CHANGES,
                                                .routing_key = "",
                                                .type = MESSAGE_CHANGE,
                                                .body = packed.data,
                                                .length = packed.length};
    if (!bus_publish(scheduler->bus, &publication, &err))
        log_debug("change_unsent", "%s", err.text);
}

void tick_publish(struct tick *tick)
{
    struct error err;
    uint64_t lost = 0;
    /* A leader that was frozen after its commit says nothing that another may have overtaken. */
    if (clock_mono_ms() - tick->now_ms > tick->scheduler->settings->leader_timeout_ms) {
        log_warn("messages_dropped", "%zu messages are older than the leadership's time-out",
                 tick->outgoing.count);
        return;
    }
    for (size_t i = 0; i < tick->outgoing.count; i++)
        if (!bus_publish(tick->scheduler->bus, &tick->outgoing.items[i].publication, &err))
            lost++;
    if (lost > 0)
        log_debug("messages_unsent", "%llu messages: %s", (unsigned long long)lost, err.text);
    if (tick->events.count > 0)
        tick_tell_changes(tick->scheduler, tick->event_number);
    metric_add(&gauge_published, (int64_t)(tick->outgoing.count - lost));
    metric_add(&gauge_unsent, (int64_t)lost);
}

void tick_settle(struct tick *tick)
{
    for (size_t i = 0; i < tick->nodes.count; i++) {
        struct node *node = tick->nodes.items[i];
        node->is_dirty = node->is_seen = node->is_listed = node->pools_changed = false;
        node->was_told = node->is_told;
        node->parts_then = node->parts;
    }
    for (size_t i = 0; i < tick->pools.count; i++)
        tick->pools.items[i]->is_dirty = false;
    for (size_t i = 0; i < tick->migrations.count; i++) {
        struct migration *migration = tick->migrations.items[i];
        migration->is_dirty = false;
        migration->expected = (struct migration_expected){migration->fact.id, migration->fact.state,
                                                          migration->fact.version};
    }
    for (size_t i = 0; i < tick->visited.count; i++) {
        struct migration *migration = map_find(&tick->picture->migrations, &tick->visited.items[i]);
        if (migration != NULL && migration->job == NULL)
            picture_drop_migration(tick->picture, migration);
    }
    for (size_t i = 0; i < tick->jobs.count; i++) {
        struct job *job = tick->jobs.items[i];
        job->is_dirty = false;
        if (job->fact.state == JOB_CLOSED)
            picture_drop_job(tick->picture, job);
    }
}
