/* SPDX-License-Identifier: Apache-2.0
 *
 * A scheduler that is played for tests of the node: it renews leases, stores the ledger, reads
 * reports and results, on the bus in memory. It fails the test itself where a message is wrong.
 */
#ifndef GUTS_TESTS_UNIT_MIGRATION_PLAY_H
#define GUTS_TESTS_UNIT_MIGRATION_PLAY_H

#include "tests/unit/check.h"

#include "common/base/clock.h"
#include "migration/node.h"
#include "proto/codec.h"

#define PATIENCE_MS 90000
#define ENTRIES_MOST 64

struct play {
    struct arena *arena;
    struct bus_memory *broker;
    struct bus *scheduler;
    struct bus *bus; /* the node's */
    struct node *node;
    struct node_settings settings;
    struct worker_settings worker;
    char directory[64];
    const char *pool, *world;
    /* what it does */
    bool renews;
    uint64_t lease_ms;
    bool answers;
    unsigned answers_left; /* to writes, then none; 0: no such limit */
    bool asks_again;       /* for a full report */
    bool drains;
    enum wanted wanted;
    Guts__V1__LedgerVerdict verdict;
    /* what it saw */
    char instance[64];
    struct uuid pool_id, job, owner;
    struct ledger_entry ledger[ENTRIES_MOST];
    size_t ledger_count;
    size_t ledger_copies;
    unsigned looks, left; /* at conversion spaces; directories that the last one found */
    char left_name[256];
    struct uuid left_owner;
    unsigned accepts, refuses, reports, finishes, writes, pages, vms;
    unsigned steps_told, steps_running; /* by the last end */
    char refuse_code[64];
    uint32_t run;
    uint64_t done_bytes, read_bytes;
    uint32_t resumes;
    bool declared, gone, last_page;
    enum migration_state reached;
    Guts__V1__Outcome outcome;
    char fault[64];
    char fault_text[512];
    char first_note[512];
    char evidence[4096];
};

struct wish {
    enum job_kind kind;
    uint32_t attempt;
    const char *settings; /* of the source: ", \"vms\": 3" */
    const char *options;
    const char *request; /* "{\"settle\":true}" */
    bool dry_run;
    const char *password;   /* of the source, sealed; NULL: none */
    const char *sealed_for; /* a path; NULL: the world's */
};

/* A source that is slow enough to strike in mid-copy: 32 MiB in a second. */
#define SLOW ", \"disk_bytes\": 33554432, \"data_percent\": 100, \"bytes_per_second\": 12582912"

void play_turn(struct play *play);
void play_open_node(struct play *play); /* it need not be heard of */
void play_start_node(struct play *play);
void play_stop_node(struct play *play);
int play_set_up(void **state);
int play_tear_down(void **state);
void play_assign(struct play *play, const struct wish *wish);
const struct ledger_entry *play_entry_of(const struct play *play, const char *kind);
unsigned play_count_deeds(struct play *play, const char *deed);
/* Asks what is left in conversion spaces, after this was removed (NULL: nothing). */
void play_look(struct play *play, const char *remove);
/* Tells the node that its name is taken. */
void play_refuse_name(struct play *play);
void play_control(struct play *play, const char *rules);
bool play_directory_exists(const struct play *play);
pid_t play_worker_pid(const struct play *play);

/* Turns the world until the expression holds. */
#define AWAIT(play, expression)                                                                    \
    do {                                                                                           \
        uint64_t patience = clock_mono_ms() + PATIENCE_MS;                                         \
        while (!(expression) && clock_mono_ms() < patience)                                        \
            play_turn(play);                                                                       \
        assert_true(expression);                                                                   \
    } while (0)

#endif
