/* SPDX-License-Identifier: Apache-2.0
 *
 * What the keys of a .vmx file say about a machine: processors, memory, firmware, cards, disks. Knows
 * nothing of the files that the keys name: capacities are filled by who opens them.
 *
 * Threads: any; everything lives in the arena.
 */
#ifndef GUTS_MIGRATION_SOURCE_VMX_VM_H
#define GUTS_MIGRATION_SOURCE_VMX_VM_H

#include "migration/source/vmx.h"
#include "proto/vm.h"

/* Fills name, uuid, power (off or suspended), firmware, cpus, memory, guest_os, annotation, nics, and
 * the disks in boot order, each with the name of its file as key and without capacity; key, host and
 * obstacle are the caller's. A number that is absurd becomes its bound and shows in ret_odd (one line,
 * or NULL when nothing is). `fallback_name` serves a machine without a name of its own. */
struct vm *vmx_vm(const struct vmx *vmx, const char *fallback_name, struct arena *arena,
                  const char **ret_odd);
bool vmx_is_encrypted(const struct vmx *vmx);
bool vmx_is_suspended(const struct vmx *vmx);

#endif
