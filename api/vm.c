/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/vm_view.h"

#include "api/api.h"
#include "api/batch.h"
#include "api/endpoint.h"
#include "api/problem.h"
#include "api/routes.h"
#include "proto/fault.h"

static void write_migration(struct writer *writer, const struct vm_view *view)
{
    if (uuid_is_nil(&view->migration_id)) {
        writer_null(writer, "migration");
        return;
    }
    writer_object_begin(writer, "migration");
    writer_uuid(writer, "id", &view->migration_id);
    writer_text(writer, "state", migration_state_name(view->migration_state));
    writer_object_end(writer);
}

static void write_fields(struct writer *writer, const struct vm_view *view)
{
    const struct vm *vm = &view->vm;
    writer_uuid(writer, "id", &view->id);
    writer_text(writer, "project", view->project);
    writer_uuid(writer, "source_id", &view->source_id);
    writer_text(writer, "source_name", view->source_name);
    writer_text(writer, "key", vm->key);
    writer_text(writer, "name", vm->name);
    writer_text(writer, "uuid", vm->uuid);
    writer_text(writer, "power", vm_power_name(vm->power));
    writer_text(writer, "firmware", vm_firmware_name(vm->firmware));
    writer_bool(writer, "secure_boot", vm->secure_boot);
    writer_unsigned(writer, "cpus", vm->cpus);
    writer_unsigned(writer, "cores_per_socket", vm->cores_per_socket);
    writer_unsigned(writer, "memory_mib", vm->memory_mib);
    writer_text(writer, "guest_os", vm->guest_os);
    writer_text(writer, "host", vm->host);
    writer_text(writer, "annotation", vm->annotation);
    writer_unsigned(writer, "capacity_bytes", view->capacity_bytes);
    writer_unsigned(writer, "disk_count", view->disk_total);
    problem_write_fault(writer, "obstacle", vm->obstacle_code, vm->obstacle_text);
    writer_time(writer, "gone_at", view->gone_at);
    writer_time(writer, "created_at", view->created_at);
    writer_time(writer, "updated_at", view->updated_at);
    write_migration(writer, view);
}

static void write_disks(struct writer *writer, const struct vm *vm)
{
    writer_array_begin(writer, "disks");
    for (size_t i = 0; i < vm->disk_count; i++) {
        const struct vm_disk *disk = &vm->disks[i];
        writer_object_begin(writer, NULL);
        writer_unsigned(writer, "number", i);
        writer_text(writer, "key", disk->key);
        writer_text(writer, "bus", disk->bus);
        writer_text(writer, "controller", disk->controller);
        writer_unsigned(writer, "controller_index", disk->controller_index);
        writer_unsigned(writer, "unit", disk->unit);
        writer_unsigned(writer, "capacity_bytes", disk->capacity_bytes);
        writer_unsigned(writer, "stored_bytes", disk->stored_bytes);
        writer_text(writer, "format", disk->format);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

static void write_nics(struct writer *writer, const struct vm *vm)
{
    writer_array_begin(writer, "nics");
    for (size_t i = 0; i < vm->nic_count; i++) {
        const struct vm_nic *nic = &vm->nics[i];
        writer_object_begin(writer, NULL);
        writer_unsigned(writer, "number", i);
        writer_text(writer, "mac", nic->mac);
        writer_text(writer, "model", nic->model);
        writer_text(writer, "network", nic->network);
        writer_bool(writer, "connected", nic->connected);
        writer_object_end(writer);
    }
    writer_array_end(writer);
}

static void vm_write(struct writer *writer, const void *row)
{
    const struct vm_view *view = row;
    writer_object_begin(writer, NULL);
    write_fields(writer, view);
    write_disks(writer, &view->vm);
    write_nics(writer, &view->vm);
    writer_object_end(writer);
}

static const char *vm_project(const void *row)
{
    return ((const struct vm_view *)row)->project;
}

static bool vm_read(struct store *store, struct arena *arena, const struct uuid *ids, size_t count,
                    const void **ret_rows, struct error *err)
{
    struct vm_view *views[BATCH_IDS_MOST];
    _Static_assert(BATCH_IDS_MOST <= VM_VIEW_BATCH, "a batch fits one read");
    if (!vm_view_get_many(store, arena, ids, count, views, err))
        return false;
    for (size_t i = 0; i < count; i++)
        ret_rows[i] = views[i];
    return true;
}

const struct batch_ops vm_batch_ops = {vm_read, vm_project, vm_write, "vm"};

static bool read_filter(struct call *call, struct vm_filter *ret_filter, struct error *err)
{
    static const char *const powers[] = {"unknown", "off", "on", "suspended", NULL};
    static const char *const gone[] = {"false", "all", "true", NULL};
    int power = call_query_word(call, "power", -1, powers);
    *ret_filter = (struct vm_filter){.name = call_query(call, "name"),
                                     .name_prefix = call_query(call, "prefix"),
                                     .has_power = power >= 0};
    if (power >= 0)
        ret_filter->power = vm_power_parse(powers[power]);
    ret_filter->gone = (enum vm_gone)call_query_word(call, "gone", VM_GONE_HIDDEN, gone);
    if (!call_sound(call, err) || !endpoint_query(call, END_SOURCE, &ret_filter->source_id, err))
        return false;
    ret_filter->project = call->scope;
    return true;
}

bool vm_list_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"limit",  "marker", "order", "project", "name",
                                          "prefix", "source", "power", "gone",    NULL};
    struct vm_filter filter;
    struct vm_list list = {0};
    struct page page;
    call_query_page(call, allowed, &page);
    if (!read_filter(call, &filter, err) ||
        !vm_view_list(call->store, call->arena, &filter, &page, &list, err))
        return false;
    struct writer *writer = call_list_begin(call, "vms");
    for (size_t i = 0; i < list.count; i++) {
        writer_object_begin(writer, NULL);
        write_fields(writer, &list.items[i]);
        writer_object_end(writer);
    }
    call_list_end(call, list.next);
    return true;
}

/* By its name, which must be unique among those that are not gone. */
static bool vm_named(struct call *call, struct uuid *ret_id, struct error *err)
{
    struct uuid source;
    struct vm_match *match = NULL;
    const char *name = call->params[0];
    if (!endpoint_query(call, END_SOURCE, &source, err))
        return false;
    if (!call_name_is_sound(name))
        return error_set(err, &FAULT_NOT_FOUND, "there is no such vm");
    if (!vm_view_match(call->store, call->arena, call->scope, &source, &name, 1, &match, err))
        return false;
    if (match->found == 0)
        return error_set(err, &FAULT_NOT_FOUND, "there is no vm \"%s\"", name);
    if (match->found > 1)
        return error_set(err, &FAULT_NAME_AMBIGUOUS, "several vms have the name \"%s\"", name);
    *ret_id = match->id;
    return true;
}

bool vm_show_serve(struct call *call, struct error *err)
{
    static const char *const allowed[] = {"project", "source", NULL};
    struct uuid id;
    call_query_allow(call, allowed);
    call_query_project(call);
    if (!call_sound(call, err))
        return false;
    if (!uuid_parse(call->params[0], &id) && !vm_named(call, &id, err))
        return false;
    batch_join(call->api->vms, call, &id);
    return true;
}
