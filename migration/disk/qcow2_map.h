/* SPDX-License-Identifier: Apache-2.0
 *
 * Which clusters of a disk hold data, learned from its extents: a bit each, kept by tables of 8192.
 * Empty and full tables need no bits; many mixed ones go to an unlinked file.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_DISK_QCOW2_MAP_H
#define GUTS_MIGRATION_DISK_QCOW2_MAP_H

#include "migration/disk/disk.h"

#define QCOW2_MAP_PAGE_BYTES 1024u /* 8192 bits */
#define QCOW2_MAP_PAGES_KEPT 256u

struct qcow2_map {
    uint64_t cluster_count;
    uint64_t data_count; /* clusters with data */
    uint32_t table_count;
    uint32_t tables_used; /* those with any */
    uint32_t *counts;     /* of each table */
    uint8_t **pages;      /* NULL: empty, full or spilled */
    uint32_t pages_kept;
    int spill_fd; /* −1: none; the page of table i at i * QCOW2_MAP_PAGE_BYTES */
};
bool qcow2_map_build(struct disk *from, const char *spill_directory, struct qcow2_map *ret_map,
                     struct error *err) MUST_CHECK;
void qcow2_map_fini(struct qcow2_map *map);
/* The bits of one table, lowest cluster in the lowest bit of the first byte. */
bool qcow2_map_page(const struct qcow2_map *map, uint32_t table,
                    uint8_t ret_page[QCOW2_MAP_PAGE_BYTES], struct error *err) MUST_CHECK;

#endif
