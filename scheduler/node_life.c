/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/node_life.h"

#include <string.h>

#include "common/json/writer.h"
#include "proto/fault.h"
#include "scheduler/advance.h"
#include "scheduler/leadership.h"
#include "scheduler/remain.h"

void node_life_tell(struct tick *tick, const struct node *node, const char *kind,
                    enum event_severity severity, const char *text)
{
    CLEANUP(buffer_fini) struct buffer data = {0};
    struct writer writer;
    writer_init(&writer, &data);
    writer_object_begin(&writer, NULL);
    writer_text(&writer, "node", node->name);
    writer_text(&writer, "instance", node->instance);
    writer_object_end(&writer);
    tick_event(tick, "", kind, severity, OWNER_NODE, &node->id, text, data.data);
}

bool node_life_lose_jobs(struct tick *tick, struct node *node, const char *text, bool is_for_ever,
                         struct error *err)
{
    LIST_EACH(&node->jobs, at)
    {
        struct job *job = LIST_ITEM(at, struct job, node_link);
        if (job->fact.live) {
            if (!tick_read_ledgers(tick, &job->fact.owner_id, 1, err))
                return false;
            if (!is_for_ever)
                remain_leave(tick, job);
            advance_requeue(tick, job, &FAULT_NODE_LOST, text, 0);
        } else if (is_for_ever) {
            picture_unplace_job(tick->picture, job);
            job->fact.state = JOB_CLOSED;
            tick_touch_job(tick, job);
        }
    }
    return true;
}

bool node_life_sweep(struct tick *tick, struct error *err)
{
    const struct scheduler *scheduler = tick->scheduler;
    LIST_EACH(&tick->picture->heard, at)
    {
        struct node *node = LIST_ITEM(at, struct node, heard_link);
        if (!decide_is_lost(tick->now_ms, node->heard_ms, leadership_hears_since_ms(scheduler),
                            scheduler->settings->takeover_ms))
            return true; /* the list is in order of hearing */
        picture_node_down(node);
        tick_touch_node(tick, node);
        node_life_tell(tick, node, "node.down", EVENT_WARN,
                       "not heard of for the takeover time: its jobs go to others");
        if (!node_life_lose_jobs(tick, node, "its node was not heard of for the takeover time",
                                 false, err))
            return false;
        for (size_t i = 0; i < node->pool_count; i++)
            picture_judge_pool(tick->picture, node->pools[i].pool);
    }
    return true;
}

void node_life_set_state(struct tick *tick, struct node *node, const char *state,
                         const char *reason)
{
    if (strcmp(node->state, state) != 0)
        node_life_tell(tick, node, "node.state", EVENT_INFO, state);
    node->state = state;
    free(node->reason);
    node->reason = xstrdup(reason == NULL ? "" : reason);
    tick_touch_node(tick, node);
    if (strcmp(state, "enabled") == 0)
        picture_node_gained(tick->picture, node);
}
