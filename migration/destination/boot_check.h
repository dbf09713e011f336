/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a machine boots: started under QEMU on throw-away overlays, without network, until a text
 * comes over its first serial port. Knows nothing of who made its disks, and changes nothing of them.
 *
 * Threads: blocks its caller.
 */
#ifndef GUTS_MIGRATION_DESTINATION_BOOT_CHECK_H
#define GUTS_MIGRATION_DESTINATION_BOOT_CHECK_H

#include "common/base/error.h"
#include "proto/vm.h"

struct boot_plan {
    const struct vm *vm;
    const int *disk_fds; /* open for reading; given to QEMU in the order of the vm's disks */
    const char *disk_format;
    bool virtio_disks;
    const char *text;        /* awaited on the console; not empty */
    const char *accelerator; /* "auto", "kvm", "tcg" */
    uint64_t timeout_ms;
    const char *directory; /* for overlays and the copy of the firmware's variables */
    bool (*go_on)(void *context, struct error *err);
    void *context;
};
struct boot_result {
    const char *accelerator; /* the one that it booted with */
    uint64_t duration_ms;
};
/* FAULT_BOOT_FAILED with the last lines of the console; FAULT_UNSUPPORTED when QEMU or the firmware is
 * not installed; go_on's error. */
bool boot_check(const struct boot_plan *plan, struct boot_result *ret_result,
                struct error *err) MUST_CHECK;
/* FAULT_UNSUPPORTED names what is missing on this node. */
bool boot_check_possible(enum vm_firmware firmware, struct error *err) MUST_CHECK;

#endif
