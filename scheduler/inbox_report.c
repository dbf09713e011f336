/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's report: who it is, what it has, how far its jobs are. The answer renews their leases and
 * tells what is wanted of each; it goes after the commit.
 */
#include <stdio.h>
#include <string.h>

#include "common/json/writer.h"
#include "proto/fault.h"
#include "scheduler/advance.h"
#include "scheduler/due.h"
#include "scheduler/fence.h"
#include "scheduler/gauge.h"
#include "scheduler/gc.h"
#include "scheduler/inbox.h"
#include "scheduler/intern.h"
#include "scheduler/node_life.h"
#include "scheduler/remain.h"

/* -- who it is ------------------------------------------------------------------------------------------ */

static void refuse_name(struct tick *tick, const Guts__V1__NodeReport *report,
                        const struct node *owner)
{
    Guts__V1__NodeControl control = GUTS__V1__NODE_CONTROL__INIT;
    struct error error;
    error_set(&error, &FAULT_NODE_NAME_TAKEN, "the name \"%s\" belongs to a live node on \"%s\"",
              owner->name, owner->host);
    control.node_instance = report->instance;
    control.refused = codec_fault_to(tick->arena, &error);
    tick_send_node(tick, report->name, MESSAGE_NODE_CONTROL, &control.base, false, 0);
    metric_add(&gauge_stale, 1);
}

/* A node that nobody knows says first what it has: who sees it up finds its drivers declared. */
static void ask_for_all(struct tick *tick, const Guts__V1__NodeReport *report)
{
    Guts__V1__NodeControl control = GUTS__V1__NODE_CONTROL__INIT;
    control.node_instance = report->instance;
    control.declare_again = true;
    tick_send_node(tick, report->name, MESSAGE_NODE_CONTROL, &control.base, false, 0);
}

/* Another id under a name: refused while the name's node lives, else it has taken its place. */
static bool settle_name(struct tick *tick, const Guts__V1__NodeReport *report,
                        const struct uuid *id, bool *ret_taken, struct error *err)
{
    struct node *owner = picture_find_node_by_name(tick->picture, report->name);
    *ret_taken = false;
    if (owner == NULL || uuid_equal(&owner->id, id))
        return true;
    if (owner->up) {
        *ret_taken = true;
        refuse_name(tick, report, owner);
        return true;
    }
    node_life_tell(tick, owner, "node.replaced", EVENT_WARN, "another node came under its name");
    if (!node_life_lose_jobs(tick, owner, "its node was replaced", true, err))
        return false;
    *TICK_ADD(tick, &tick->nodes_gone) = owner->id;
    tick_forget_node(tick, owner);
    picture_drop_node(tick->picture, owner);
    return true;
}

static void set_text(char **text, const char *value, bool *changed)
{
    if (strcmp(*text, value) == 0)
        return;
    free(*text);
    *text = xstrdup(value);
    *changed = true;
}

static void set_short(char *text, size_t size, const char *value, bool *changed)
{
    if (strncmp(text, value, size - 1) == 0)
        return;
    snprintf(text, size, "%s", value);
    *changed = true;
}

static bool same_words(const struct place_words *words, char *const *items, size_t count)
{
    if (words->count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!place_words_hold(words, intern(items[i])))
            return false;
    return true;
}

static void set_words(struct place_words *words, char *const *items, size_t count, bool *changed)
{
    if (same_words(words, items, count))
        return;
    words->count = 0;
    for (size_t i = 0; i < count; i++)
        intern_words_add(words, items[i]);
    *changed = true;
}

/* -- what it has ------------------------------------------------------------------------------------------ */

static void set_resources(struct node *node, const Guts__V1__NodeReport *report, bool *changed)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    struct writer writer;
    int64_t slots = 0, memory = 0;
    bool counts_memory = false;
    writer_init(&writer, &text);
    writer_object_begin(&writer, NULL);
    for (size_t i = 0; i < report->n_resources; i++) {
        const Guts__V1__Resource *resource = report->resources[i];
        int64_t total = resource->total > INT64_MAX ? INT64_MAX : (int64_t)resource->total;
        writer_unsigned(&writer, resource->name, resource->total);
        if (strcmp(resource->name, "slot") == 0)
            slots = total;
        if (strcmp(resource->name, "memory") == 0) {
            memory = total;
            counts_memory = true;
        }
    }
    writer_object_end(&writer);
    node->slots_total = slots;
    node->memory_total_bytes = memory;
    node->counts_memory = counts_memory;
    set_text(&node->resources_json, text.data, changed);
}

