/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/fence.h"

#include <string.h>

#include "scheduler/decide.h"
#include "scheduler/gauge.h"

static struct ledger_fact *find_entry(const struct owner_ledger *ledger,
                                      const struct ledger_entry *entry)
{
    for (size_t i = 0; i < ledger->entries.count; i++) {
        struct ledger_fact *fact = ledger->entries.items[i];
        if (fact->end == entry->end && strcmp(fact->kind, entry->kind) == 0 &&
            strcmp(fact->key, entry->key) == 0)
            return fact;
    }
    return NULL;
}

static struct ledger_fact *add_entry(struct tick *tick, struct owner_ledger *ledger,
                                     enum owner_kind owner_kind, const struct ledger_entry *entry)
{
    struct arena *arena = tick->arena;
    struct ledger_fact *fact = arena_alloc(arena, sizeof *fact);
    uint32_t position = 1;
    for (size_t i = 0; i < ledger->entries.count; i++)
        if (ledger->entries.items[i]->position >= position)
            position = ledger->entries.items[i]->position + 1;
    *fact = (struct ledger_fact){
        .owner_id = ledger->owner,
        .owner_kind = owner_kind,
        .end = entry->end,
        .kind = arena_strdup(arena, entry->kind),
        .key = arena_strdup(arena, entry->key),
        .position = position,
        .external_id = "",
        .prior_json = arena_strdup(arena, entry->prior_json ? entry->prior_json : ""),
        .detail = "",
        .created_at = tick->now_us,
    };
    *TICK_ADD(tick, &ledger->entries) = fact;
    return fact;
}

static void store(struct tick *tick, struct ledger_fact *fact, const struct ledger_entry *entry,
                  const struct token *token)
{
    bool begins_again = entry->state == LEDGER_INTENDED && fact->state != LEDGER_INTENDED;
    fact->state = entry->state;
    if (begins_again)
        fact->external_id = "";
    if (entry->external_id != NULL && entry->external_id[0] != '\0')
        fact->external_id = arena_strdup(tick->arena, entry->external_id);
    fact->detail = arena_strdup(tick->arena, entry->detail ? entry->detail : "");
    fact->token = *token;
    fact->updated_at = tick->now_us;
    for (size_t i = 0; i < tick->ledger.count; i++)
        if (tick->ledger.items[i] == fact)
            return;
    *TICK_ADD(tick, &tick->ledger) = fact;
}

/* -- the answer ------------------------------------------------------------------------------------ */

static void answer(struct tick *tick, const char *node_name, const struct ledger_write *write,
                   enum fence verdict, const struct ledger_fact *fact)
{
    static const Guts__V1__LedgerVerdict verdicts[] = {
        [FENCE_STORED] = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED,
        [FENCE_FENCED] = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_FENCED,
        [FENCE_STOP] = GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STOP,
    };
    Guts__V1__LedgerAnswer message = GUTS__V1__LEDGER_ANSWER__INIT;
    message.node_instance = (char *)write->node_instance;
    message.token = codec_token_to(tick->arena, &write->token);
    message.number = write->number;
    message.verdict = verdicts[verdict];
    struct ledger_entry entry = write->entry;
    if (fact != NULL)
        entry = (struct ledger_entry){
            .end = fact->end,
            .kind = fact->kind,
            .key = fact->key,
            .state = fact->state,
            .external_id = fact->external_id,
            .prior_json = fact->prior_json,
            .detail = fact->detail,
            .order = fact->position,
            .attempt = fact->token.attempt,
        };
    message.entry = codec_ledger_entry_to(tick->arena, &entry);
    tick_send_node(tick, node_name, MESSAGE_LEDGER_ANSWER, &message.base, false, 0);
}

void fence_write(struct tick *tick, const struct ledger_write *write)
{
    const struct node *node = map_find(&tick->picture->nodes, &write->node_id);
    struct job *job = map_find(&tick->picture->jobs, &write->token.job);
    struct ledger_fact *fact = NULL;
    if (node == NULL || strcmp(node->instance, write->node_instance) != 0) {
        metric_add(&gauge_stale,
                   1); /* the node is not known under this instance: it reports first */
        return;
    }
    const struct fence_view view = {
        .is_live = job != NULL && job->fact.live && job->node == node &&
                   (job->fact.state == JOB_ACCEPTED || job->fact.state == JOB_ASSIGNED),
        .attempt = job == NULL ? 0 : job->fact.attempt,
        .kind = job == NULL ? JOB_UNKNOWN : job->fact.kind,
        .wanted = job == NULL ? WANTED_UNKNOWN : job->fact.wanted,
    };
    enum fence verdict = decide_fence(&view, write->token.attempt, write->entry.state);
    /* A run that has ended intends nothing more; what it had done is written down. */
    if (verdict == FENCE_STORED && write->token.run < job->fact.run &&
        write->entry.state == LEDGER_INTENDED)
        verdict = FENCE_FENCED;
    if (verdict == FENCE_FENCED)
        metric_add(&gauge_fenced, 1);
    if (verdict == FENCE_STORED) {
        struct owner_ledger *ledger = tick_ledger(tick, &job->fact.owner_id);
        fact = find_entry(ledger, &write->entry);
        if (fact == NULL)
            fact = add_entry(tick, ledger, job->fact.owner_kind, &write->entry);
        if (fact->state == LEDGER_UNKNOWN || decide_entry(fact->state, fact->token.attempt,
                                                          write->entry.state, write->token.attempt))
            store(tick, fact, &write->entry, &write->token);
        if (write->token.run > job->fact.run) {
            job->fact.run = write->token.run;
            tick_touch_job(tick, job);
        }
    }
    answer(tick, node->name, write, verdict, fact);
}

void fence_restore(struct tick *tick, enum owner_kind owner_kind, const struct uuid *owner,
                   const struct token *token, const struct ledger_entry *entry)
{
    struct owner_ledger *ledger = tick_ledger(tick, owner);
    struct ledger_fact *fact = find_entry(ledger, entry);
    uint32_t attempt = entry->attempt != 0 ? entry->attempt : token->attempt;
    const struct token writer = {token->job, attempt, token->run};
    if (fact == NULL)
        store(tick, add_entry(tick, ledger, owner_kind, entry), entry, &writer);
    else if (attempt == fact->token.attempt && fact->state != entry->state &&
             decide_entry(fact->state, fact->token.attempt, entry->state, attempt))
        store(tick, fact, entry, &writer);
}
