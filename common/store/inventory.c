/* SPDX-License-Identifier: Apache-2.0 */
#include "common/store/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "common/store/bind.h"

/* -- saving -------------------------------------------------------------------------------------- */

struct row {
    const struct vm *vm;
    struct uuid key_hash; /* derived from the key, in the source's name space */
    struct uuid id;
};

static int compare_rows(const void *a, const void *b)
{
    return uuid_compare(&((const struct row *)a)->key_hash, &((const struct row *)b)->key_hash);
}

/* Finds the ids of vms that are known already; the others keep their new ones. */
static bool resolve_ids(struct db *db, const struct inventory_place *place, struct arena *arena,
                        struct row *rows, size_t count, struct error *err)
{
    struct db_rows *found;
    const struct db_value source = db_uuid(&place->source_id);
    struct db_value *list = arena_calloc(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = db_uuid(&rows[i].key_hash);
    if (!db_query_list(db, arena,
                       "SELECT key_hash, id FROM vms WHERE source_id = ? AND key_hash IN (%LIST%)",
                       &source, 1, list, count, &found, err))
        return false;
    for (size_t i = 0; i < db_rows_count(found); i++) {
        struct row key = {.key_hash = db_rows_uuid(found, i, 0)};
        struct row *row = bsearch(&key, rows, count, sizeof *rows, compare_rows);
        if (row != NULL)
            row->id = db_rows_uuid(found, i, 1);
    }
    return true;
}

enum { VM_WIDTH = 24 };

static void bind_vm(const struct inventory_place *place, const struct row *row,
                    struct db_value *into)
{
    const struct vm *vm = row->vm;
    const struct db_value values[VM_WIDTH] = {
        db_uuid(&row->id),
        db_text(place->project),
        db_uuid(&place->source_id),
        db_bytes(vm->key, strlen(vm->key)),
        db_uuid(&row->key_hash),
        bind_cut_full(vm->name, 255),
        bind_cut(vm->uuid, 64),
        db_text(vm_power_name(vm->power)),
        db_text(vm_firmware_name(vm->firmware)),
        db_unsigned(vm->secure_boot),
        db_unsigned(vm->cpus),
        db_unsigned(vm->cores_per_socket),
        db_unsigned(vm->memory_mib),
        bind_cut_full(vm->guest_os, 255),
        bind_cut_full(vm->host, 255),
        bind_cut(vm->annotation, 16384),
        bind_cut(vm->obstacle_code, 48),
        bind_cut(vm->obstacle_text, 1024),
        db_unsigned(vm_capacity_bytes(vm)),
        db_unsigned(vm->disk_count),
        db_unsigned(place->refresh),
        db_null(),
        db_unsigned(place->at),
        db_unsigned(place->at),
    };
    memcpy(into, values, sizeof values);
}

static bool save_vms(struct db *db, const struct inventory_place *place, const struct row *rows,
                     size_t count, struct error *err)
{
    CLEANUP(xfreep) struct db_value *values = xcalloc(count * VM_WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        bind_vm(place, &rows[i], &values[i * VM_WIDTH]);
    return db_execute_rows(
        db,
        "INSERT INTO vms (id, project, source_id, vm_key, key_hash, name, uuid, power, firmware,"
        " secure_boot, cpus, cores_per_socket, memory_mib, guest_os, host, annotation,"
        " obstacle_code, obstacle_text, capacity_bytes, disk_count, refresh, gone_at, created_at,"
        " updated_at) VALUES ",
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        " ON DUPLICATE KEY UPDATE name = VALUES(name), uuid = VALUES(uuid), power = VALUES(power),"
        " firmware = VALUES(firmware), secure_boot = VALUES(secure_boot), cpus = VALUES(cpus),"
        " cores_per_socket = VALUES(cores_per_socket), memory_mib = VALUES(memory_mib),"
        " guest_os = VALUES(guest_os), host = VALUES(host), annotation = VALUES(annotation),"
        " obstacle_code = VALUES(obstacle_code), obstacle_text = VALUES(obstacle_text),"
        " capacity_bytes = VALUES(capacity_bytes), disk_count = VALUES(disk_count),"
        " refresh = GREATEST(refresh, VALUES(refresh)), gone_at = NULL,"
        " updated_at = VALUES(updated_at)",
        values, VM_WIDTH, count, NULL, err);
}

enum { DISK_WIDTH = 10, NIC_WIDTH = 6 };

static bool save_disks(struct db *db, const struct row *rows, size_t count, struct error *err)
{
    size_t total = 0, k = 0;
    for (size_t i = 0; i < count; i++)
        total += rows[i].vm->disk_count;
    CLEANUP(xfreep) struct db_value *values = xcalloc(total * DISK_WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < rows[i].vm->disk_count; n++) {
            const struct vm_disk *disk = &rows[i].vm->disks[n];
            const struct db_value row[DISK_WIDTH] = {
                db_uuid(&rows[i].id),
                db_unsigned(n),
                db_bytes(disk->key, strlen(disk->key)),
                bind_cut_full(disk->bus, 16),
                bind_cut_full(disk->controller, 32),
                db_unsigned(disk->controller_index),
                db_unsigned(disk->unit),
                db_unsigned(disk->capacity_bytes),
                db_unsigned(disk->stored_bytes),
                bind_cut_full(disk->format, 32),
            };
            memcpy(&values[k++ * DISK_WIDTH], row, sizeof row);
        }
    return db_execute_rows(db,
                           "INSERT INTO vm_disks (vm_id, number, disk_key, bus, controller,"
                           " controller_index, unit, capacity_bytes, stored_bytes, format) VALUES ",
                           "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", "", values, DISK_WIDTH, total, NULL,
                           err);
}

static bool save_nics(struct db *db, const struct row *rows, size_t count, struct error *err)
{
    size_t total = 0, k = 0;
    for (size_t i = 0; i < count; i++)
        total += rows[i].vm->nic_count;
    CLEANUP(xfreep) struct db_value *values = xcalloc(total * NIC_WIDTH + 1, sizeof *values);
    for (size_t i = 0; i < count; i++)
        for (size_t n = 0; n < rows[i].vm->nic_count; n++) {
            const struct vm_nic *nic = &rows[i].vm->nics[n];
            const struct db_value row[NIC_WIDTH] = {
                db_uuid(&rows[i].id),
                db_unsigned(n),
                bind_cut(nic->mac, 32),
                bind_cut_full(nic->model, 32),
                bind_cut_full(nic->network, 255),
                db_unsigned(nic->connected),
            };
            memcpy(&values[k++ * NIC_WIDTH], row, sizeof row);
        }
    return db_execute_rows(
        db, "INSERT INTO vm_nics (vm_id, number, mac, model, network, connected) VALUES ",
        "(?, ?, ?, ?, ?, ?)", "", values, NIC_WIDTH, total, NULL, err);
}

static bool drop_parts(struct db *db, struct arena *arena, const struct row *rows, size_t count,
                       struct error *err)
{
    struct db_value *ids = arena_calloc(arena, count, sizeof *ids);
    for (size_t i = 0; i < count; i++)
        ids[i] = db_uuid(&rows[i].id);
    return db_execute_list(db, "DELETE FROM vm_disks WHERE vm_id IN (%LIST%)", NULL, 0, ids, count,
                           NULL, err) &&
           db_execute_list(db, "DELETE FROM vm_nics WHERE vm_id IN (%LIST%)", NULL, 0, ids, count,
                           NULL, err);
}

bool inventory_save(struct db *db, const struct inventory_place *place, const struct vm *const *vms,
                    size_t count, struct error *err)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    if (count == 0)
        return true;
    struct row *rows = arena_calloc(arena, count, sizeof *rows);
    for (size_t i = 0; i < count; i++) /* new ids rise as the page lists them, and so do lists */
        rows[i] = (struct row){vms[i], uuid_derive(&place->source_id, vms[i]->key), uuid_new()};
    qsort(rows, count, sizeof *rows, compare_rows);
    return resolve_ids(db, place, arena, rows, count, err) &&
           save_vms(db, place, rows, count, err) && drop_parts(db, arena, rows, count, err) &&
           save_disks(db, rows, count, err) && save_nics(db, rows, count, err);
}

bool inventory_sweep(struct db *db, const struct inventory_place *place, struct error *err)
{
    const struct db_value values[] = {db_unsigned(place->at), db_uuid(&place->source_id),
                                      db_unsigned(place->refresh)};
    return db_execute(db,
                      "UPDATE vms SET gone_at = ? WHERE source_id = ? AND refresh < ?"
                      " AND gone_at IS NULL",
                      values, COUNT_OF(values), NULL, err);
}

/* -- loading ------------------------------------------------------------------------------------- */

static struct inventory_vm *find_vm(struct inventory_vm *vms, size_t count, const struct uuid *id)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = uuid_compare(&vms[middle].id, id);
        if (order == 0)
            return &vms[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static void read_vm(const struct db_rows *rows, size_t i, struct inventory_vm *row)
{
    row->id = db_rows_uuid(rows, i, 0);
    row->vm = (struct vm){
        .key = db_rows_text(rows, i, 1),
        .name = db_rows_text(rows, i, 2),
        .uuid = db_rows_text(rows, i, 3),
        .power = vm_power_parse(db_rows_text(rows, i, 4)),
        .firmware = vm_firmware_parse(db_rows_text(rows, i, 5)),
        .secure_boot = db_rows_unsigned(rows, i, 6) != 0,
        .cpus = (uint32_t)db_rows_unsigned(rows, i, 7),
        .cores_per_socket = (uint32_t)db_rows_unsigned(rows, i, 8),
        .memory_mib = db_rows_unsigned(rows, i, 9),
        .guest_os = db_rows_text(rows, i, 10),
        .host = db_rows_text(rows, i, 11),
        .annotation = db_rows_text(rows, i, 12),
        .obstacle_code = db_rows_text(rows, i, 13),
        .obstacle_text = db_rows_text(rows, i, 14),
    };
}

/* Rows of parts come ordered by vm and number, so that each vm's are one stretch. */
static void attach_disks(struct arena *arena, const struct db_rows *rows, struct inventory_vm *vms,
                         size_t count)
{
    struct vm_disk *disks = arena_calloc(arena, db_rows_count(rows) + 1, sizeof *disks);
    for (size_t i = 0; i < db_rows_count(rows); i++) {
        struct uuid id = db_rows_uuid(rows, i, 0);
        struct inventory_vm *row = find_vm(vms, count, &id);
        disks[i] = (struct vm_disk){
            .key = db_rows_text(rows, i, 1),
            .bus = db_rows_text(rows, i, 2),
            .controller = db_rows_text(rows, i, 3),
            .controller_index = (uint32_t)db_rows_unsigned(rows, i, 4),
            .unit = (uint32_t)db_rows_unsigned(rows, i, 5),
            .capacity_bytes = db_rows_unsigned(rows, i, 6),
            .stored_bytes = db_rows_unsigned(rows, i, 7),
            .format = db_rows_text(rows, i, 8),
        };
        if (row == NULL)
            continue;
        if (row->vm.disk_count++ == 0)
            row->vm.disks = &disks[i];
    }
}

static void attach_nics(struct arena *arena, const struct db_rows *rows, struct inventory_vm *vms,
                        size_t count)
{
    struct vm_nic *nics = arena_calloc(arena, db_rows_count(rows) + 1, sizeof *nics);
    for (size_t i = 0; i < db_rows_count(rows); i++) {
        struct uuid id = db_rows_uuid(rows, i, 0);
        struct inventory_vm *row = find_vm(vms, count, &id);
        nics[i] = (struct vm_nic){
            .mac = db_rows_text(rows, i, 1),
            .model = db_rows_text(rows, i, 2),
            .network = db_rows_text(rows, i, 3),
            .connected = db_rows_unsigned(rows, i, 4) != 0,
        };
        if (row == NULL)
            continue;
        if (row->vm.nic_count++ == 0)
            row->vm.nics = &nics[i];
    }
}

bool inventory_load(struct db *db, struct arena *arena, const struct uuid *ids, size_t count,
                    struct inventory_vm **ret_vms, size_t *ret_count, struct error *err)
{
    struct db_rows *rows;
    struct db_value *list = arena_calloc(arena, count + 1, sizeof *list);
    *ret_vms = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < count; i++)
        list[i] = db_uuid(&ids[i]);
    if (count == 0)
        return true;
    if (!db_query_list(db, arena,
                       "SELECT id, vm_key, name, uuid, power, firmware, secure_boot, cpus,"
                       " cores_per_socket, memory_mib, guest_os, host, annotation, obstacle_code,"
                       " obstacle_text FROM vms WHERE id IN (%LIST%) ORDER BY id",
                       NULL, 0, list, count, &rows, err))
        return false;
    size_t found = db_rows_count(rows);
    struct inventory_vm *vms = arena_calloc(arena, found + 1, sizeof *vms);
    for (size_t i = 0; i < found; i++)
        read_vm(rows, i, &vms[i]);
    if (!db_query_list(db, arena,
                       "SELECT vm_id, disk_key, bus, controller, controller_index, unit,"
                       " capacity_bytes, stored_bytes, format FROM vm_disks"
                       " WHERE vm_id IN (%LIST%) ORDER BY vm_id, number",
                       NULL, 0, list, count, &rows, err))
        return false;
    attach_disks(arena, rows, vms, found);
    if (!db_query_list(db, arena,
                       "SELECT vm_id, mac, model, network, connected FROM vm_nics"
                       " WHERE vm_id IN (%LIST%) ORDER BY vm_id, number",
                       NULL, 0, list, count, &rows, err))
        return false;
    attach_nics(arena, rows, vms, found);
    *ret_vms = vms;
    *ret_count = found;
    return true;
}
