/* SPDX-License-Identifier: Apache-2.0
 *
 * A scheduler on a real database with the bus in memory and a faked clock, and simulated nodes that
 * do what the test tells them. Nothing here sleeps: turns of the loop are counted.
 */
#ifndef GUTS_TESTS_INTEGRATION_SCHEDULER_WORLD_H
#define GUTS_TESTS_INTEGRATION_SCHEDULER_WORLD_H

#include "proto/codec.h"
#include "scheduler/scheduler.h"

#define NODE_JOBS_MOST 64

struct world_job {
    struct uuid id, owner;
    uint32_t attempt, run;
    enum job_kind kind;
    enum migration_state state;   /* as the assignment said */
    size_t ledger_count;          /* entries that came with it */
    enum migration_state reached; /* told in reports */
    bool is_finished, is_gone;
    Guts__V1__Outcome outcome;
    const char *fault_code; /* static */
    uint64_t pages, allocated_bytes;
    bool is_partial;    /* its list */
    const char *step;   /* static: the step it is at, done once the job is; NULL: none */
    const char *copy;   /* static: key of a ledger entry that full reports tell; NULL: none */
    const char *digest; /* static: of a disk that its reports tell; NULL: none */
    uint64_t note;      /* number of a note that its reports tell; 0: none */
    enum wanted wanted;
    bool leased;
};

struct world_node {
    struct world *world;
    struct bus *bus;
    struct uuid id, pool;
    char name[65], instance[65];
    uint64_t report, capacity_bytes, free_bytes, slots, sequence;
    bool refuses; /* every job */
    bool is_deaf; /* takes no assignment */
    struct world_job jobs[NODE_JOBS_MOST];
    size_t job_count;
    uint64_t renewals, assigns, assign_messages;
    bool declare_again, was_refused_name;
    uint32_t part;                   /* of a full report, of the next one; 0: it is whole */
    Guts__V1__LedgerVerdict verdict; /* of the last answer */
    enum ledger_state answered_state;
};

struct world {
    struct scheduler_settings settings;
    struct scheduler scheduler;
    struct bus_memory *broker;
    struct bus *sender; /* of messages that no node would send */
    struct db *db;      /* for looking and for playing the api */
    struct uuid source, destination;
};

void world_must(bool done, const struct error *err); /* fails the test with what err says */
void world_begin(struct world *world);
void world_end(struct world *world);
/* Another scheduler on the same database and broker. */
void world_scheduler_begin(struct world *world, struct scheduler *scheduler);
void world_scheduler_end(struct scheduler *scheduler);
/* The loop's turns; the clock advances by idle_interval_ms with each. */
void world_turn(struct world *world, unsigned count);

/* What the api would have written. */
struct uuid world_vm(struct world *world, const char *name, uint64_t capacity_bytes);
struct uuid world_migrate(struct world *world, const struct uuid *vm, const char *on_failure,
                          bool dry_run, const char *options_json);
struct uuid world_wish(struct world *world, const char *verb, enum owner_kind kind,
                       const struct uuid *owner);
/* What the database says. Texts live until the next call. */
const char *world_text(struct world *world, const char *sql, const struct uuid *id);
uint64_t world_number(struct world *world, const char *sql, const struct uuid *id);
#define world_state(world, id) world_text(world, "SELECT state FROM migrations WHERE id = ?", id)
/* The states that the events of a migration tell, "PENDING SCHEDULED …". */
const char *world_story(struct world *world, const struct uuid *id);

void world_node_begin(struct world *world, struct world_node *node, const char *name);
void world_node_end(struct world_node *node);
void world_node_restart(struct world_node *node, bool keeps_jobs);
void world_node_report(struct world_node *node, bool is_full);
/* Takes what came: accepts or refuses assignments, remembers answers. */
void world_node_take(struct world_node *node);
void world_node_accept(struct world_node *node, const struct world_job *job);
void world_node_intend(struct world_node *node, const struct world_job *job, const char *key,
                       enum ledger_state state);
void world_node_finish(struct world_node *node, struct world_job *job, Guts__V1__Outcome outcome,
                       const char *fault_code);
void world_node_page(struct world_node *node, const struct world_job *job, uint32_t number,
                     bool is_last, const char *vm_key);
struct world_job *world_node_job(struct world_node *node, const struct uuid *owner);
/* A turn with a report of each node before it and the answers taken after it. */
void world_round(struct world *world, struct world_node **nodes, size_t count);

#endif
