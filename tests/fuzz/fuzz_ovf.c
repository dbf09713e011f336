/* SPDX-License-Identifier: Apache-2.0
 *
 * An OVF descriptor: whatever it says, its machines have as many backings as disks, within the bounds.
 *
 * sources: migration/source/ovf.c migration/source/ovf_hardware.c migration/source/ovf_xml.c migration/source/foreign.c proto/fault.c proto/fault_preflight.c proto/text.c proto/vm.c
 * packages: libxml-2.0
 */
#include <stdlib.h>

#include "migration/source/ovf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    struct error err = {0};
    struct ovf *ovf = NULL;
    if (!ovf_parse((const char *)data, size, arena, &ovf, &err))
        return err.fault == NULL ? (abort(), 0) : 0;
    for (size_t i = 0; i < ovf->system_count; i++) {
        const struct vm *vm = ovf->systems[i].vm;
        if (vm->disk_count > VM_DISKS_MOST || vm->nic_count > VM_NICS_MOST ||
            vm->cpus > VM_CPUS_MOST || vm->memory_mib > VM_MEMORY_MIB_MOST)
            abort();
        for (size_t k = 0; k < vm->disk_count; k++) {
            if (vm->disks[k].capacity_bytes > VM_DISK_BYTES_MOST)
                abort();
        }
    }
    return 0;
}
