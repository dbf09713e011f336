/* SPDX-License-Identifier: Apache-2.0
 *
 * What node.c, node_inbox.c, node_left.c and node_report.c share. Nobody else includes it.
 */
#ifndef GUTS_MIGRATION_NODE_INSIDE_H
#define GUTS_MIGRATION_NODE_INSIDE_H

#include "migration/held.h"
#include "migration/node.h"
#include "migration/pool.h"
#include "proto/codec.h"
#include "proto/topology.h"

struct node {
    struct node_plan plan;
    struct held_context context;
    struct uuid id;
    char instance[UUID_TEXT_SIZE];
    char host[256];
    int lock_fd;
    int epoll_fd; /* gathers the signals and the workers' descriptors */
    struct bus_queue queue;
    struct pool *pools;
    size_t pool_count;
    struct held **jobs;
    size_t job_count;

    struct lease_clock sent;
    uint64_t report_number;
    uint64_t reported_ms;
    bool report_soon;
    bool full; /* the next report declares everything */
    bool draining;
    uint64_t lease_ms;    /* 0: not told yet */
    struct uuid look;     /* the next report tells what is left in conversion spaces; nil: no */
    struct error refused; /* fault NULL: we may work */
    uint64_t refused_until_ms;
};

/* node_inbox.c */
void node_receive(struct node *node, const struct bus_message *message);
/* node_report.c */
void node_report(struct node *node, uint64_t now_ms);
/* What became of the assignments of one message. */
struct node_verdicts {
    struct arena *arena;
    Guts__V1__Token **accepted;
    size_t accepted_count;
    Guts__V1__Refusal **refused;
    size_t refused_count;
};
void node_tell_verdicts(struct node *node, const struct node_verdicts *verdicts);
void node_tell_finished(struct node *node, struct held *held);
void node_pass_frame(struct node *node, struct held *held, enum channel_kind kind, const void *data,
                     size_t length);
void node_take_fate(struct node *node, uint64_t cookie, enum bus_fate fate);
/* node_left.c */
#define NODE_LEFT_MOST 256 /* in one report */
void node_look(struct node *node, const Guts__V1__NodeControl *control);
void node_put_left(const struct node *node, struct arena *arena, Guts__V1__NodeReport *report);
/* node.c */
struct held *node_find(const struct node *node, const struct uuid *job);
void node_add(struct node *node, struct held *take_held);
void node_forget(struct node *node, struct held *held);

/* Counters (node.c). */
struct metric;
extern struct metric metric_reports, metric_accepted, metric_refused, metric_finished,
    metric_crashed, metric_fenced, metric_rejected, metric_held;

#endif
