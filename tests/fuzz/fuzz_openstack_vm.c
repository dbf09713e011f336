/* SPDX-License-Identifier: Apache-2.0
 *
 * A server of another cloud as a vm: {"server", "volumes", "image", "interfaces", "networks"}.
 *
 * sources: migration/source/openstack_vm.c migration/source/foreign.c proto/vm.c proto/text.c proto/words.c proto/fault.c proto/fault_preflight.c
 * packages: jansson
 */
#include <stdint.h>
#include <stdlib.h>

#include "migration/source/openstack_vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *all = json_loadb((const char *)data, size, 0, NULL);
    if (all == NULL)
        return 0;
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct openstack_parts parts = {
        .server = json_object_get(all, "server"),
        .volumes = json_object_get(all, "volumes"),
        .image = json_object_get(all, "image"),
        .interfaces = json_object_get(all, "interfaces"),
        .networks = json_object_get(all, "networks"),
    };
    struct vm *vm = openstack_vm(&parts, arena);
    if (vm == NULL || vm->name == NULL || vm->disk_count > VM_DISKS_MOST ||
        vm->nic_count > VM_NICS_MOST)
        abort();
    (void)openstack_vm_has_root(parts.server);
    json_decref(all);
    return 0;
}