static void set_pools(struct tick *tick, struct node *node, const Guts__V1__NodeReport *report)
{
    size_t count = report->n_pools;
    for (size_t i = 0; i < count; i++) {
        struct uuid id;
        if (!codec_uuid(report->pools[i]->id, &id))
            continue;
        const struct node_pool seen = {
            .pool = picture_get_pool(tick->picture, &id),
            .path = report->pools[i]->path,
            .capacity_bytes = report->pools[i]->capacity_bytes,
            .used_bytes = report->pools[i]->used_bytes,
            .free_bytes = report->pools[i]->free_bytes,
        };
        picture_set_node_pool(tick->picture, node, i, &seen);
    }
    picture_cut_node_pools(node, count);
}

static void set_node(struct tick *tick, struct node *node, const Guts__V1__NodeReport *report)
{
    bool changed = false;
    set_short(node->name, sizeof node->name, report->name, &changed);
    set_short(node->instance, sizeof node->instance, report->instance, &changed);
    set_short(node->version, sizeof node->version, report->version, &changed);
    set_text(&node->host, report->host, &changed);
    set_words(&node->labels, report->labels, report->n_labels, &changed);
    set_words(&node->source_drivers, report->source_drivers, report->n_source_drivers, &changed);
    set_words(&node->destination_drivers, report->destination_drivers,
              report->n_destination_drivers, &changed);
    set_resources(node, report, &changed);
    if (node->says_draining != report->draining || !node->up)
        changed = true;
    node->says_draining = report->draining;
    set_pools(tick, node, report);
    if (changed || node->pools_changed) {
        picture_node_gained(tick->picture, node);
        tick_touch_node(tick, node);
    }
}

/* A new node, or a known one that came up again or under a new instance. */
static struct node *greet_node(struct tick *tick, const struct uuid *id,
                               const Guts__V1__NodeReport *report)
{
    struct node *node = map_find(&tick->picture->nodes, id);
    if (node == NULL) {
        node = picture_add_node(tick->picture, id, report->name);
        snprintf(node->instance, sizeof node->instance, "%s", report->instance);
        node->first_seen_at = tick->now_us;
        node_life_tell(tick, node, "node.new", EVENT_INFO, report->host);
        tick_touch_node(tick, node);
    } else if (strcmp(node->instance, report->instance) != 0) {
        snprintf(node->instance, sizeof node->instance, "%s", report->instance);
        node->report_number = 0;
        node_life_tell(tick, node, "node.started", EVENT_INFO, report->version);
        tick_touch_node(tick, node);
    } else if (!node->up) {
        node_life_tell(tick, node, "node.up", EVENT_INFO, "");
    }
    return node;
}

/* -- its jobs ---------------------------------------------------------------------------------------------- */

/* Whether the database may lack what this attempt did, because it went back in time: then its entries
 * are news. Of attempts that it knows, each entry has passed the fence, or was refused by it. */
static bool note_lost_attempt(struct tick *tick, const struct uuid *owner,
                              const struct token *token, bool *ret_lost, struct error *err)
{
    if (!due_load_migrations(tick, owner, 1, err))
        return false;
    struct migration *migration = map_find(&tick->picture->migrations, owner);
    bool is_unknown = migration != NULL && token->attempt > migration->fact.attempt;
    *ret_lost = is_unknown ||
                (migration != NULL && migration->fact.created_at <= tick->scheduler->went_back_at);
    if (is_unknown) {
        migration->fact.attempt = token->attempt; /* the next one is newer than all that were */
        tick_touch_migration(tick, migration);
    }
    return true;
}

/* What a lost attempt made for a migration that rests is taken back as if it had come late. */
static void settle_restored(struct tick *tick, const struct uuid *owner)
{
    struct migration *migration = map_find(&tick->picture->migrations, owner);
    if (migration == NULL || migration->job != NULL || !lifecycle_is_final(migration->fact.state) ||
        !owner_ledger_is_open(tick_ledger(tick, owner)))
        return;
    migration->fact.retries = 0;
    migration->fact.due_at = tick->now_us + tick->scheduler->settings->takeover_ms * 1000;
    tick_touch_migration(tick, migration);
}

