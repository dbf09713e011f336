/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs that walk the ledger: rollback takes everything back, from the last entry to the first, so
 * that the vm at the source is started last; cleanup accepts the result, in order. Each entry passes
 * the fence before its deed, and its outcome is stored at once, so that a crash repeats at most one.
 */
#include <string.h>

#include "common/base/crashpoint.h"
#include "migration/steps.h"

typedef bool undo_function(struct run *run, const struct ledger_entry *entry,
                           enum ledger_state *ret_state, struct error *err);

static bool undo(struct run *run, const struct ledger_entry *entry, enum ledger_state *ret_state,
                 struct error *err)
{
    if (entry->end == END_DESTINATION)
        return ends_open_destination(run, err) &&
               run->destination_driver->undo(run->destination, entry, ret_state, err);
    if (!ends_open_source(run, err))
        return false;
    if (!run->source_driver->undo)
        return error_set(err, &FAULT_UNSUPPORTED, "source driver \"%s\" undoes nothing",
                         run->source_driver->name);
    return run->source_driver->undo(run->source, entry, ret_state, err);
}

static bool accept_entry(struct run *run, const struct ledger_entry *entry,
                         enum ledger_state *ret_state, struct error *err)
{
    if (entry->end == END_DESTINATION)
        return ends_open_destination(run, err) &&
               run->destination_driver->accept(run->destination, entry, ret_state, err);
    if (!ends_open_source(run, err))
        return false;
    if (!run->source_driver->accept) {
        *ret_state = LEDGER_KEPT;
        return true;
    }
    return run->source_driver->accept(run->source, entry, ret_state, err);
}

/* Our token must still be the current one; then the deed; then its outcome. What could not be undone is an
 * error that only a rollback clears; what could not be accepted stands as it stood. */
static bool settle_one(struct run *run, const struct ledger_entry *entry, undo_function *deed,
                       struct error *err)
{
    enum ledger_state state = LEDGER_ERROR;
    struct ledger_entry claimed = *entry;
    enum ledger_state failed = deed == undo ? LEDGER_ERROR : claimed.state;
    struct error settled;
    if (!work_claim(run->work, &claimed, err) || !work_fence(run->work, err))
        return false;
    bool done = deed(run, &claimed, &state, err);
    crashpoint("after_deed", claimed.kind);
    if (done)
        return work_settle(run->work, &claimed, state, "", err); /* no longer what failed before */
    if (err->fault == &FAULT_FENCED || err->fault == &FAULT_CANCELLED)
        return false;
    work_note(run->work, "%s \"%s\": %s", claimed.kind, claimed.key, err->text);
    if (!work_settle(run->work, &claimed, failed, err->text, &settled))
        *err = settled;
    return false;
}

static void name_entry(const struct ledger_entry *entry, const char *verb, char ret_name[32])
{
    snprintf(ret_name, 32, "%s-%u-%s", verb, entry->order, entry->kind);
}

static bool tell_and_settle(struct run *run, const struct ledger_entry *entry, const char *verb,
                            undo_function *deed, struct error *err)
{
    char name[32];
    name_entry(entry, verb, name);
    if (!ledger_state_is_open(entry->state)) {
        work_tell_step(run->work, name, WORK_STEP_UNDONE, NULL);
        return true;
    }
    crashpoint("before_step", verb, entry->kind);
    work_tell_step(run->work, name, WORK_STEP_RUNNING, NULL);
    bool good = settle_one(run, entry, deed, err);
    work_tell_step(run->work, name, good ? WORK_STEP_UNDONE : WORK_STEP_FAILED, good ? NULL : err);
    crashpoint("after_step", verb, entry->kind);
    return good;
}

static int by_order(const void *a, const void *b)
{
    const struct ledger_entry *const *left = a, *const *right = b;
    return (*left)->order < (*right)->order ? -1 : (*left)->order > (*right)->order;
}

/* It was open when the job was given: what an earlier run settled is told, as what this one does. */
static bool is_ours(const struct run *run, const struct ledger_entry *entry)
{
    for (size_t i = 0; i < run->assign->ledger_count; i++) {
        const struct ledger_entry *given = &run->assign->ledger[i];
        if (given->end == entry->end && strcmp(given->kind, entry->kind) == 0 &&
            strcmp(given->key, entry->key) == 0)
            return ledger_state_is_open(given->state);
    }
    return ledger_state_is_open(entry->state);
}

/* The entries that the job is about, in the ledger's order. */
static size_t gather(struct run *run, const struct ledger_entry ***ret_entries)
{
    size_t count = work_ledger_count(run->work), ours = 0;
    const struct ledger_entry **entries = arena_calloc(run->arena, count + 1, sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        const struct ledger_entry *entry = work_ledger_get(run->work, i);
        if (is_ours(run, entry))
            entries[ours++] = entry;
    }
    qsort(entries, ours, sizeof(*entries), by_order);
    *ret_entries = entries;
    return ours;
}

