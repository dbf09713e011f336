/* SPDX-License-Identifier: Apache-2.0
 *
 * The vms of a source as discoveries find them, with their disks and NICs. Nothing counts as gone
 * before the last page of a whole discovery was stored (inventory_sweep).
 */
#ifndef GUTS_COMMON_STORE_INVENTORY_H
#define GUTS_COMMON_STORE_INVENTORY_H

#include "common/db/db.h"
#include "proto/vm.h"

struct inventory_place {
    struct uuid source_id;
    const char *project;
    uint64_t refresh; /* the discovery: rises with each */
    uint64_t at;      /* now */
};
/* Stores a page's vms; those that were known keep their id. Each was checked (vm_check) and no key
 * comes twice. */
bool inventory_save(struct db *db, const struct inventory_place *place, const struct vm *const *vms,
                    size_t count, struct error *err) MUST_CHECK;
/* Marks as gone what neither this discovery nor a later one saw. */
bool inventory_sweep(struct db *db, const struct inventory_place *place,
                     struct error *err) MUST_CHECK;

struct inventory_vm {
    struct uuid id;
    struct vm vm; /* with disks and NICs */
};
/* In order of id; everything lives in arena. */
bool inventory_load(struct db *db, struct arena *arena, const struct uuid *ids, size_t count,
                    struct inventory_vm **ret_vms, size_t *ret_count, struct error *err) MUST_CHECK;

#endif
