/* SPDX-License-Identifier: Apache-2.0 */
#include "scheduler/gc.h"

#include <jansson.h>
#include <string.h>

#include "common/json/writer.h"
#include "proto/fault.h"
#include "scheduler/decide.h"
#include "scheduler/due.h"

#define REMOVED_MOST 1000
#define REQUEST_MOST_BYTES (48u << 10)

/* -- judging --------------------------------------------------------------------------------------------- */

/* By its key, or by the far end's name for it. */
static bool is_in_ledger(const struct owner_ledger *ledger, enum end end, const char *kind,
                         const char *id)
{
    for (size_t i = 0; ledger != NULL && i < ledger->entries.count; i++) {
        const struct ledger_fact *fact = ledger->entries.items[i];
        bool stands = ledger_state_is_open(fact->state) || fact->state == LEDGER_KEPT;
        if (stands && fact->end == end && strcmp(fact->kind, kind) == 0 &&
            (strcmp(fact->key, id) == 0 || strcmp(fact->external_id, id) == 0))
            return true;
    }
    return false;
}

static bool is_stray(struct tick *tick, enum end end, const struct uuid *owner, const char *kind,
                     const char *id)
{
    const struct migration *migration = map_find(&tick->picture->migrations, owner);
    struct stray_view view = {.is_known = migration != NULL};
    if (migration != NULL) {
        view.state = migration->fact.state;
        view.has_job = migration->job != NULL;
        view.in_ledger = is_in_ledger(tick_ledger(tick, owner), end, kind, id);
    }
    return decide_is_stray(&view);
}

bool gc_take_page(struct tick *tick, const struct job *job, const Guts__V1__CatalogPage *page,
                  struct error *err)
{
    enum end end = job->fact.owner_kind == OWNER_SOURCE ? END_SOURCE : END_DESTINATION;
    struct uuid *owners = arena_calloc(tick->arena, page->n_items + 1, sizeof *owners);
    struct stray *strays = arena_calloc(tick->arena, page->n_items + 1, sizeof *strays);
    size_t count = 0;
    for (size_t i = 0; i < page->n_items; i++)
        if (!uuid_parse(page->items[i]->name, &owners[i]))
            return error_set(err, &FAULT_MESSAGE_POISON, "a mark without a migration");
    if (!due_load_migrations(tick, owners, page->n_items, err) ||
        !tick_read_ledgers(tick, owners, page->n_items, err))
        return false;
    for (size_t i = 0; i < page->n_items; i++) {
        const Guts__V1__CatalogItem *item = page->items[i];
        if (is_stray(tick, end, &owners[i], item->kind, item->id))
            strays[count++] =
                (struct stray){item->kind, item->id, owners[i],
                               item->detail_json[0] == '\0' ? "{}" : item->detail_json};
    }
    *TICK_ADD(tick, &tick->strays) = (struct stray_page){job->fact.owner_kind, job->fact.owner_id,
                                                         job->fact.assigned_at, strays, count};
    return true;
}

/* -- asking for removal ------------------------------------------------------------------------------------ */

bool gc_asks_to_remove(const struct wish_due *wish)
{
    json_t *arguments =
        wish->arguments_json == NULL ? NULL : json_loads(wish->arguments_json, 0, NULL);
    bool asks = json_is_true(json_object_get(arguments, "remove"));
    json_decref(arguments);
    return asks;
}

static const char *write_request(struct tick *tick, const struct stray *strays, size_t count)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    struct writer writer;
    writer_init(&writer, &text);
    writer_object_begin(&writer, NULL);
    writer_array_begin(&writer, "strays");
    for (size_t i = 0; i < count && text.length < REQUEST_MOST_BYTES; i++) {
        writer_object_begin(&writer, NULL);
        writer_text(&writer, "kind", strays[i].kind);
        writer_text(&writer, "key", strays[i].key);
        writer_uuid(&writer, "migration", &strays[i].migration);
        writer_object_end(&writer);
    }
    writer_array_end(&writer);
    writer_object_end(&writer);
    return arena_strdup(tick->arena, text.data);
}

/* Keeps those that nobody holds still: what was found and shown may be a running migration's by now. */
static bool keep_strays(struct tick *tick, enum end end, struct stray *strays, size_t *count,
                        struct error *err)
{
    size_t kept = 0;
    struct uuid *owners = arena_calloc(tick->arena, *count + 1, sizeof *owners);
    for (size_t i = 0; i < *count; i++)
        owners[i] = strays[i].migration;
    if (!due_load_migrations(tick, owners, *count, err) ||
        !tick_read_ledgers(tick, owners, *count, err))
        return false;
    for (size_t i = 0; i < *count; i++)
        if (is_stray(tick, end, &owners[i], strays[i].kind, strays[i].key))
            strays[kept++] = strays[i];
    *count = kept;
    return true;
}

bool gc_request(struct tick *tick, const struct wish_due *wish, const char **ret_request_json,
                struct error *err)
{
    struct stray *strays;
    size_t count;
    if (!gc_asks_to_remove(wish)) {
        *ret_request_json = NULL;
        return true;
    }
    if (!stray_load(tick->scheduler->db, tick->arena, &wish->owner_id, REMOVED_MOST, &strays,
                    &count, err) ||
        !keep_strays(tick, wish->owner_kind == OWNER_SOURCE ? END_SOURCE : END_DESTINATION, strays,
                     &count, err))
        return false;
    *ret_request_json = write_request(tick, strays, count);
    return true;
}
