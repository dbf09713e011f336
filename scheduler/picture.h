/* SPDX-License-Identifier: Apache-2.0
 *
 * The picture: what the leader knows of nodes, pools, jobs and the migrations that have one. It is
 * loaded when a term begins. A tick changes it together with the transaction that stores the same;
 * when that transaction fails, the picture is thrown away and loaded again, so nothing in it was
 * ever seen outside without being committed. It knows no messages and decides nothing.
 *
 * Threads: one. Everything in it belongs to it.
 */
#ifndef GUTS_SCHEDULER_PICTURE_H
#define GUTS_SCHEDULER_PICTURE_H

#include "common/store/job.h"
#include "common/store/migration_state.h"
#include "common/store/node.h"
#include "common/store/pool.h"
#include "common/store/remain.h"
#include "scheduler/list.h"
#include "scheduler/map.h"
#include "scheduler/place.h"

struct group;
struct job;
struct node;

struct pool {
    struct pool_fact fact;
    struct node **nodes; /* that hold it */
    size_t node_count;
    uint64_t outstanding_bytes; /* promised to jobs and not yet allocated */
    uint64_t allocated_bytes;   /* by jobs, as reported */
    bool is_dirty;
};

struct node_pool {
    struct pool *pool;
    char *path;
    uint64_t capacity_bytes, used_bytes, free_bytes; /* of this node's last report */
};

#define NODE_WORD_SIZE 65
struct node {
    struct uuid id;
    char name[NODE_WORD_SIZE], instance[NODE_WORD_SIZE], version[NODE_WORD_SIZE];
    char *host, *reason;
    const char *state; /* "enabled", "draining", "disabled": what operators asked */
    bool up;
    bool says_draining;
    struct place_words labels, source_drivers, destination_drivers;
    char *resources_json;
    int64_t slots_total, memory_total_bytes;
    bool counts_memory;
    uint64_t report_number, first_seen_at, seen_at;
    uint64_t heard_ms; /* our clock at the last report, or the start of the term */
    struct node_pool pools[PLACE_POOLS_MOST];
    size_t pool_count;
    struct link jobs; /* assigned, accepted and finished ones */
    struct link remains;
    uint32_t live_jobs;
    uint64_t memory_used_bytes;
    struct group *held_for;
    uint32_t stale_jobs;
    bool has_stale;     /* its last report named jobs that are not its own any more */
    bool has_gained;    /* something that matters for placing got better since groups were tried */
    bool is_told;       /* to declare everything, in this term */
    struct uuid looked; /* the last wish for a look into its conversion spaces that it answered */
    uint32_t parts;     /* of a full report under way that have come; 0: none is */
    bool was_told;      /* is_told and parts when a transaction was committed last */
    uint32_t parts_then;
    bool is_dirty, is_seen, is_listed, pools_changed;
    struct link heard_link; /* picture.heard, oldest first */
    struct link gained_link;
};

/* What an attempt that was lost with its node still holds of a pool: others may share the pool, and
 * the node's worker may write on until its fence ends it. */
struct remain {
    struct remain_fact fact;
    struct pool *pool;
    uint64_t seen_number; /* of the node's last report that named it */
    uint32_t missed;      /* reports in a row that did not */
    struct link link;     /* node.remains */
};

struct migration {
    struct migration_fact fact; /* texts are interned, or owned below; labels are NULL */
    struct place_words labels;  /* of both ends */
    char *fault_text;
    struct job *job;     /* the live one */
    uint64_t disks_hash; /* of what was stored of its disks */
    /* What the row says until this tick commits. */
    struct migration_expected expected;
    bool is_dirty;
};

