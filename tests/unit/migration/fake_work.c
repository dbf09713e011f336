/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_work.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define ENTRIES_MOST 256

struct work {
    struct fake_work plan;
    struct token token;
    struct arena *arena;
    struct ledger_entry entries[ENTRIES_MOST];
    size_t count;
    bool cancelled;
    bool fenced;
    bool partial;
    char note[512];
};

struct work *fake_work_new(const struct fake_work *plan)
{
    struct work *work = xcalloc(1, sizeof(*work));
    work->plan = *plan;
    work->token = (struct token){.job = uuid_new(), .attempt = plan->attempt, .run = 1};
    work->arena = arena_new();
    return work;
}

void fake_work_free(struct work *work)
{
    arena_free(work->arena);
    free(work);
}

void fake_work_cancel(struct work *work)
{
    work->cancelled = true;
}

void fake_work_fence(struct work *work)
{
    work->fenced = true;
}

void fake_work_set_attempt(struct work *work, uint32_t attempt)
{
    work->token.attempt = attempt;
}

bool fake_work_is_partial(const struct work *work)
{
    return work->partial;
}

const char *fake_work_note(const struct work *work)
{
    return work->note;
}

const struct token *work_token(const struct work *work)
{
    return &work->token;
}

const struct uuid *work_owner(const struct work *work)
{
    return &work->plan.owner;
}

const char *work_directory(const struct work *work)
{
    return work->plan.directory;
}

uint64_t work_end_bytes(const struct work *work)
{
    return 0;
}

const struct roots *work_roots(const struct work *work)
{
    return work->plan.roots;
}

struct arena *work_arena(const struct work *work)
{
    return work->arena;
}

const json_t *work_options(const struct work *work)
{
    return work->plan.options;
}

bool work_go_on(struct work *work, struct error *err)
{
    return !work->cancelled || error_set(err, &FAULT_CANCELLED, "cancelled");
}

bool work_is_leased(const struct work *work)
{
    return !work->fenced;
}

bool work_wait_ms(struct work *work, uint64_t duration_ms, struct error *err)
{
    return work_go_on(work, err);
}

const struct ledger_entry *work_ledger_find(const struct work *work, enum end end, const char *kind,
                                            const char *key)
{
    for (size_t i = 0; i < work->count; i++) {
        const struct ledger_entry *entry = &work->entries[i];
        if (entry->end == end && strcmp(entry->kind, kind) == 0 && strcmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

bool work_intend(struct work *work, const struct ledger_entry *entry,
                 const struct ledger_entry **ret_stored, struct error *err)
{
    if (!work_go_on(work, err))
        return false;
    struct ledger_entry *stored = (struct ledger_entry *)(uintptr_t)work_ledger_find(
        work, entry->end, entry->kind, entry->key);
    if (stored == NULL) {
        assert(work->count < ENTRIES_MOST);
        stored = &work->entries[work->count++];
        stored->end = entry->end;
        stored->kind = arena_strdup(work->arena, entry->kind);
        stored->key = arena_strdup(work->arena, entry->key);
        stored->prior_json = arena_strdup(work->arena, entry->prior_json ? entry->prior_json : "");
        stored->external_id = "";
        stored->detail = "";
        stored->state = LEDGER_INTENDED;
        stored->order = (uint32_t)work->count;
    } else if (stored->state != LEDGER_MADE) {
        stored->state = LEDGER_INTENDED;
    }
    stored->attempt = work->token.attempt;
    *ret_stored = stored;
    return true;
}

bool work_fence(struct work *work, struct error *err)
{
    return !work->fenced || error_set(err, &FAULT_FENCED, "fenced");
}

bool work_made(struct work *work, const struct ledger_entry *stored, const char *external_id,
               struct error *err)
{
    struct ledger_entry *entry = (struct ledger_entry *)(uintptr_t)stored;
    entry->state = LEDGER_MADE;
    entry->external_id = arena_strdup(work->arena, external_id);
    return true;
}

bool work_settle(struct work *work, const struct ledger_entry *stored, enum ledger_state state,
                 const char *detail, struct error *err)
{
    struct ledger_entry *entry = (struct ledger_entry *)(uintptr_t)stored;
    entry->state = state;
    entry->detail = arena_strdup(work->arena, detail != NULL ? detail : "");
    return true;
}

size_t work_ledger_count(const struct work *work)
{
    return work->count;
}

const struct ledger_entry *work_ledger_get(const struct work *work, size_t index)
{
    return &work->entries[index];
}

void work_mark_partial(struct work *work)
{
    work->partial = true;
}

void work_note(struct work *work, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(work->note, sizeof(work->note), format, args);
    va_end(args);
}
