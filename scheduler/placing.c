/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/placing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json/writer.h"
#include "proto/fault.h"
#include "scheduler/advance.h"
#include "scheduler/gauge.h"

#define TELL_AGAIN_MS 2000 /* how often a waiting group's reasons are written at most */
#define NAMED_NODES 10

/* -- a heap of nodes, best on top -------------------------------------------------------------------- */

struct candidate {
    double score;
    struct node *node;
    size_t pool;
};
struct heap {
    struct candidate *items;
    size_t count;
};

static void heap_push(struct heap *heap, struct candidate candidate)
{
    size_t at = heap->count++;
    while (at > 0 && heap->items[(at - 1) / 2].score < candidate.score) {
        heap->items[at] = heap->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->items[at] = candidate;
}

static struct candidate heap_pop(struct heap *heap)
{
    struct candidate top = heap->items[0], last = heap->items[--heap->count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->items[child + 1].score > heap->items[child].score)
            child++;
        if (heap->items[child].score <= last.score)
            break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    heap->items[at] = last;
    return top;
}

/* -- looking at one node ------------------------------------------------------------------------------ */

static void count_ends(const struct node *node, const struct group *group, struct place_view *view)
{
    for (const struct link *at = node->jobs.next; at != &node->jobs; at = at->next) {
        const struct job *job = LIST_ITEM(at, struct job, node_link);
        if (!job->fact.live || job->migration == NULL)
            continue;
        view->same_source += uuid_equal(&job->migration->fact.source_id, &group->source_id);
        view->same_destination +=
            uuid_equal(&job->migration->fact.destination_id, &group->destination_id);
    }
}

/* What all groups of one run share. */
struct run {
    struct tick *tick;
    struct place_weights weights;
    int64_t largest_bytes;
    struct candidate *heap_items; /* room for all nodes */
    size_t room;                  /* jobs that may still be placed */
};

/* False when the node cannot take a job of the group now. */
static bool judge(const struct run *run, const struct group *group, struct node *node,
                  struct candidate *ret_candidate)
{
    struct place_node seen;
    struct candidate candidate = {.node = node};
    picture_node_view(node, group, &seen);
    if (place_fits(&seen, &group->need, &candidate.pool) != PLACE_FITS)
        return false;
    struct place_view view = {
        .node = &seen, .pool = candidate.pool, .largest_bytes = run->largest_bytes};
    count_ends(node, group, &view);
    candidate.score = place_score(&view, &group->need, &run->weights);
    *ret_candidate = candidate;
    return true;
}

static void consider(const struct run *run, const struct group *group, struct node *node,
                     struct heap *heap)
{
    struct candidate candidate;
    if (judge(run, group, node, &candidate))
        heap_push(heap, candidate);
}

static void gather(struct run *run, struct group *group, struct heap *heap)
{
    struct picture *picture = run->tick->picture;
    if (!group->is_new) {
        LIST_EACH(&picture->gained, at)
        {
            consider(run, group, LIST_ITEM(at, struct node, gained_link), heap);
        }
        return;
    }
    LIST_EACH(&picture->heard, at)
    {
        consider(run, group, LIST_ITEM(at, struct node, heard_link), heap);
    }
}

/* -- giving ------------------------------------------------------------------------------------------- */

/* It waits no longer. */
static void untell_wish(struct tick *tick, const struct job *job)
{
    if (job->migration == NULL && !uuid_is_nil(&job->fact.wish_id))
        *TICK_ADD(tick, &tick->wishes) =
            (struct wish_outcome){.id = job->fact.wish_id, .state = "taken"};
}

/* A database that went back may have lost that an attempt was given: its number is not used again, for
 * a worker of it may still write into what carries that number. */
static uint32_t next_attempt(const struct scheduler *scheduler, const struct migration_fact *fact)
{
    return fact->attempt + (fact->created_at <= scheduler->went_back_at ? 2 : 1);
}

void placing_give(struct tick *tick, struct job *job, struct node *node, struct pool *pool,
                  uint64_t reserved_bytes)
{
    picture_place_job(tick->picture, job, node, pool, reserved_bytes);
    if (node->held_for != NULL) {
        node->held_for->held = NULL;
        node->held_for = NULL;
        picture_node_gained(tick->picture, node);
    }
    job->fact.state = JOB_ASSIGNED;
    job->attempts++;
    job->fact.attempt++; /* of jobs of a migration: set right below */
    if (job->migration != NULL)
        job->fact.attempt = next_attempt(tick->scheduler, &job->migration->fact);
    snprintf(job->fact.node_instance, sizeof job->fact.node_instance, "%s", node->instance);
    job->fact.run = 0;
    job->fact.assigned_at = tick->now_us;
    job->fact.due_at = 0;
    job->sent_ms = tick->now_ms;
    job->was_sent_again = false;
    list_append(&tick->picture->sent, &job->sent_link);
    tick_touch_job(tick, job);
    *TICK_ADD(tick, &tick->placed) = job;
    if (job->migration != NULL)
        advance_assigned(tick, job);
    untell_wish(tick, job);
    metric_add(&gauge_placements, 1);
}

/* The node that refused or lost a job takes it again only when no other can. */
static struct candidate choose(struct heap *heap, const struct job *job)
{
    struct candidate best = heap_pop(heap);
    if (heap->count == 0 || !uuid_equal(&best.node->id, &job->avoid))
        return best;
    struct candidate other = heap_pop(heap);
    heap_push(heap, best);
    return other;
}

static struct job *first_waiting(const struct group *group)
{
    return LIST_ITEM(group->jobs.next, struct job, group_link);
}

static void give_one(struct run *run, struct group *group, const struct candidate *chosen)
{
    placing_give(run->tick, first_waiting(group), chosen->node,
                 chosen->node->pools[chosen->pool].pool, group->need.space_bytes);
    run->room--;
}

/* How many jobs each of `count` nodes will get in the end, if the rest of the backlog is alike. */
static size_t share_of(const struct run *run, const struct group *group, size_t count)
{
    size_t share = (group->waiting + run->tick->scheduler->backlog) / count;
    return share < 1 ? 1 : share > PLACING_RUN_MOST ? PLACING_RUN_MOST : share;
}

/* Jobs with equal needs are given in runs, so that one message carries several. Which of them goes
 * first matters to nobody, so each node gets at once what it would get one by one: the best node its
 * share of the backlog, every other one as many as bring its score down to where that left the
 * first. That is a wave; when no node stands above its level, the next one begins. */
static void give_run(struct run *run, struct group *group, struct candidate best, struct heap *heap)
{
    struct candidate next = best;
    bool is_new_wave = best.score - group->level <= group->step / 2, fits = true;
    size_t most = is_new_wave ? share_of(run, group, heap->count + 1) : PLACING_RUN_MOST;
    size_t given = 0;
    for (; given < most && group->waiting > 0 && run->room > 0; given++) {
        double before = next.score;
        if (given > 0 && uuid_equal(&first_waiting(group)->avoid, &best.node->id))
            break;
        give_one(run, group, &next);
        fits = judge(run, group, best.node, &next);
        if (!fits)
            break;
        group->step = before - next.score;
        if (!is_new_wave && next.score - group->level <= group->step / 2)
            break;
    }
    /* A run that the batch cut off ends with the next batches. */
    if (is_new_wave && fits)
        group->level = next.score - group->step * (double)(most - given);
    if (fits)
        heap_push(heap, next);
}

static void try_group(struct run *run, struct group *group)
{
    struct heap heap = {run->heap_items, 0};
    gather(run, group, &heap);
    while (group->waiting > 0 && heap.count > 0 && run->room > 0)
        give_run(run, group, choose(&heap, first_waiting(group)), &heap);
    /* With room left, every node was tried in vain: only what gains from now on matters. */
    if (run->room > 0)
        group->is_new = false;
}

/* -- why a group waits ---------------------------------------------------------------------------------- */

struct reasons {
    size_t counts[PLACE_REASON_COUNT];
    struct buffer named, all;
    size_t total;
};

static void add_node(struct reasons *reasons, const struct node *node, enum place_reason reason)
{
    struct buffer *const texts[] = {&reasons->all, &reasons->named};
    reasons->counts[reason]++;
    for (size_t i = 0; i < (reasons->total < NAMED_NODES ? 2 : 1); i++)
        buffer_printf(texts[i], "%s{\"name\":\"%s\",\"reason\":\"%s\"}",
                      texts[i]->length > 0 ? "," : "", node->name, place_reason_name(reason));
    reasons->total++;
}

static void gather_reasons(const struct picture *picture, const struct group *group,
                           struct reasons *reasons)
{
    size_t at = 0, pool;
    for (struct node *node; (node = map_next(&picture->nodes, &at)) != NULL;) {
        struct place_node seen;
        picture_node_view(node, group, &seen);
        add_node(reasons, node, place_fits(&seen, &group->need, &pool));
    }
}

static const char *count_reasons(struct tick *tick, const struct reasons *reasons)
{
    const char *text = NULL;
    for (size_t i = 0; i < PLACE_REASON_COUNT; i++)
        if (reasons->counts[i] > 0)
            text = arena_printf(tick->arena, "%s%s%zu %s", text == NULL ? "" : text,
                                text == NULL ? "" : ", ", reasons->counts[i],
                                place_reason_name((enum place_reason)i));
    return text == NULL ? "there is no node" : text;
}

/* A test or a refresh has no state of its own to show why it waits: its wish tells. */
static void tell_wishes(struct tick *tick, const struct group *group, const struct reasons *reasons)
{
    const char *counts = NULL;
    LIST_EACH(&group->jobs, at)
    {
        const struct job *job = LIST_ITEM(at, struct job, group_link);
        if (job->migration != NULL || uuid_is_nil(&job->fact.wish_id))
            continue;
        if (counts == NULL)
            counts = count_reasons(tick, reasons);
        *TICK_ADD(tick, &tick->wishes) = (struct wish_outcome){
            .id = job->fact.wish_id,
            .state = "taken",
            .fault = &FAULT_UNAVAILABLE,
            .fault_text = arena_printf(tick->arena, "no node can take it now: %s", counts),
        };
    }
}

static void tell_why(struct tick *tick, struct group *group)
{
    struct reasons reasons = {0};
    struct buffer text = {0};
    gather_reasons(tick->picture, group, &reasons);
    tell_wishes(tick, group, &reasons);
    buffer_append_text(&text, "{\"counts\":{");
    bool comma = false;
    for (size_t i = 0; i < PLACE_REASON_COUNT; i++) {
        if (reasons.counts[i] == 0)
            continue;
        buffer_printf(&text, "%s\"%s\":%zu", comma ? "," : "",
                      place_reason_name((enum place_reason)i), reasons.counts[i]);
        comma = true;
    }
    buffer_printf(&text, "},\"nodes\":[%s]}", reasons.named.length ? reasons.named.data : "");
    *TICK_ADD(tick, &tick->needs) = (struct needs_fact){
        .hash = group->hash,
        .needs_json = group->needs_json,
        .reasons_json = arena_strdup(tick->arena, text.data),
        .all_json = arena_printf(tick->arena, "[%s]", reasons.all.length ? reasons.all.data : ""),
        .tried_at = tick->now_us,
    };
    group->is_told = true;
    group->told_ms = tick->now_ms;
    buffer_fini(&reasons.named);
    buffer_fini(&reasons.all);
    buffer_fini(&text);
}

/* -- holding the best node for one that waited long ----------------------------------------------------- */

static void let_go(struct tick *tick, struct group *group)
{
    if (group->held == NULL)
        return;
    picture_node_gained(tick->picture, group->held);
    group->held->held_for = NULL;
    group->held = NULL;
}

static bool may_serve(const struct node *node, const struct group *group)
{
    struct place_node seen;
    picture_node_view(node, group, &seen);
    return place_could_fit(&seen, &group->need);
}

static void hold_node(struct tick *tick, struct group *group)
{
    const struct job *oldest = LIST_ITEM(group->jobs.next, struct job, group_link);
    uint64_t waited_us =
        tick->now_us > oldest->fact.created_at ? tick->now_us - oldest->fact.created_at : 0;
    struct node *best = NULL;
    int64_t most = INT64_MIN;
    /* A node that went down, or was drained, is held for nobody: another may be. */
    if (group->held != NULL && !may_serve(group->held, group))
        let_go(tick, group);
    if (group->held != NULL || waited_us / 1000 < tick->scheduler->settings->hold_after_ms)
        return;
    LIST_EACH(&tick->picture->heard, at)
    {
        struct node *node = LIST_ITEM(at, struct node, heard_link);
        if (!may_serve(node, group))
            continue;
        for (size_t i = 0; i < node->pool_count; i++)
            if (node->pools[i].pool->fact.available_bytes > most) {
                most = node->pools[i].pool->fact.available_bytes;
                best = node;
            }
    }
    if (best == NULL)
        return;
    group->held = best;
    best->held_for = group;
}

/* -- the run --------------------------------------------------------------------------------------------- */

/* A job that was to begin anew and found no node stands where the reasons are shown. */
static void back_to_pending(struct tick *tick, struct group *group)
{
    LIST_EACH(&group->jobs, at)
    {
        struct migration *migration = LIST_ITEM(at, struct job, group_link)->migration;
        if (migration != NULL && migration->fact.state == MIGRATION_SCHEDULED)
            advance_move(tick, migration, MIGRATION_PENDING, NULL, "no node fits now");
    }
}

static int compare_groups(const void *a, const void *b)
{
    const struct group *left = *(struct group *const *)a, *right = *(struct group *const *)b;
    if (left->is_urgent != right->is_urgent)
        return left->is_urgent ? -1 : 1;
    const struct job *first = LIST_ITEM(left->jobs.next, struct job, group_link);
    const struct job *second = LIST_ITEM(right->jobs.next, struct job, group_link);
    return (first->fact.created_at > second->fact.created_at) -
           (first->fact.created_at < second->fact.created_at);
}

/* Those that wait; those that no longer do are dropped with their reasons. */
static size_t list_groups(struct tick *tick, struct group **groups)
{
    size_t count = 0;
    LIST_EACH(&tick->picture->group_list, at)
    {
        struct group *group = LIST_ITEM(at, struct group, link);
        if (group->waiting > 0) {
            groups[count++] = group;
            continue;
        }
        if (group->is_told)
            *TICK_ADD(tick, &tick->needs_gone) = group->hash;
        group->is_told = false;
        let_go(tick, group);
        if (tick->scheduler->backlog == 0) /* else more of its kind may come soon */
            picture_drop_group(tick->picture, group);
    }
    if (count > 1)
        qsort(groups, count, sizeof(struct group *), compare_groups);
    return count;
}

static int64_t largest_available(const struct picture *picture)
{
    size_t at = 0;
    int64_t largest = 1;
    for (struct pool *pool; (pool = map_next(&picture->pools, &at)) != NULL;)
        if (pool->fact.available_bytes > largest)
            largest = pool->fact.available_bytes;
    return largest;
}

static void forget_gained(struct picture *picture)
{
    LIST_EACH(&picture->gained, at)
    {
        LIST_ITEM(at, struct node, gained_link)->has_gained = false;
        list_remove(at);
    }
}

/* After the database went back nothing is given before the nodes have said what they hold, or were
 * silent for as long as makes them lost. */
static bool awaits_nodes(const struct tick *tick)
{
    const struct scheduler *scheduler = tick->scheduler;
    if (scheduler->went_back_at == 0 ||
        tick->now_ms - scheduler->term_begun_ms >= scheduler->settings->takeover_ms)
        return false;
    LIST_EACH(&tick->picture->heard, at)
    {
        if (!LIST_ITEM(at, struct node, heard_link)->is_told)
            return true;
    }
    return false;
}

bool placing_run(struct tick *tick)
{
    struct picture *picture = tick->picture;
    if (awaits_nodes(tick))
        return false;
    struct group **groups =
        arena_calloc(tick->arena, picture->groups.count + 1, sizeof(struct group *));
    size_t count = list_groups(tick, groups);
    struct run run = {
        .tick = tick,
        .weights = scheduler_settings_weights(tick->scheduler->settings),
        .largest_bytes = largest_available(picture),
        .heap_items = arena_calloc(tick->arena, picture->nodes.count + 1, sizeof(struct candidate)),
        .room = (size_t)tick->scheduler->settings->batch_place,
    };
    bool something_gained = !list_is_empty(&picture->gained);
    for (size_t i = 0; i < count && run.room > 0; i++) {
        bool was_new = groups[i]->is_new;
        if (was_new || something_gained)
            try_group(&run, groups[i]);
        if (groups[i]->waiting == 0 || run.room == 0)
            continue;
        hold_node(tick, groups[i]);
        back_to_pending(tick, groups[i]);
        if (!groups[i]->is_told ||
            ((was_new || something_gained) && tick->now_ms - groups[i]->told_ms >= TELL_AGAIN_MS))
            tell_why(tick, groups[i]);
    }
    /* Ended by the bound: gains must be seen by the groups that were not reached. */
    if (run.room > 0)
        forget_gained(picture);
    return run.room == 0;
}
