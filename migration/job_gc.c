/* SPDX-License-Identifier: Apache-2.0
 *
 * Strays: things that carry a migration's mark at an end and that no ledger holds. The job of kind
 * "gc" lists all marks of its source or destination, for the scheduler to judge, after it has removed
 * those that its request names, which were judged and shown before. The settle check of a migration
 * whose result stands compares its own marks with its own ledger.
 */
#include <string.h>

#include "migration/steps.h"

#define SETTLE_MOST 1000 /* strays of one migration that one check removes */

static bool walk_marks(struct run *run, mark_take *take, void *context, struct error *err)
{
    if (run->source)
        return !run->source_driver->marks ||
               run->source_driver->marks(run->source, take, context, err);
    return !run->destination_driver->marks ||
           run->destination_driver->marks(run->destination, take, context, err);
}

static bool remove_mark(struct run *run, const struct mark *mark, bool *ret_found,
                        struct error *err)
{
    *ret_found = false;
    if (!work_fence(run->work, err))
        return false;
    if (run->source)
        return !run->source_driver->remove_mark ||
               run->source_driver->remove_mark(run->source, mark, ret_found, err);
    return !run->destination_driver->remove_mark ||
           run->destination_driver->remove_mark(run->destination, mark, ret_found, err);
}

/* -- removing what was asked --------------------------------------------------------------------------- */

static bool read_wanted(const json_t *item, struct mark *ret_mark)
{
    const char *migration = json_string_value(json_object_get(item, "migration"));
    *ret_mark = (struct mark){.kind = json_string_value(json_object_get(item, "kind")),
                              .key = json_string_value(json_object_get(item, "key"))};
    return ret_mark->kind && ret_mark->key && migration &&
           uuid_parse(migration, &ret_mark->migration);
}

/* One that cannot be removed does not keep the others: it is listed again, and the note says why. */
static bool remove_wanted(struct run *run, struct error *err)
{
    size_t index, removed = 0;
    json_t *item, *request = json_loads(run->assign->request_json, JSON_REJECT_DUPLICATES, NULL);
    bool good = true;
    json_array_foreach(json_object_get(request, "strays"), index, item) {
        struct mark mark;
        bool found = false;
        if (!read_wanted(item, &mark))
            continue;
        if (!remove_mark(run, &mark, &found, err)) {
            good = err->fault != &FAULT_FENCED && err->fault != &FAULT_CANCELLED;
            if (!good)
                break;
            work_note(run->work, "%s \"%s\" stays: %s", mark.kind, mark.key, err->text);
        }
        removed += found;
    }
    if (removed > 0)
        work_note(run->work, "%zu strays were removed", removed);
    json_decref(request);
    return good;
}

/* -- listing ---------------------------------------------------------------------------------------------- */

struct sending {
    job_take_item *take;
    void *context;
};

static bool send_mark(void *context, const struct mark *mark, struct error *err)
{
    const struct sending *sending = context;
    char migration[UUID_TEXT_SIZE];
    uuid_format(&mark->migration, migration);
    json_t *detail = json_pack("{s:I}", "attempt", (json_int_t)mark->attempt);
    bool good = sending->take(sending->context, mark->kind, mark->key, migration, detail, err);
    json_decref(detail);
    return good;
}

static bool send_marks(struct run *run, job_take_item *take, void *context, struct error *err)
{
    struct sending sending = {take, context};
    return walk_marks(run, send_mark, &sending, err);
}

static bool remove_and_list(struct run *run, struct error *err)
{
    return remove_wanted(run, err) && job_send_items(run, send_marks, err);
}

bool job_gc(struct run *run, struct error *err)
{
    return job_run_step(run, "gc", remove_and_list, err);
}

/* -- the settle check of a result that stands ----------------------------------------------------------- */

struct strays {
    struct run *run;
    struct mark items[SETTLE_MOST];
    size_t count;
};

/* By its key, or by the far end's name for it. */
static bool is_in_ledger(struct run *run, const struct mark *mark)
{
    for (size_t i = 0; i < work_ledger_count(run->work); i++) {
        const struct ledger_entry *entry = work_ledger_get(run->work, i);
        bool stands = ledger_state_is_open(entry->state) || entry->state == LEDGER_KEPT;
        if (stands && entry->end == END_DESTINATION && strcmp(entry->kind, mark->kind) == 0 &&
            (strcmp(entry->key, mark->key) == 0 || strcmp(entry->external_id, mark->key) == 0))
            return true;
    }
    return false;
}

static bool gather(void *context, const struct mark *mark, struct error *err)
{
    struct strays *strays = context;
    struct run *run = strays->run;
    if (!uuid_equal(&mark->migration, work_owner(run->work)) || is_in_ledger(run, mark) ||
        strays->count == SETTLE_MOST)
        return true;
    struct mark *stray = &strays->items[strays->count++];
    *stray = *mark;
    stray->kind = arena_strdup(run->arena, mark->kind);
    stray->key = arena_strdup(run->arena, mark->key);
    return true;
}

/* Passes the fence by an entry of that end, as it stands. */
static bool pass(struct run *run, struct error *err)
{
    for (size_t i = 0; i < work_ledger_count(run->work); i++) {
        const struct ledger_entry *entry = work_ledger_get(run->work, i);
        if (entry->end == END_DESTINATION)
            return work_claim(run->work, entry, err);
    }
    return true;
}

bool gc_settle(struct run *run, struct error *err)
{
    struct strays *strays = arena_calloc(run->arena, 1, sizeof(*strays));
    size_t removed = 0;
    strays->run = run;
    if (!pass(run, err) || !ends_open_destination(run, err) ||
        !walk_marks(run, gather, strays, err))
        return false;
    for (size_t i = 0; i < strays->count; i++) {
        bool found = false;
        if (!remove_mark(run, &strays->items[i], &found, err))
            return error_prefix(err, "settle check");
        removed += found;
    }
    if (removed > 0)
        work_note(run->work, "%zu things had come late to the destination and were removed",
                  removed);
    return true;
}