struct job {
    struct job_fact fact; /* project interned, other texts owned by the job */
    struct node *node;
    struct pool *pool;
    struct group *group;         /* while it waits for a node */
    struct migration *migration; /* of migrations only, while live */
    struct uuid avoid;           /* the node that refused or lost it last */
    uint64_t memory_bytes;
    uint32_t attempts;    /* of this job, in this term */
    uint64_t sent_ms;     /* of the assignment */
    uint64_t sent_cookie; /* of the message that carried it last */
    uint64_t missed;      /* reports in a row that did not name it */
    uint64_t seen_number; /* of the last report that named it */
    uint64_t steps_hash;
    uint64_t pages_waited_ms; /* since when its result waits for pages */
    bool was_sent_again;
    bool runs_step; /* by what was told last, or perhaps, when that was in another term */
    bool is_dirty;
    struct link node_link, group_link, sent_link;
};

/* Waiting jobs with equal needs. */
struct group {
    struct uuid hash;
    struct place_need need;
    struct uuid source_id, destination_id;
    char *needs_json;
    bool is_urgent; /* rollbacks, cleanups, tests: before new migrations */
    bool is_new;    /* never tried: every node is looked at */
    bool is_told;   /* a row says why it waits */
    uint64_t told_ms;
    struct link jobs;
    size_t waiting;
    double level, step; /* of the present wave: see placing.c */
    struct node *held;
    struct link link;
};

struct picture {
    struct map nodes, pools, jobs, migrations, groups;
    struct link heard;  /* nodes that are up */
    struct link sent;   /* assigned jobs, oldest sending first */
    struct link gained; /* nodes */
    struct link group_list;
    uint64_t states[MIGRATION_STATE_COUNT];
};

struct picture *picture_new(void);
void picture_free(struct picture *picture);

/* Things come into being with their maps and lists in order. */
struct node *picture_add_node(struct picture *picture, const struct uuid *id, const char *name);
struct node *picture_find_node_by_name(const struct picture *picture, const char *name);
/* Of a node without jobs. Its remains go with it. */
void picture_drop_node(struct picture *picture, struct node *node);
struct pool *picture_get_pool(struct picture *picture, const struct uuid *id);
struct migration *picture_add_migration(struct picture *picture, const struct migration_fact *fact);
void picture_drop_migration(struct picture *picture, struct migration *migration);
struct job *picture_add_job(struct picture *picture, const struct job_fact *fact);
void picture_drop_job(struct picture *picture, struct job *job);

/* The one door for a job's place: takes slot and reservation of a node, or gives them back. */
void picture_place_job(struct picture *picture, struct job *job, struct node *node,
                       struct pool *pool, uint64_t reserved_bytes);
void picture_unplace_job(struct picture *picture, struct job *job);
/* Its work has ended: the slot is free, the reservation stays until the directory is gone. */
void picture_end_job(struct picture *picture, struct job *job);
/* A remain holds its part of the pool until it is dropped; allocated_bytes is what it has written. */
struct remain *picture_add_remain(struct picture *picture, struct node *node, struct pool *pool,
                                  const struct remain_fact *fact);
void picture_set_remain(struct picture *picture, struct remain *remain, uint64_t allocated_bytes);
void picture_drop_remain(struct picture *picture, struct remain *remain);
void picture_set_allocated(struct picture *picture, struct job *job, uint64_t allocated_bytes);

/* Pools of a node as it reports them; the pool's base is the least that any of its nodes sees. */
void picture_set_node_pool(struct picture *picture, struct node *node, size_t index,
                           const struct node_pool *reported);
/* The node has only its first `count` pools. */
void picture_cut_node_pools(struct node *node, size_t count);
void picture_judge_pool(struct picture *picture, struct pool *pool);
int64_t pool_available(const struct pool *pool);

void picture_node_gained(struct picture *picture, struct node *node);
void picture_node_heard(struct picture *picture, struct node *node, uint64_t now_ms);
void picture_node_down(struct node *node);
/* As placing looks at it, for a job of `group`. */
void picture_node_view(const struct node *node, const struct group *group,
                       struct place_node *ret_view);

/* Groups. */
struct group *picture_get_group(struct picture *picture, const struct place_need *need,
                                const struct uuid *source_id, const struct uuid *destination_id,
                                bool is_urgent);
void group_free(struct group *group);
void picture_wait(struct group *group, struct job *job);
void picture_unwait(struct job *job);
void picture_drop_group(struct picture *picture, struct group *group);

#endif
