/* SPDX-License-Identifier: Apache-2.0
 *
 * An OVF descriptor (DMTF DSP0243, versions 1 and 2, and what VMware and VirtualBox add to it) as
 * machines. Knows nothing of the files that it names. Hostile input: no document type, no entities, no
 * network; sizes and counts are bounded.
 *
 * Threads: any, each parse by one thread; everything lives in the arena.
 */
#ifndef GUTS_MIGRATION_SOURCE_OVF_H
#define GUTS_MIGRATION_SOURCE_OVF_H

#include "common/base/error.h"
#include "common/base/memory.h"
#include "proto/vm.h"

#define OVF_BYTES_MOST (4u << 20)
#define OVF_SYSTEMS_MOST 256
#define OVF_FILES_MOST 1024

struct ovf_file {
    const char *id;
    const char *href;
    bool compressed; /* ovf:compression is given and not "identity" */
    bool gzip;       /* it is "gzip" */
    bool chunked;    /* ovf:chunkSize is given */
};
/* Of one disk of a machine, beside what vm.h holds. */
struct ovf_disk {
    const struct ovf_file *file; /* NULL: an empty disk, made anew at each import */
};
struct ovf_system {
    const char *id;         /* ovf:id */
    struct vm *vm;          /* disk keys are hrefs ("" for an empty disk); no key, no obstacle */
    struct ovf_disk *disks; /* as many as vm->disk_count */
};
struct ovf {
    struct ovf_system *systems;
    size_t system_count;
    struct ovf_file *files;
    size_t file_count;
};
/* FAULT_VM_CONFIG_INVALID says what is wrong; FAULT_TOO_LARGE for absurd sizes and counts. */
bool ovf_parse(const char *data, size_t length, struct arena *arena, struct ovf **ret_ovf,
               struct error *err) MUST_CHECK;

/* number × units ("byte * 2^30", "MegaBytes", "GB", "" for `standard_unit`); false when the unit is not
 * known or the product does not fit. */
bool ovf_bytes(uint64_t number, const char *units, uint64_t standard_unit, uint64_t *ret_bytes);

#endif
