/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger from the worker's side: an entry is written, and written again until it is answered;
 * what is stored is told to the journal before anybody acts on it.
 */
#include <string.h>

#include "common/base/clock.h"
#include "common/base/crashpoint.h"
#include "migration/work_state.h"
#include "proto/codec.h"

/* How an entry is written: a cancel ends the wait only of what may be dropped. */
struct writing {
    const char *name;
    bool may_drop;
};
static const struct writing intending = {"intend", true}, claiming = {"claim", true},
                            making = {"made", false}, settling = {"settle", false};

static void copy_texts(struct arena *arena, struct ledger_entry *entry)
{
    entry->kind = arena_strdup(arena, entry->kind);
    entry->key = arena_strdup(arena, entry->key);
    entry->external_id = arena_strdup(arena, entry->external_id);
    entry->prior_json = arena_strdup(arena, entry->prior_json);
    entry->detail = arena_strdup(arena, entry->detail);
}

/* With the mutex held, on the work's thread. An answer to an older number is of no interest. */
void work_take_answer(struct work *work, const void *data, size_t length)
{
    struct error err;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    const Guts__V1__LedgerAnswer *answer = (const Guts__V1__LedgerAnswer *)codec_unpack(
        &guts__v1__ledger_answer__descriptor, data, length, arena, &err);
    if (!answer || work->answered || answer->number != work->write_number)
        return;
    if (answer->verdict == GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED &&
        (!answer->entry || !codec_ledger_entry(answer->entry, &work->answer, &err)))
        return; /* asked again */
    if (answer->verdict == GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED)
        copy_texts(work->ledger_arena, &work->answer);
    work->verdict = (uint32_t)answer->verdict;
    work->answered = true;
}

static void pack_write(struct work *work, uint64_t number, const struct ledger_entry *entry,
                       struct buffer *ret_packed)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    Guts__V1__LedgerWrite write;
    guts__v1__ledger_write__init(&write);
    write.token = codec_token_to(arena, &work->token);
    write.number = number;
    write.entry = codec_ledger_entry_to(arena, entry);
    codec_pack(&write.base, ret_packed);
}

/* With the mutex held: sends until answered. A cancel ends the wait only of what may be dropped: a
 * deed that was done must be told. */
static bool await_answer(struct work *work, const struct buffer *packed, bool may_drop,
                         struct error *err)
{
    uint64_t due = 0;
    while (!work->answered) {
        bool go_on = work_wanted_locked(work, err);
        if (!go_on && (may_drop || work->lost || err->fault == &FAULT_FENCED))
            return false;
        uint64_t now = clock_mono_ms();
        struct error unsent;
        if (now >= due) {
            bool sent = channel_send(work->plan.channel_fd, CHANNEL_LEDGER_WRITE, packed->data,
                                     packed->length, &unsent);
            due = now + (sent ? work->plan.ledger_repeat_ms : WORK_TICK_MS);
        }
        work_wait_changed(work, due - now < 500 ? due - now : 500);
    }
    return true;
}

static bool judge(struct work *work, struct error *err)
{
    switch (work->verdict) {
    case GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STORED:
        return true;
    case GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_STOP:
        return error_set(err, &FAULT_STOPPED,
                         "the ledger takes nothing more: a cancel was asked for");
    case GUTS__V1__LEDGER_VERDICT__LEDGER_VERDICT_FENCED:
        return error_set(err, &FAULT_FENCED, "attempt %u is no longer the current one",
                         work->token.attempt);
    default:
        return error_set(err, &FAULT_VERSION_UNSUPPORTED, "the ledger's answer is unknown");
    }
}

/* With the mutex held. Entries keep their address, so that drivers may hold them. */
static struct ledger_entry *keep(struct work *work, const struct ledger_entry *stored)
{
    for (size_t i = 0; i < work->ledger_count; i++) {
        struct ledger_entry *known = work->ledger[i];
        if (known->end == stored->end && strcmp(known->kind, stored->kind) == 0 &&
            strcmp(known->key, stored->key) == 0) {
            *known = *stored;
            return known;
        }
    }
    work->ledger =
        xreallocarray(work->ledger, work->ledger_count + 1, sizeof(struct ledger_entry *));
    work->ledger[work->ledger_count] = arena_memdup(work->ledger_arena, stored, sizeof(*stored));
    return work->ledger[work->ledger_count++];
}

void work_adopt_ledger(struct work *work)
{
    const struct assign *assign = work->plan.assign;
    const struct progress *progress = work->plan.progress;
    for (size_t i = 0; i < assign->ledger_count; i++)
        keep(work, &assign->ledger[i]);
    for (size_t i = 0; i < progress_ledger_count(progress); i++) {
        struct ledger_entry entry = *progress_ledger_get(progress, i);
        copy_texts(work->ledger_arena, &entry);
        keep(work, &entry);
    }
}