/* -- the settle check ----------------------------------------------------------------------------- */

static bool is_settle_check(const struct run *run)
{
    json_t *request = json_loads(run->assign->request_json, JSON_REJECT_DUPLICATES, NULL);
    bool is = json_is_true(json_object_get(request, "settle"));
    json_decref(request);
    return is;
}

/* Through the fence by an entry of that end, as it stands. */
static bool pass(struct run *run, const struct ledger_entry *entry, struct error *err)
{
    struct ledger_entry claimed = *entry;
    return work_claim(run->work, &claimed, err) && work_fence(run->work, err);
}

static bool settle_destination(struct run *run, const struct ledger_entry *any, struct error *err)
{
    size_t removed = 0;
    if (!pass(run, any, err) || !ends_open_destination(run, err))
        return false;
    if (!run->destination_driver->settle)
        return true;
    if (!run->destination_driver->settle(run->destination, &removed, err))
        return error_prefix(err, "settle check");
    if (removed > 0)
        work_note(run->work, "%zu things had come late to the destination and were removed",
                  removed);
    return true;
}

static bool settle_source(struct run *run, const struct ledger_entry *entry, struct error *err)
{
    bool mended = false;
    if (entry->state != LEDGER_UNDONE && entry->state != LEDGER_NOT_FOUND)
        return true;
    if (!ends_open_source(run, err))
        return false;
    if (!run->source_driver->settle)
        return true;
    if (!pass(run, entry, err) || !run->source_driver->settle(run->source, entry, &mended, err))
        return error_prefix(err, "settle check");
    if (mended)
        work_note(run->work, "%s \"%s\" had strayed at the source and was put back", entry->kind,
                  entry->key);
    return true;
}

/* The destination first: no vm runs at both ends. */
static bool settle_ends(struct run *run, struct error *err)
{
    size_t count = work_ledger_count(run->work);
    for (size_t i = 0; i < count; i++) {
        const struct ledger_entry *entry = work_ledger_get(run->work, i);
        if (entry->end != END_DESTINATION)
            continue;
        if (!settle_destination(run, entry, err))
            return false;
        break; /* one passes the fence for all of its end */
    }
    for (size_t i = count; i-- > 0;) {
        const struct ledger_entry *entry = work_ledger_get(run->work, i);
        if (entry->end == END_SOURCE && !settle_source(run, entry, err))
            return false;
    }
    return true;
}

static bool check_settled(struct run *run, bool (*check)(struct run *run, struct error *err),
                          struct error *err)
{
    crashpoint("before_step", "check_settled");
    work_tell_step(run->work, "settle", WORK_STEP_RUNNING, NULL);
    bool good = check(run, err);
    work_tell_step(run->work, "settle", good ? WORK_STEP_DONE : WORK_STEP_FAILED,
                   good ? NULL : err);
    crashpoint("after_step", "check_settled");
    return good;
}

/* Goes on behind an entry that could not be undone, for as much as possible should be; but the source
 * is left alone while anything may still stand at the destination: no vm runs at both ends. */
bool job_rollback(struct run *run, struct error *err)
{
    if (is_settle_check(run) &&
        (run->assign->state == MIGRATION_VERIFIED || run->assign->state == MIGRATION_CLEANED))
        return check_settled(run, gc_settle, err);
    const struct ledger_entry **entries;
    size_t count = gather(run, &entries), failed = 0;
    struct error first = {0}, last;
    bool destination_is_clean = true;
    for (size_t i = count; i-- > 0;) {
        if (entries[i]->end == END_SOURCE && !destination_is_clean)
            continue;
        if (tell_and_settle(run, entries[i], "undo", undo, &last))
            continue;
        if (failed++ == 0)
            first = last;
        destination_is_clean = destination_is_clean && entries[i]->end != END_DESTINATION;
        if (last.fault == &FAULT_FENCED || last.fault == &FAULT_CANCELLED)
            break;
    }
    if (failed == 0)
        return !is_settle_check(run) || check_settled(run, settle_ends, err);
    *err = first;
    return error_prefix(err, "%zu of %zu could not be undone", failed, count);
}

bool job_cleanup(struct run *run, struct error *err)
{
    const struct ledger_entry **entries;
    size_t count = gather(run, &entries);
    for (size_t i = 0; i < count; i++) {
        if (!tell_and_settle(run, entries[i], "accept", accept_entry, err))
            return false;
    }
    return true;
}
