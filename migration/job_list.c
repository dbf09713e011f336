/* SPDX-License-Identifier: Apache-2.0
 *
 * The jobs that only look: test a connection, list a source's vms, list what a destination offers.
 * Lists go out in pages; each waits until the broker has it, so that memory stays bounded.
 */
#include <string.h>

#include "common/base/crashpoint.h"
#include "migration/steps.h"
#include "proto/codec.h"

/* Below both the contract's bound for pages and a frame of the channel. */
#define PAGE_BYTES (96u << 10)

struct pager {
    struct run *run;
    struct arena *arena; /* of the page that is being filled */
    Guts__V1__InventoryPage vms;
    Guts__V1__CatalogPage items;
    size_t room;
    size_t bytes;
    uint64_t total;
};

static void begin_page(struct pager *pager)
{
    arena_reset(pager->arena);
    guts__v1__inventory_page__init(&pager->vms);
    guts__v1__catalog_page__init(&pager->items);
    pager->room = 1024;
    pager->vms.vms = arena_calloc(pager->arena, pager->room, sizeof(*pager->vms.vms));
    pager->items.items = arena_calloc(pager->arena, pager->room, sizeof(*pager->items.items));
    pager->bytes = 0;
}

static bool send_inventory(struct pager *pager, bool last, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer packed = {0};
    pager->vms.token = codec_token_to(pager->arena, work_token(pager->run->work));
    pager->vms.number = ++pager->run->pages;
    pager->vms.last = last;
    codec_pack(&pager->vms.base, &packed);
    bool good =
        work_send_page(pager->run->work, CHANNEL_INVENTORY, pager->run->pages, &packed, err);
    begin_page(pager);
    return good;
}

static bool send_catalog(struct pager *pager, bool last, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer packed = {0};
    pager->items.token = codec_token_to(pager->arena, work_token(pager->run->work));
    pager->items.number = ++pager->run->pages;
    pager->items.last = last;
    codec_pack(&pager->items.base, &packed);
    bool good = work_send_page(pager->run->work, CHANNEL_CATALOG, pager->run->pages, &packed, err);
    begin_page(pager);
    return good;
}

/* A vm that breaks the bounds is told of with its obstacle, under what can be said of it. */
static const struct vm *fit(struct pager *pager, const struct vm *vm)
{
    struct error wrong;
    if (vm_check(vm, &wrong))
        return vm;
    struct vm *bare = arena_alloc(pager->arena, sizeof(*bare));
    *bare = (struct vm){.key = vm->key,
                        .name = vm->key,
                        .cpus = 1,
                        .memory_mib = 1,
                        .obstacle_code = wrong.fault->code,
                        .obstacle_text = arena_strdup(pager->arena, wrong.text)};
    return vm_check(bare, &wrong) ? bare : NULL;
}

static bool take_vm(void *context, const struct vm *vm, struct error *err)
{
    struct pager *pager = context;
    if (!work_go_on(pager->run->work, err))
        return false;
    const struct vm *known = fit(pager, vm);
    if (!known) {
        work_note(pager->run->work, "left out a vm whose key is no text within its bounds");
        return true;
    }
    Guts__V1__Vm *message = codec_vm_to(pager->arena, vm_copy(pager->arena, known));
    size_t bytes = codec_packed_bytes(&message->base);
    if (pager->bytes + bytes > PAGE_BYTES || pager->vms.n_vms == pager->room) {
        if (!send_inventory(pager, false, err))
            return false;
        message = codec_vm_to(pager->arena, vm_copy(pager->arena, fit(pager, vm)));
    }
    pager->vms.vms[pager->vms.n_vms++] = message;
    pager->bytes += bytes + 8;
    pager->total++;
    return true;
}

static char *clip(struct arena *arena, const char *text, size_t most)
{
    return arena_strndup(arena, text ? text : "",
                         text && strlen(text) > most ? most : SIZE_MAX / 2);
}

