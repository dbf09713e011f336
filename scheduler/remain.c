/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/remain.h"

void remain_leave(struct tick *tick, const struct job *job)
{
    /* Before it was accepted, no lease was given: nothing of it writes. */
    if (job->node == NULL || job->pool == NULL || job->fact.state != JOB_ACCEPTED)
        return;
    const struct remain_fact fact = {
        .job_id = job->fact.id,
        .attempt = job->fact.attempt,
        .node_id = job->node->id,
        .pool_id = job->pool->fact.id,
        .reserved_bytes = job->fact.reserved_bytes,
        .allocated_bytes = job->fact.allocated_bytes,
        .left_at = tick->now_us,
    };
    struct remain *remain = picture_add_remain(tick->picture, job->node, job->pool, &fact);
    remain->seen_number = job->node->report_number;
    *TICK_ADD(tick, &tick->remains) = fact;
}

static void drop(struct tick *tick, struct remain *remain)
{
    *TICK_ADD(tick, &tick->remains_gone) = remain->fact;
    picture_drop_remain(tick->picture, remain);
}

void remain_named(struct tick *tick, struct node *node, const struct token *token,
                  uint64_t allocated_bytes, bool directory_gone)
{
    LIST_EACH(&node->remains, at)
    {
        struct remain *remain = LIST_ITEM(at, struct remain, link);
        if (remain->fact.attempt != token->attempt ||
            !uuid_equal(&remain->fact.job_id, &token->job))
            continue;
        remain->seen_number = node->report_number;
        remain->missed = 0;
        if (directory_gone) {
            drop(tick, remain);
        } else if (remain->fact.allocated_bytes != allocated_bytes) {
            picture_set_remain(tick->picture, remain, allocated_bytes);
            *TICK_ADD(tick, &tick->remains) = remain->fact;
        }
        return;
    }
}

void remain_judge(struct tick *tick, struct node *node, bool is_new_instance)
{
    LIST_EACH(&node->remains, at)
    {
        struct remain *remain = LIST_ITEM(at, struct remain, link);
        if (remain->seen_number != node->report_number &&
            (++remain->missed >= 2 || is_new_instance))
            drop(tick, remain);
    }
}
