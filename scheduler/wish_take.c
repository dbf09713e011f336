/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/wish_take.h"

#include <jansson.h>
#include <string.h>

#include "common/base/crashpoint.h"
#include "proto/fault.h"
#include "scheduler/advance.h"
#include "scheduler/due.h"
#include "scheduler/gauge.h"
#include "scheduler/gc.h"
#include "scheduler/node_life.h"
#include "scheduler/work.h"

#define LOOK_AGAIN_US 1000000u /* a wish whose owner is busy */
#define NODE_ASK_AGAIN_US 300000u
#define NODE_ANSWER_MOST_US 60000000u

static void settle(struct tick *tick, const struct wish_due *wish, const char *state,
                   const struct error *err)
{
    *TICK_ADD(tick, &tick->wishes) = (struct wish_outcome){
        .id = wish->id,
        .state = state,
        .fault = err == NULL ? NULL : err->fault,
        .fault_text = err == NULL ? NULL : arena_strdup(tick->arena, err->text),
        .finished_at = tick->now_us,
    };
}

static void postpone(struct tick *tick, const struct wish_due *wish)
{
    *TICK_ADD(tick, &tick->wishes) = (struct wish_outcome){
        .id = wish->id, .state = "open", .due_at = tick->now_us + LOOK_AGAIN_US};
}

/* -- migrations -------------------------------------------------------------------------------------- */

static bool find_verb(const char *name, enum migration_verb *ret_verb)
{
    for (int verb = VERB_CANCEL; verb <= VERB_DELETE; verb++)
        if (strcmp(migration_verb_name((enum migration_verb)verb), name) == 0) {
            *ret_verb = (enum migration_verb)verb;
            return true;
        }
    return false;
}

/* By a wish that was taken in the same tick. */
static bool is_deleted(const struct tick *tick, const struct uuid *id)
{
    for (size_t i = 0; i < tick->migrations_gone.count; i++)
        if (uuid_equal(&tick->migrations_gone.items[i], id))
            return true;
    return false;
}

static void take_for_migration(struct tick *tick, const struct wish_due *wish)
{
    struct error err = {0};
    enum migration_verb verb;
    struct migration *migration = map_find(&tick->picture->migrations, &wish->owner_id);
    if (migration == NULL || is_deleted(tick, &wish->owner_id))
        error_set(&err, &FAULT_NOT_FOUND, "there is no such migration");
    else if (!find_verb(wish->verb, &verb))
        error_set(&err, &FAULT_INVALID, "\"%s\" is no verb for a migration", wish->verb);
    else if (migration->job != NULL && migration->fact.state != MIGRATION_FAILED &&
             lifecycle_is_resting(migration->fact.state)) {
        postpone(tick, wish); /* a settle check is under way */
        return;
    } else if (advance_verb(tick, migration, verb, &wish->id, &err)) {
        settle(tick, wish, "done", NULL);
        return;
    }
    settle(tick, wish, "refused", &err);
}

/* -- sources and destinations ------------------------------------------------------------------------ */

static bool has_live_job(const struct picture *picture, const struct uuid *owner)
{
    size_t at = 0;
    for (struct job *job; (job = map_next(&picture->jobs, &at)) != NULL;)
        if (job->fact.live && uuid_equal(&job->fact.owner_id, owner))
            return true;
    return false;
}

static enum job_kind job_for(const struct wish_due *wish)
{
    if (strcmp(wish->verb, "test") == 0)
        return JOB_TEST;
    if (strcmp(wish->verb, "refresh") == 0)
        return wish->owner_kind == OWNER_SOURCE ? JOB_DISCOVER : JOB_CATALOG;
    if (strcmp(wish->verb, "gc") == 0)
        return JOB_GC;
    return JOB_UNKNOWN;
}

static bool take_for_endpoint(struct tick *tick, const struct wish_due *wish, struct error *err)
{
    struct endpoint_fact *rows;
    size_t count;
    struct error refusal;
    enum end end = wish->owner_kind == OWNER_SOURCE ? END_SOURCE : END_DESTINATION;
    enum job_kind kind = job_for(wish);
    if (has_live_job(tick->picture, &wish->owner_id)) {
        postpone(tick, wish);
        return true;
    }
    if (!endpoint_fact_load(tick->scheduler->db, tick->arena, end, &wish->owner_id, 1, &rows,
                            &count, err))
        return false;
    if (count == 0) {
        error_set(&refusal, &FAULT_NOT_FOUND, "it was deleted");
        settle(tick, wish, "refused", &refusal);
    } else if (kind == JOB_UNKNOWN) {
        error_set(&refusal, &FAULT_INVALID, "\"%s\" is no verb for it", wish->verb);
        settle(tick, wish, "refused", &refusal);
    } else {
        struct wish_due taken = *wish;
        if (kind == JOB_GC && !gc_request(tick, wish, &taken.arguments_json, err))
            return false;
        work_for_endpoint(tick, &rows[0], wish->owner_kind, kind, &taken);
        *TICK_ADD(tick, &tick->wishes) = (struct wish_outcome){.id = wish->id, .state = "taken"};
    }
    return true;
}

/* -- nodes ------------------------------------------------------------------------------------------- */

static const char *node_state_for(const char *verb)
{
    static const char *const words[][2] = {
        {"enable", "enabled"}, {"drain", "draining"}, {"disable", "disabled"}};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i][0], verb) == 0)
            return words[i][1];
    return NULL;
}

