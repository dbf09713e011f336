/* SPDX-License-Identifier: Apache-2.0
 *
 * One machine of VMware Workstation as it lies in its directory: its .vmx read, its disks looked at,
 * its locks found, and what identifies all its files.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_SOURCE_WORKSTATION_VM_H
#define GUTS_MIGRATION_SOURCE_WORKSTATION_VM_H

#include "migration/disk/vmdk.h"
#include "proto/vm.h"

struct workstation_place {
    int directory_fd; /* of the machine; everything it names lies beneath */
    const char *file; /* "web.vmx" */
};
/* Fills all of a vm but its key. What stands in the way becomes the obstacle, the most telling first:
 * encrypted, running, suspended, disks missing or damaged, absurd numbers. False only when the .vmx
 * cannot be opened (FAULT_NOT_FOUND, FAULT_PATH_OUTSIDE, FAULT_DENIED, FAULT_IO). */
bool workstation_vm_read(const struct workstation_place *place, struct arena *arena,
                         struct vm **ret_vm, struct error *err) MUST_CHECK;
/* Inode, size and mtime of the .vmx and of every file of every disk, one a line. */
bool workstation_vm_identity(const struct workstation_place *place, const struct vm *vm,
                             struct arena *arena, const char **ret_identity,
                             struct error *err) MUST_CHECK;
/* By the lock files of VMware: on the .vmx, it runs or is open in Workstation; on a disk or memory file
 * alone, another machine or tool holds what it needs. A lock that cannot be read is no absent lock. */
enum workstation_lock {
    WORKSTATION_FREE,
    WORKSTATION_UNKNOWN,
    WORKSTATION_LOCKED,
    WORKSTATION_RUNNING
};
enum workstation_lock workstation_vm_lock(const struct workstation_place *place);
/* Opens files beneath the machine's directory; borrows the place. */
struct disk_opener workstation_vm_opener(const struct workstation_place *place);

#endif
