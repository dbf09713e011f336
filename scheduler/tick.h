/* SPDX-License-Identifier: Apache-2.0
 *
 * A tick: the unit of work of the loop. It gathers what is to be written while the picture changes,
 * writes it in one transaction with few multi-row statements, and only then lets messages go. It
 * decides nothing.
 *
 * Everything lives in the tick's arena. Threads: one.
 */
#ifndef GUTS_SCHEDULER_TICK_H
#define GUTS_SCHEDULER_TICK_H

#include "common/store/catalogue_fact.h"
#include "common/store/driver_fact.h"
#include "common/store/endpoint_fact.h"
#include "common/store/event.h"
#include "common/store/inventory.h"
#include "common/store/ledger.h"
#include "common/store/needs.h"
#include "common/store/remain.h"
#include "common/store/step.h"
#include "common/store/stray.h"
#include "common/store/wish_outcome.h"
#include "proto/codec.h"
#include "scheduler/scheduler.h"

#define TICK_LIST(type)                                                                            \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count, capacity;                                                                    \
    }
/* A new zeroed element at the end of a list. */
#define TICK_ADD(tick, list)                                                                       \
    ((list)->items = tick_grow((tick)->arena, (list)->items, (list)->count, &(list)->capacity,     \
                               sizeof *(list)->items),                                             \
     &(list)->items[(list)->count++])
void *tick_grow(struct arena *arena, void *items, size_t count, size_t *capacity, size_t size);

/* The ledger of one owner as it stands in this transaction. */
struct owner_ledger {
    struct uuid owner;
    TICK_LIST(struct ledger_fact *) entries;
};

struct result_fact {
    struct uuid id;
    const char *faults_json, *evidence_json, *server_json;
};
struct inventory_page {
    struct inventory_place place;
    const struct vm **vms;
    size_t count;
};
struct catalogue_page {
    struct uuid destination_id;
    uint64_t refresh;
    struct catalogue_fact *items;
    size_t count;
};
struct stray_page {
    enum owner_kind of; /* a source, a destination or a node */
    struct uuid endpoint_id;
    uint64_t look;
    struct stray *items;
    size_t count;
};
/* A whole list has come: what it did not see is gone. */
enum sweep_of { SWEEP_INVENTORY, SWEEP_CATALOGUE, SWEEP_STRAYS };
struct sweep_fact {
    enum sweep_of of;
    struct inventory_place place;
};
struct outgoing {
    struct bus_publication publication;
};

struct tick {
    struct scheduler *scheduler;
    struct picture *picture;
    struct arena *arena;
    uint64_t now_us; /* the database's clock */
    uint64_t now_ms; /* ours */
    uint64_t event_number;

    TICK_LIST(struct event_fact) events;
    TICK_LIST(struct migration *) migrations;
    TICK_LIST(struct result_fact) results;
    TICK_LIST(struct migration_disk_fact) disks;
    TICK_LIST(struct job *) jobs;
    TICK_LIST(struct job *) accepts; /* stored with few words, unless they changed further */
    TICK_LIST(struct step_fact) steps;
    TICK_LIST(struct step_attempt) ended; /* whose running steps go no further */
    TICK_LIST(const struct ledger_fact *) ledger;
    TICK_LIST(struct inventory_page) inventories;
    TICK_LIST(struct catalogue_page) catalogues;
    TICK_LIST(struct stray_page) strays;
    TICK_LIST(struct sweep_fact) sweeps;
    TICK_LIST(struct uuid) pages_gone; /* jobs whose end makes their pages useless */
    TICK_LIST(struct endpoint_change) endpoints;
    TICK_LIST(struct wish_outcome) wishes;
    TICK_LIST(struct node *) nodes;
    TICK_LIST(struct uuid) nodes_gone;
    TICK_LIST(struct pool *) pools;
    TICK_LIST(struct remain_fact) remains;
    TICK_LIST(struct remain_fact) remains_gone;
    TICK_LIST(struct needs_fact) needs;
    TICK_LIST(struct uuid) needs_gone;
    TICK_LIST(struct driver_fact) drivers;
    TICK_LIST(struct uuid) migrations_gone;
    TICK_LIST(struct uuid) visited; /* migrations that leave the picture when nothing holds them */
    TICK_LIST(struct job *) placed; /* whose assignments are to be built */
    TICK_LIST(struct outgoing) outgoing;

    struct map options; /* migration → const struct migration_option, those that were read */
    struct map ledgers; /* owner → struct owner_ledger, those that were read */
};

struct tick *tick_new(struct scheduler *scheduler, uint64_t now_us, uint64_t now_ms);
void tick_free(struct tick *tick);

/* Marks what changed; each is written once. */
void tick_touch_migration(struct tick *tick, struct migration *migration);
void tick_touch_job(struct tick *tick, struct job *job);
void tick_close_steps(struct tick *tick, const struct job *job, bool is_done);
void tick_touch_node(struct tick *tick, struct node *node);
void tick_saw_node(struct tick *tick, struct node *node);
void tick_forget_node(struct tick *tick, const struct node *node); /* it is about to be dropped */

/* An event gets its number here. text and data are copied. */
void tick_event(struct tick *tick, const char *project, const char *kind,
                enum event_severity severity, enum owner_kind owner_kind,
                const struct uuid *owner_id, const char *text, const char *data_json);

/* Reads the ledgers of owners that were not read yet. */
bool tick_read_ledgers(struct tick *tick, const struct uuid *owners, size_t count,
                       struct error *err) MUST_CHECK;
/* One that was read. */
struct owner_ledger *tick_ledger(struct tick *tick, const struct uuid *owner);
bool owner_ledger_is_open(const struct owner_ledger *ledger);
bool owner_ledger_has_error(const struct owner_ledger *ledger);

/* Packs a message for a node; it goes after the commit. */
void tick_send_node(struct tick *tick, const char *node_name, enum message_type type,
                    const ProtobufCMessage *message, bool is_lasting, uint64_t cookie);

/* Writes all, in one fixed order of tables. Inside the transaction. */
bool tick_store(struct tick *tick, struct error *err) MUST_CHECK;
/* After the commit. */
void tick_publish(struct tick *tick);
/* Says to all how far the events are. */
void tick_tell_changes(struct scheduler *scheduler, uint64_t event_number);
/* After the commit: dirty marks go, closed jobs and resting migrations leave the picture. */
void tick_settle(struct tick *tick);

#endif