/* Ledger copies: of full reports and their parts, after this scheduler asked for them. */
static bool restore_ledger(struct tick *tick, const Guts__V1__JobReport *report,
                           const struct job *job, bool is_ours, const struct token *token,
                           struct error *err)
{
    struct uuid owner;
    struct ledger_entry entry;
    enum owner_kind kind =
        job != NULL ? job->fact.owner_kind : codec_owner_kind(report->owner_kind);
    bool is_lost = false;
    if (report->n_ledger == 0 || kind != OWNER_MIGRATION)
        return true;
    if (job != NULL)
        owner = job->fact.owner_id;
    else if (!codec_uuid(report->owner_id, &owner))
        return true;
    if (!is_ours && !note_lost_attempt(tick, &owner, token, &is_lost, err))
        return false;
    if (!is_ours && !is_lost)
        return true;
    if (!tick_read_ledgers(tick, &owner, 1, err))
        return false;
    for (size_t i = 0; i < report->n_ledger; i++)
        if (codec_ledger_entry(report->ledger[i], &entry, err))
            fence_restore(tick, kind, &owner, token, &entry);
    if (is_lost)
        settle_restored(tick, &owner);
    return true;
}

/* What the scheduler wants of one job that a report named. */
static bool judge_job(struct tick *tick, struct node *node, const Guts__V1__JobReport *report,
                      enum wanted *ret_wanted, struct error *err)
{
    struct token token;
    bool is_stored = false;
    if (!codec_token(report->token, &token))
        return error_set(err, &FAULT_MESSAGE_POISON, "a job without token");
    remain_named(tick, node, &token, report->allocated_bytes, report->directory_gone);
    struct job *job = map_find(&tick->picture->jobs, &token.job);
    bool is_ours = job != NULL && job->node == node && job->fact.attempt == token.attempt;
    *ret_wanted = WANTED_FENCED;
    if (!restore_ledger(tick, report, job, is_ours, &token, err))
        return false;
    /* It takes its journal away when it is told to let go: first it declares what stands in it. */
    if (!is_ours && !node->is_told) {
        *ret_wanted = WANTED_UNKNOWN;
        node->stale_jobs += !report->directory_gone;
        return true;
    }
    if (!is_ours) {
        /* Ended and forgotten here: what is left of it there may go. */
        if (job == NULL && (report->result != NULL || report->directory_gone))
            *ret_wanted = WANTED_CLOSE;
        else if (!report->directory_gone)
            node->stale_jobs++;
        return true;
    }
    inbox_accept_job(tick, job);
    job->missed = 0;
    job->seen_number = node->report_number;
    if (job->fact.live)
        inbox_apply_progress(tick, job, report);
    else {
        picture_set_allocated(tick->picture, job, report->allocated_bytes);
        inbox_apply_last_words(tick, job, report);
    }
    if (report->result != NULL && node->is_told &&
        !inbox_apply_result(tick, job, report->result, &is_stored, err))
        return false;
    if (!job->fact.live && report->directory_gone) {
        picture_unplace_job(tick->picture, job);
        job->fact.state = JOB_CLOSED;
        tick_touch_job(tick, job);
    }
    *ret_wanted = job->fact.live ? job->fact.wanted : WANTED_CLOSE;
    return true;
}

/* Jobs that the node should hold and did not name: accepted ones are lost (twice in a row, or by a
 * new instance, so that a report on its way is not taken for one), ended ones are gone. */
static bool judge_absent(struct tick *tick, struct node *node, bool is_new_instance,
                         struct error *err)
{
    LIST_EACH(&node->jobs, at)
    {
        struct job *job = LIST_ITEM(at, struct job, node_link);
        if (job->seen_number == node->report_number || job->fact.state == JOB_ASSIGNED)
            continue;
        if (++job->missed < 2 && !is_new_instance)
            continue;
        if (job->fact.live) {
            if (!tick_read_ledgers(tick, &job->fact.owner_id, 1, err))
                return false;
            advance_requeue(tick, job, &FAULT_NODE_LOST, "its node no longer knows it", 0);
        } else {
            picture_unplace_job(tick->picture, job);
            job->fact.state = JOB_CLOSED;
            tick_touch_job(tick, job);
        }
    }
    return true;
}

/* An assignment to the former instance never arrived, or was dropped: send it to this one. */
static void readdress(struct tick *tick, struct node *node)
{
    LIST_EACH(&node->jobs, at)
    {
        struct job *job = LIST_ITEM(at, struct job, node_link);
        if (!job->fact.live)
            continue;
        snprintf(job->fact.node_instance, sizeof job->fact.node_instance, "%s", node->instance);
        tick_touch_job(tick, job);
        if (job->fact.state != JOB_ASSIGNED)
            continue;
        job->was_sent_again = true;
        *TICK_ADD(tick, &tick->placed) = job;
    }
}

/* -- the answer ---------------------------------------------------------------------------------------------- */

static Guts__V1__JobRenew *renew_to(struct arena *arena, Guts__V1__Token *token, enum wanted wanted)
{
    Guts__V1__JobRenew *renew = arena_alloc(arena, sizeof *renew);
    guts__v1__job_renew__init(renew);
    renew->token = token;
    renew->wanted = (Guts__V1__Wanted)wanted;
    renew->leased = wanted == WANTED_GO;
    return renew;
}