static void set_node_state(struct tick *tick, struct node *node, const struct wish_due *wish,
                           const char *state)
{
    json_t *arguments =
        wish->arguments_json == NULL ? NULL : json_loads(wish->arguments_json, 0, NULL);
    const char *reason = json_string_value(json_object_get(arguments, "reason"));
    node_life_set_state(tick, node, state, strcmp(state, "enabled") == 0 ? "" : reason);
    json_decref(arguments);
}

static bool delete_node(struct tick *tick, struct node *node, struct error *ret_refusal,
                        struct error *err)
{
    if (node->up)
        return error_set(ret_refusal, &FAULT_IN_USE, "the node reports: stop it first");
    if (!node_life_lose_jobs(tick, node, "its node was deleted", true, err))
        return false;
    node_life_tell(tick, node, "node.deleted", EVENT_INFO, "");
    *TICK_ADD(tick, &tick->nodes_gone) = node->id;
    tick_forget_node(tick, node);
    picture_drop_node(tick->picture, node);
    return true;
}

/* The node is asked again until it answers, or is gone, or does not know how. */
static bool look_into_space(struct tick *tick, struct node *node, const struct wish_due *wish,
                            bool *ret_waits, struct error *ret_refusal, struct error *err)
{
    bool is_answered = false;
    *ret_waits = false;
    if (!node->up)
        return error_set(ret_refusal, &FAULT_NODE_LOST, "the node does not report");
    if (tick->now_us > wish->created_at + NODE_ANSWER_MOST_US)
        return error_set(ret_refusal, &FAULT_TIMEOUT, "the node did not answer");
    if (!gc_ask_node(tick, node, wish, &is_answered, err))
        return false;
    *ret_waits = !is_answered;
    if (*ret_waits)
        *TICK_ADD(tick, &tick->wishes) = (struct wish_outcome){
            .id = wish->id, .state = "open", .due_at = tick->now_us + NODE_ASK_AGAIN_US};
    return true;
}

static bool take_for_node(struct tick *tick, const struct wish_due *wish, struct error *err)
{
    struct error refusal = {0};
    struct node *node = map_find(&tick->picture->nodes, &wish->owner_id);
    const char *state = node_state_for(wish->verb);
    bool waits = false;
    if (node == NULL)
        error_set(&refusal, &FAULT_NOT_FOUND, "there is no such node");
    else if (state != NULL)
        set_node_state(tick, node, wish, state);
    else if (strcmp(wish->verb, "gc") == 0) {
        if (!look_into_space(tick, node, wish, &waits, &refusal, err) && refusal.fault == NULL)
            return false;
        if (waits)
            return true;
    } else if (strcmp(wish->verb, "delete") != 0)
        error_set(&refusal, &FAULT_INVALID, "\"%s\" is no verb for a node", wish->verb);
    else if (!delete_node(tick, node, &refusal, err) && refusal.fault == NULL)
        return false;
    settle(tick, wish, refusal.fault == NULL ? "done" : "refused",
           refusal.fault == NULL ? NULL : &refusal);
    return true;
}

/* -- all --------------------------------------------------------------------------------------------- */

static bool take(struct tick *tick, const struct wish_due *wish, struct error *err)
{
    struct error refusal;
    if (tick->now_us > wish->created_at)
        metric_observe_us(&gauge_queue_time, tick->now_us - wish->created_at);
    switch (wish->owner_kind) {
    case OWNER_MIGRATION:
        take_for_migration(tick, wish);
        return true;
    case OWNER_SOURCE:
    case OWNER_DESTINATION:
        return take_for_endpoint(tick, wish, err);
    case OWNER_NODE:
        return take_for_node(tick, wish, err);
    default:
        error_set(&refusal, &FAULT_INVALID, "nothing of that kind takes wishes");
        settle(tick, wish, "refused", &refusal);
        return true;
    }
}

bool wish_take_due(struct tick *tick, size_t most, size_t *ret_taken, struct error *err)
{
    struct wish_due *wishes;
    size_t count, owner_count = 0;
    if (!wish_outcome_load_due(tick->scheduler->db, tick->arena, tick->now_us, most, &wishes,
                               &count, err))
        return false;
    struct uuid *owners = arena_calloc(tick->arena, count + 1, sizeof *owners);
    for (size_t i = 0; i < count; i++)
        if (wishes[i].owner_kind == OWNER_MIGRATION)
            owners[owner_count++] = wishes[i].owner_id;
    if (!due_load_migrations(tick, owners, owner_count, err) ||
        !tick_read_ledgers(tick, owners, owner_count, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (take(tick, &wishes[i], err))
            crashpoint("wish_taken", wishes[i].verb);
        else
            return false;
    *ret_taken = count;
    return true;
}

bool wish_shelve_due(struct tick *tick, const struct error *reason, struct error *err)
{
    struct wish_due *wishes;
    size_t count;
    if (!wish_outcome_load_due(tick->scheduler->db, tick->arena, tick->now_us, 1, &wishes, &count,
                               err))
        return false;
    if (count == 0)
        return true;
    settle(tick, &wishes[0], "failed", reason);
    tick_event(tick, wishes[0].project, "wish.failed", EVENT_ERROR, wishes[0].owner_kind,
               &wishes[0].owner_id, reason->text, NULL);
    return true;
}
