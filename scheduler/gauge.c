/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/gauge.h"

#include <stdio.h>

struct metric gauge_placements =
    METRIC_COUNTER("guts_scheduler_placements_total", "Jobs given to nodes");
struct metric gauge_accepts =
    METRIC_COUNTER("guts_scheduler_accepts_total", "Jobs that nodes accepted, committed");
struct metric gauge_batches =
    METRIC_COUNTER("guts_scheduler_batches_total", "Transactions that were committed");
struct metric gauge_batch_time = METRIC_HISTOGRAM("guts_scheduler_batch_seconds",
                                                  "A batch, from its first message to its commit");
struct metric gauge_batch_messages =
    METRIC_COUNTER("guts_scheduler_messages_total", "Messages taken from the queues");
struct metric gauge_queue_time = METRIC_HISTOGRAM("guts_scheduler_due_lag_seconds",
                                                  "How long due work had waited when it was taken");
struct metric gauge_stale =
    METRIC_COUNTER("guts_scheduler_stale_total", "Stale or illegal moves that were dropped");
struct metric gauge_dead =
    METRIC_COUNTER("guts_scheduler_dead_letters_total", "Messages given to the dead-letter queue");
struct metric gauge_trimmed =
    METRIC_COUNTER("guts_scheduler_trimmed_total", "Bad parts that were taken out of reports");
struct metric gauge_replays =
    METRIC_COUNTER("guts_scheduler_replays_total", "Batches that were rolled back and repeated");
struct metric gauge_takeovers =
    METRIC_COUNTER("guts_scheduler_takeovers_total", "Jobs taken from a node that lost them");
struct metric gauge_fenced =
    METRIC_COUNTER("guts_scheduler_fenced_total", "Ledger writes that were refused");
struct metric gauge_published =
    METRIC_COUNTER("guts_scheduler_published_total", "Messages given to the broker");
struct metric gauge_unsent =
    METRIC_COUNTER("guts_scheduler_unsent_total", "Messages that the broker did not take");
struct metric gauge_leader = METRIC_GAUGE("guts_scheduler_leader", "1 while this scheduler leads");
struct metric gauge_nodes_up = METRIC_GAUGE("guts_scheduler_nodes_up", "Nodes that report");
struct metric gauge_jobs = METRIC_GAUGE("guts_scheduler_jobs", "Jobs that are not closed");
struct metric gauge_waiting = METRIC_GAUGE("guts_scheduler_waiting", "Jobs that wait for a node");

static struct metric states[MIGRATION_STATE_COUNT];
static char state_labels[MIGRATION_STATE_COUNT][32];

void gauge_register(void)
{
    struct metric *const all[] = {
        &gauge_placements,     &gauge_accepts,    &gauge_batches,  &gauge_batch_time,
        &gauge_batch_messages, &gauge_queue_time, &gauge_stale,    &gauge_dead,
        &gauge_replays,        &gauge_takeovers,  &gauge_fenced,   &gauge_published,
        &gauge_unsent,         &gauge_leader,     &gauge_nodes_up, &gauge_jobs,
        &gauge_waiting,        &gauge_trimmed,
    };
    for (size_t i = 0; i < COUNT_OF(all); i++)
        metric_register(all[i]);
    for (int i = MIGRATION_PENDING; i < MIGRATION_STATE_COUNT; i++) {
        snprintf(state_labels[i], sizeof state_labels[i], "state=\"%s\"",
                 migration_state_name((enum migration_state)i));
        states[i].name = "guts_migrations";
        states[i].help = "Migrations by state";
        states[i].labels = state_labels[i];
        states[i].type = METRIC_TYPE_GAUGE;
        metric_register(&states[i]);
    }
}

void gauge_picture(const struct picture *picture)
{
    int64_t up = 0, waiting = 0;
    for (const struct link *at = picture->heard.next; at != &picture->heard; at = at->next)
        up++;
    for (const struct link *at = picture->group_list.next; at != &picture->group_list;
         at = at->next)
        waiting += (int64_t)LIST_ITEM(at, struct group, link)->waiting;
    metric_set(&gauge_nodes_up, up);
    metric_set(&gauge_waiting, waiting);
    metric_set(&gauge_jobs, (int64_t)picture->jobs.count);
    for (int i = MIGRATION_PENDING; i < MIGRATION_STATE_COUNT; i++)
        metric_set(&states[i], (int64_t)picture->states[i]);
}