static void answer(struct tick *tick, const struct node *node, const Guts__V1__NodeReport *report,
                   Guts__V1__JobRenew **renewals)
{
    Guts__V1__LeaseRenew message = GUTS__V1__LEASE_RENEW__INIT;
    message.node_instance = report->instance;
    message.report = report->number;
    message.lease_ms = tick->scheduler->settings->lease_ms;
    message.n_jobs = report->n_jobs;
    message.jobs = renewals;
    message.declare_again = !node->is_told && node->parts == 0;
    message.drain = strcmp(node->state, "enabled") != 0;
    message.term = tick->scheduler->term;
    tick_send_node(tick, node->name, MESSAGE_LEASE_RENEW, &message.base, false, 0);
}

/* A node that holds nothing learns nothing from an answer, unless something is wanted of it. */
static bool needs_answer(const struct node *node, const Guts__V1__NodeReport *report)
{
    bool drains = strcmp(node->state, "enabled") != 0;
    return report->n_jobs > 0 || report->full || !node->is_told || drains != report->draining;
}

static bool take_jobs(struct tick *tick, struct node *node, const Guts__V1__NodeReport *report,
                      Guts__V1__JobRenew **renewals, struct error *err)
{
    bool had_stale = node->has_stale;
    node->stale_jobs = 0;
    for (size_t i = 0; i < report->n_jobs; i++) {
        enum wanted wanted = WANTED_FENCED;
        if (!judge_job(tick, node, report->jobs[i], &wanted, err))
            return false;
        renewals[i] = renew_to(tick->arena, report->jobs[i]->token, wanted);
    }
    node->has_stale = node->stale_jobs > 0;
    if (had_stale && !node->has_stale)
        picture_node_gained(tick->picture, node);
    return true;
}

/* A node has told all with a whole report, or with the last of parts of which none was lost: they follow
 * each other without a gap. */
static void count_parts(struct node *node, const Guts__V1__NodeReport *report)
{
    bool goes_on = report->part == node->parts + 1 && report->number == node->report_number + 1;
    bool is_whole = report->full && (report->part == 0 || goes_on);
    node->is_told = node->is_told || is_whole;
    node->parts = report->part == 1 || (goes_on && !report->full) ? report->part : 0;
}

void inbox_forgo_report(struct scheduler *scheduler, const Guts__V1__NodeReport *report)
{
    struct uuid id;
    struct node *node =
        codec_uuid(report->node_id, &id) ? map_find(&scheduler->picture->nodes, &id) : NULL;
    if (node == NULL || !report->full)
        return;
    node->is_told = node->was_told = true;
}

bool inbox_apply_report(struct tick *tick, const Guts__V1__NodeReport *report, struct error *err)
{
    struct uuid id;
    bool is_taken;
    if (!codec_uuid(report->node_id, &id))
        return error_set(err, &FAULT_MESSAGE_POISON, "a report without node");
    if (!settle_name(tick, report, &id, &is_taken, err))
        return false;
    if (is_taken)
        return true;
    const struct node *known = map_find(&tick->picture->nodes, &id);
    bool is_new_instance = known == NULL || strcmp(known->instance, report->instance) != 0;
    if (!is_new_instance && report->number <= known->report_number) {
        metric_add(&gauge_stale, 1);
        return true;
    }
    if (known == NULL && !report->full) {
        ask_for_all(tick, report);
        return true;
    }
    struct node *node = greet_node(tick, &id, report);
    set_node(tick, node, report);
    node->up = true;
    count_parts(node, report);
    node->report_number = report->number;
    node->seen_at = tick->now_us;
    picture_node_heard(tick->picture, node, tick->now_ms);
    tick_saw_node(tick, node);
    if (report->full)
        inbox_apply_drivers(tick, report);
    gc_take_left(tick, node, report);
    Guts__V1__JobRenew **renewals =
        arena_calloc(tick->arena, report->n_jobs + 1, sizeof(Guts__V1__JobRenew *));
    if (!take_jobs(tick, node, report, renewals, err) ||
        !judge_absent(tick, node, is_new_instance, err))
        return false;
    remain_judge(tick, node, is_new_instance);
    if (is_new_instance)
        readdress(tick, node);
    /* After its jobs, so that space and what they allocated are of one and the same report. */
    for (size_t i = 0; i < node->pool_count; i++)
        picture_judge_pool(tick->picture, node->pools[i].pool);
    if (needs_answer(node, report))
        answer(tick, node, report, renewals);
    return true;
}