static Guts__V1__CatalogItem *make_item(struct arena *arena, const char *kind, const char *id,
                                        const char *name, const json_t *detail)
{
    Guts__V1__CatalogItem *item = arena_alloc(arena, sizeof(*item));
    guts__v1__catalog_item__init(item);
    CLEANUP(xfreep) char *text = detail ? json_dumps(detail, JSON_COMPACT) : NULL;
    item->kind = clip(arena, kind, 32);
    item->id = clip(arena, id, 191);
    item->name = clip(arena, name, 255);
    item->detail_json = arena_strdup(arena, text && strlen(text) < PAGE_BYTES / 2 ? text : "{}");
    return item;
}

static bool take_item(void *context, const char *kind, const char *id, const char *name,
                      const json_t *detail, struct error *err)
{
    struct pager *pager = context;
    if (!work_go_on(pager->run->work, err))
        return false;
    Guts__V1__CatalogItem *item = make_item(pager->arena, kind, id, name, detail);
    size_t bytes = guts__v1__catalog_item__get_packed_size(item);
    if (pager->bytes + bytes > PAGE_BYTES || pager->items.n_items == pager->room) {
        if (!send_catalog(pager, false, err))
            return false;
        item = make_item(pager->arena, kind, id, name, detail);
    }
    pager->items.items[pager->items.n_items++] = item;
    pager->bytes += bytes + 8;
    pager->total++;
    return true;
}

/* How much was listed is the job's answer. */
static bool end_list(struct pager *pager, bool good)
{
    json_decref(pager->run->answer);
    pager->run->answer = json_pack("{s:I}", "count", (json_int_t)pager->total);
    arena_free(pager->arena);
    return good;
}

static bool list_inventory(struct run *run, struct error *err)
{
    struct pager pager = {.run = run, .arena = arena_new()};
    begin_page(&pager);
    return end_list(&pager, run->source_driver->list(run->source, take_vm, &pager, err) &&
                                send_inventory(&pager, true, err));
}

bool job_send_items(struct run *run,
                    bool (*walk)(struct run *run, job_take_item *take, void *context,
                                 struct error *err),
                    struct error *err)
{
    struct pager pager = {.run = run, .arena = arena_new()};
    begin_page(&pager);
    return end_list(&pager, walk(run, take_item, &pager, err) && send_catalog(&pager, true, err));
}

static bool walk_catalogue(struct run *run, job_take_item *take, void *context, struct error *err)
{
    return run->destination_driver->catalog(run->destination, take, context, err);
}

static bool open_end(struct run *run, struct error *err)
{
    return assign_end(run->assign) == END_SOURCE ? ends_open_source(run, err)
                                                 : ends_open_destination(run, err);
}

bool job_run_step(struct run *run, const char *name, bool (*deed)(struct run *, struct error *),
                  struct error *err)
{
    crashpoint("before_step", name);
    work_tell_step(run->work, name, WORK_STEP_RUNNING, NULL);
    bool good = open_end(run, err) && deed(run, err);
    work_tell_step(run->work, name, good ? WORK_STEP_DONE : WORK_STEP_FAILED, good ? NULL : err);
    crashpoint("after_step", name);
    return good;
}

static bool test_end(struct run *run, struct error *err)
{
    run->answer = json_pack("{s:s}", "driver",
                            run->source ? run->source_driver->name : run->destination_driver->name);
    return run->source ? run->source_driver->test(run->source, err)
                       : run->destination_driver->test(run->destination, err);
}

static bool list_vms(struct run *run, struct error *err)
{
    if (!run->source)
        return error_set(err, &FAULT_INVALID, "only sources have vms to discover");
    return list_inventory(run, err);
}

static bool list_catalog(struct run *run, struct error *err)
{
    if (!run->destination)
        return error_set(err, &FAULT_INVALID, "only destinations have a catalogue");
    return job_send_items(run, walk_catalogue, err);
}

bool job_test(struct run *run, struct error *err)
{
    return job_run_step(run, "test", test_end, err);
}

bool job_discover(struct run *run, struct error *err)
{
    return job_run_step(run, "discover", list_vms, err);
}

bool job_catalog(struct run *run, struct error *err)
{
    return job_run_step(run, "catalog", list_catalog, err);
}
