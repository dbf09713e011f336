/* SPDX-License-Identifier: Apache-2.0
 *
 * Between ovf.c (the envelope) and ovf_hardware.c (the items of a machine); for them only.
 *
 * Threads: as ovf.h.
 */
#ifndef GUTS_MIGRATION_SOURCE_OVF_INNER_H
#define GUTS_MIGRATION_SOURCE_OVF_INNER_H

#include "migration/source/ovf.h"
#include "migration/source/ovf_xml.h"

/* A disk of the DiskSection, which a machine's item may use. */
struct ovf_disk_entry {
    const char *id;
    const struct ovf_file *file;
    uint64_t capacity_bytes; /* 0: not said, or by a property that only an import knows */
    const char *format;
};
struct ovf_reading {
    struct arena *arena;
    struct ovf *ovf;
    struct ovf_disk_entry *disks;
    size_t disk_count;
    const char *configuration; /* the default one, or NULL */
};
const struct ovf_file *ovf_find_file(const struct ovf *ovf, const char *id);
/* "vmdk", "vpc", … from ovf:format and the name of the file; NULL when neither tells. */
const char *ovf_disk_format(const char *format_uri, const char *href);
/* Fills processors, memory, disks and NICs of the system from a VirtualHardwareSection. */
bool ovf_read_hardware(struct ovf_reading *reading, const xmlNode *section,
                       struct ovf_system *system, struct error *err) MUST_CHECK;

#endif
