/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of inventories and catalogues, of the current attempt only.
 */
#include <stdlib.h>
#include <string.h>

#include "scheduler/gauge.h"
#include "scheduler/gc.h"
#include "scheduler/inbox.h"

static struct job *page_job(struct tick *tick, const Guts__V1__Token *wire, enum job_kind kind)
{
    struct token token;
    if (!codec_token(wire, &token))
        return NULL;
    struct job *job = map_find(&tick->picture->jobs, &token.job);
    if (job != NULL && job->fact.live && job->node != NULL &&
        (job->fact.kind == kind || (kind == JOB_CATALOG && job->fact.kind == JOB_GC)) &&
        job->fact.attempt == token.attempt)
        return job;
    metric_add(&gauge_stale, 1);
    return NULL;
}

/* Written at once: a result in the same batch counts the pages that have come. */
static bool note_page(struct tick *tick, const struct job *job, uint32_t number, bool is_last,
                      struct error *err)
{
    const struct job_page_fact page = {job->fact.id, job->fact.attempt, number, is_last};
    return job_page_save(tick->scheduler->db, &page, 1, err);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp((*(const struct vm *const *)a)->key, (*(const struct vm *const *)b)->key);
}

/* Each key once: of doubles the last one in the page counts. */
static size_t unique_vms(const struct vm **vms, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(vms, count, sizeof *vms, compare_keys);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && strcmp(vms[kept - 1]->key, vms[i]->key) == 0)
            kept--;
        vms[kept++] = vms[i];
    }
    return kept;
}

bool inbox_apply_inventory(struct tick *tick, const Guts__V1__InventoryPage *page,
                           struct error *err)
{
    struct job *job = page_job(tick, page->token, JOB_DISCOVER);
    if (job == NULL)
        return true;
    const struct vm **vms = arena_calloc(tick->arena, page->n_vms + 1, sizeof *vms);
    for (size_t i = 0; i < page->n_vms; i++) {
        struct vm *vm = arena_alloc(tick->arena, sizeof *vm);
        if (!codec_vm(page->vms[i], tick->arena, vm, err))
            return false;
        vms[i] = vm;
    }
    size_t count = unique_vms(vms, page->n_vms);
    *TICK_ADD(tick, &tick->inventories) = (struct inventory_page){
        {job->fact.owner_id, job->fact.project, job->fact.assigned_at, tick->now_us}, vms, count};
    return note_page(tick, job, page->number, page->last, err);
}

bool inbox_apply_catalogue(struct tick *tick, const Guts__V1__CatalogPage *page, struct error *err)
{
    struct job *job = page_job(tick, page->token, JOB_CATALOG);
    if (job == NULL)
        return true;
    if (job->fact.kind == JOB_GC)
        return gc_take_page(tick, job, page, err) &&
               note_page(tick, job, page->number, page->last, err);
    struct catalogue_fact *items = arena_calloc(tick->arena, page->n_items + 1, sizeof *items);
    for (size_t i = 0; i < page->n_items; i++)
        items[i] = (struct catalogue_fact){
            page->items[i]->kind, page->items[i]->id, page->items[i]->name,
            page->items[i]->detail_json[0] == '\0' ? "{}" : page->items[i]->detail_json};
    *TICK_ADD(tick, &tick->catalogues) =
        (struct catalogue_page){job->fact.owner_id, job->fact.assigned_at, items, page->n_items};
    return note_page(tick, job, page->number, page->last, err);
}
