/* SPDX-License-Identifier: Apache-2.0
 *
 * A .vmx file: whatever it says, the vm that it becomes keeps the bounds of vm.h once its disks' names are
 * cut to theirs.
 *
 * sources: migration/source/vmx.c migration/source/vmx_vm.c migration/source/foreign.c proto/fault.c proto/fault_preflight.c proto/text.c proto/vm.c
 */
#include <stdlib.h>

#include "migration/source/foreign.h"
#include "migration/source/vmx_vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    struct vmx *vmx = NULL;
    const char *odd = NULL;
    if (!vmx_parse((const char *)data, size, arena, &vmx, &err))
        return 0;
    struct vm *vm = vmx_vm(vmx, "fuzz", arena, &odd);
    vm->key = "fuzz.vmx";
    for (size_t i = 0; i < vm->disk_count; i++) {
        vm->disks[i].key = foreign_clean(arena, vm->disks[i].key, VM_KEY_MOST);
        if (vm->disks[i].key == NULL)
            vm->disks[i].key = "none";
    }
    if (!vm_check(vm, &err))
        abort();
    return 0;
}
