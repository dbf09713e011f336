/* SPDX-License-Identifier: Apache-2.0
 *
 * What lies in conversion spaces and no node holds: a wish has a node look, and remove what was found
 * and shown before. The node is asked until a report of it answers; nothing of that need be stored, for
 * the wish stays open until then.
 */
#include <jansson.h>
#include <string.h>

#include "common/json/writer.h"
#include "proto/fault.h"
#include "proto/topology.h"
#include "scheduler/decide.h"
#include "scheduler/gc.h"
#include "scheduler/remain.h"

#define KIND "directory"
#define LEFT_MOST 256 /* a report that tells of so many does not tell of all */

/* -- judging ---------------------------------------------------------------------------------------------- */

/* "NODE/JOB-ATTEMPT" */
static bool read_name(struct arena *arena, const char *name, const char **ret_node,
                      struct token *ret_token)
{
    const char *slash = strchr(name, '/'), *dash = strrchr(name, '-');
    if (slash == NULL || dash == NULL || dash < slash)
        return false;
    const char *job = arena_printf(arena, "%.*s", (int)(dash - slash - 1), slash + 1);
    *ret_node = arena_printf(arena, "%.*s", (int)(slash - name), name);
    ret_token->attempt = (uint32_t)strtoul(dash + 1, NULL, 10);
    return topology_node_name_is_valid(*ret_node) && uuid_parse(job, &ret_token->job);
}

static bool is_left(struct tick *tick, const struct node *teller, const char *name,
                    struct job **ret_job)
{
    const char *node_name;
    struct token token;
    if (!read_name(tick->arena, name, &node_name, &token))
        return false;
    struct job *job = map_find(&tick->picture->jobs, &token.job);
    const struct node *node = picture_find_node_by_name(tick->picture, node_name);
    const struct left_view view = {
        .is_current = job != NULL && job->fact.live && job->fact.attempt == token.attempt,
        .is_tellers = node == teller,
        .is_up = node != NULL && node->up,
    };
    *ret_job = job;
    return decide_is_left(&view);
}

/* -- a report that answers ----------------------------------------------------------------------------------- */

static const char *detail_of(struct tick *tick, const Guts__V1__LeftDirectory *left)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    struct writer writer;
    writer_init(&writer, &text);
    writer_object_begin(&writer, NULL);
    writer_text(&writer, "pool", left->path);
    writer_unsigned(&writer, "allocated_bytes", left->allocated_bytes);
    writer_object_end(&writer);
    return arena_strdup(tick->arena, text.data);
}

static bool is_told(const Guts__V1__NodeReport *report, const struct node *of,
                    const struct remain *remain)
{
    CLEANUP(xfreep)
    char *name =
        xasprintf("%s/%s-%u", of->name, UUID_TEXT(&remain->fact.job_id), remain->fact.attempt);
    for (size_t i = 0; i < report->n_left; i++)
        if (strcmp(report->left[i]->name, name) == 0)
            return true;
    return false;
}

static bool holds_pool(const struct node *node, const struct pool *pool)
{
    for (size_t i = 0; i < node->pool_count; i++)
        if (node->pools[i].pool == pool)
            return true;
    return false;
}

/* What nodes that are away had reserved for directories which this one, who sees their pool, does not
 * find there. */
static void end_remains(struct tick *tick, const struct node *teller,
                        const Guts__V1__NodeReport *report)
{
    size_t at = 0;
    for (struct node *node; (node = map_next(&tick->picture->nodes, &at)) != NULL;)
        LIST_EACH(&node->remains, link)
        {
            const struct remain *remain = LIST_ITEM(link, struct remain, link);
            const struct token token = {remain->fact.job_id, remain->fact.attempt, 0};
            if (!node->up && holds_pool(teller, remain->pool) && !is_told(report, node, remain))
                remain_named(tick, node, &token, 0, true);
        }
}

void gc_take_left(struct tick *tick, struct node *node, const Guts__V1__NodeReport *report)
{
    struct stray *strays = arena_calloc(tick->arena, report->n_left + 1, sizeof *strays);
    size_t count = 0;
    if (report->look.len == 0 || !codec_uuid(report->look, &node->looked))
        return;
    if (report->n_left < LEFT_MOST)
        end_remains(tick, node, report);
    for (size_t i = 0; i < report->n_left; i++) {
        const Guts__V1__LeftDirectory *left = report->left[i];
        struct uuid owner = {0};
        struct job *job;
        if (!is_left(tick, node, left->name, &job))
            continue;
        if (job != NULL)
            owner = job->fact.owner_id;
        else if (left->owner_id.len > 0 && !codec_uuid(left->owner_id, &owner))
            continue;
        strays[count++] = (struct stray){KIND, left->name, owner, detail_of(tick, left)};
    }
    *TICK_ADD(tick, &tick->strays) =
        (struct stray_page){OWNER_NODE, node->id, tick->now_us, strays, count};
    *TICK_ADD(tick, &tick->sweeps) =
        (struct sweep_fact){SWEEP_STRAYS, {node->id, "", tick->now_us, tick->now_us}};
}

/* -- a wish ---------------------------------------------------------------------------------------------------- */

/* Of those that were shown, the ones that are still nobody's. */
static bool name_removed(struct tick *tick, const struct node *node, Guts__V1__NodeControl *control,
                         struct error *err)
{
    struct stray *strays;
    size_t count;
    struct job *job;
    if (!stray_load(tick->scheduler->db, tick->arena, &node->id, LEFT_MOST, &strays, &count, err))
        return false;
    control->remove = arena_calloc(tick->arena, count + 1, sizeof *control->remove);
    for (size_t i = 0; i < count; i++)
        if (is_left(tick, node, strays[i].key, &job))
            control->remove[control->n_remove++] = arena_strdup(tick->arena, strays[i].key);
    return true;
}

bool gc_ask_node(struct tick *tick, struct node *node, const struct wish_due *wish,
                 bool *ret_answered, struct error *err)
{
    Guts__V1__NodeControl control = GUTS__V1__NODE_CONTROL__INIT;
    *ret_answered = uuid_equal(&node->looked, &wish->id);
    if (*ret_answered)
        return true;
    control.node_instance = node->instance;
    control.look = codec_uuid_to(&wish->id);
    if (gc_asks_to_remove(wish) && !name_removed(tick, node, &control, err))
        return false;
    tick_send_node(tick, node->name, MESSAGE_NODE_CONTROL, &control.base, false, 0);
    return true;
}