static bool ask(struct work *work, const struct ledger_entry *entry, const struct writing *how,
                const struct ledger_entry **ret_stored, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer packed = {0};
    pthread_mutex_lock(&work->mutex);
    work->answered = false;
    pack_write(work, ++work->write_number, entry, &packed);
    bool good = await_answer(work, &packed, how->may_drop, err) && judge(work, err);
    struct ledger_entry *stored = good ? keep(work, &work->answer) : NULL;
    struct ledger_entry copy = good ? *stored : (struct ledger_entry){0};
    pthread_mutex_unlock(&work->mutex);
    crashpoint("ledger_answered", how->name, entry->kind);
    if (good && !progress_set_ledger(work->plan.progress, &copy, err))
        return error_prefix(err, "journal");
    if (good && ret_stored)
        *ret_stored = stored;
    return good;
}

/* A number is taken and answered by one thread at a time. */
static bool exchange(struct work *work, const struct ledger_entry *entry, const struct writing *how,
                     const struct ledger_entry **ret_stored, struct error *err)
{
    struct ledger_entry whole = *entry;
    const char **texts[] = {&whole.kind, &whole.key, &whole.external_id, &whole.prior_json,
                            &whole.detail};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        *texts[i] = *texts[i] ? *texts[i] : "";
    whole.attempt = work->token.attempt;
    crashpoint("before_ledger_write", how->name, whole.kind);
    pthread_mutex_lock(&work->asking);
    bool good = ask(work, &whole, how, ret_stored, err);
    pthread_mutex_unlock(&work->asking);
    crashpoint("after_ledger_write", how->name, whole.kind);
    return good;
}

static bool await_lease(struct work *work, struct error *err)
{
    pthread_mutex_lock(&work->mutex);
    bool go_on = work_wanted_locked(work, err);
    while (go_on && !lease_holds(work->plan.page, clock_mono_ms())) {
        work_wait_changed(work, 500);
        go_on = work_wanted_locked(work, err);
    }
    pthread_mutex_unlock(&work->mutex);
    return go_on;
}

bool work_intend(struct work *work, const struct ledger_entry *entry,
                 const struct ledger_entry **ret_stored, struct error *err)
{
    struct ledger_entry intended = *entry;
    intended.state = LEDGER_INTENDED;
    return exchange(work, &intended, &intending, ret_stored, err) && await_lease(work, err);
}

bool work_claim(struct work *work, const struct ledger_entry *entry, struct error *err)
{
    return exchange(work, entry, &claiming, NULL, err) && await_lease(work, err);
}

/* A lease that ended and came back was given to the same attempt: nobody took over in between. */
bool work_fence(struct work *work, struct error *err)
{
    if (!await_lease(work, err))
        return false;
    crashpoint("after_fence"); /* the deed is next */
    return true;
}

bool work_made(struct work *work, const struct ledger_entry *stored, const char *external_id,
               struct error *err)
{
    struct ledger_entry made = *stored;
    made.state = LEDGER_MADE;
    made.external_id = external_id ? external_id : "";
    return exchange(work, &made, &making, NULL, err);
}

bool work_settle(struct work *work, const struct ledger_entry *stored, enum ledger_state state,
                 const char *detail, struct error *err)
{
    struct ledger_entry settled = *stored;
    settled.state = state;
    settled.detail = detail ? detail : "";
    return exchange(work, &settled, &settling, NULL, err);
}

size_t work_ledger_count(const struct work *work)
{
    struct work *mine = (struct work *)work;
    pthread_mutex_lock(&mine->mutex);
    size_t count = work->ledger_count;
    pthread_mutex_unlock(&mine->mutex);
    return count;
}

const struct ledger_entry *work_ledger_get(const struct work *work, size_t index)
{
    struct work *mine = (struct work *)work;
    pthread_mutex_lock(&mine->mutex);
    const struct ledger_entry *entry = index < work->ledger_count ? work->ledger[index] : NULL;
    pthread_mutex_unlock(&mine->mutex);
    return entry;
}

const struct ledger_entry *work_ledger_find(const struct work *work, enum end end, const char *kind,
                                            const char *key)
{
    for (size_t i = 0; i < work_ledger_count(work); i++) {
        const struct ledger_entry *entry = work_ledger_get(work, i);
        if (entry->end == end && strcmp(entry->kind, kind) == 0 && strcmp(entry->key, key) == 0)
            return entry;
    }
    return NULL;
}

bool work_send_page(struct work *work, enum channel_kind kind, uint32_t number,
                    const struct buffer *packed, struct error *err)
{
    uint64_t due = 0;
    crashpoint("before_page", kind == CHANNEL_INVENTORY ? "inventory" : "catalogue");
    pthread_mutex_lock(&work->mutex);
    bool go_on = true;
    while (go_on && work->page_taken < number) {
        struct error unsent;
        uint64_t now = clock_mono_ms();
        if (now >= due) {
            bool sent =
                channel_send(work->plan.channel_fd, kind, packed->data, packed->length, &unsent);
            due = now + (sent ? 4 * work->plan.ledger_repeat_ms : WORK_TICK_MS);
        }
        work_wait_changed(work, due - now < 500 ? due - now : 500);
        go_on = work_wanted_locked(work, err);
    }
    pthread_mutex_unlock(&work->mutex);
    crashpoint("after_page", kind == CHANNEL_INVENTORY ? "inventory" : "catalogue");
    return go_on;
}
