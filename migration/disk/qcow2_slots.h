/* SPDX-License-Identifier: Apache-2.0
 *
 * What each cluster of a disk becomes in a stream of packs, learned beforehand: nothing, a plain cluster,
 * or a compressed one with room for so many sectors. A byte each, by tables of 8192. Tables of one kind
 * need none; many mixed ones go to an unlinked file.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_DISK_QCOW2_SLOTS_H
#define GUTS_MIGRATION_DISK_QCOW2_SLOTS_H

#include "migration/disk/disk.h"

#define QCOW2_SLOT_NONE 0u
#define QCOW2_SLOT_PLAIN 255u /* others: sectors */
#define QCOW2_SLOTS_PAGE_BYTES 8192u
#define QCOW2_SLOTS_KEPT 256u /* pages in memory: 128 GiB of disk with data */

struct qcow2_slots {
    uint64_t cluster_count;
    uint32_t table_count;
    uint32_t tables_used; /* those with any */
    uint8_t *kinds;       /* of each table: enum qcow2_slots_kind */
    uint8_t **pages;      /* of mixed tables; NULL: spilled */
    uint32_t pages_kept;
    int spill_fd; /* −1: none */
};
enum qcow2_slots_kind { QCOW2_SLOTS_EMPTY, QCOW2_SLOTS_ALL_PLAIN, QCOW2_SLOTS_MIXED };

bool qcow2_slots_build(struct disk *from, const char *spill_directory,
                       struct qcow2_slots *ret_slots, struct error *err) MUST_CHECK;
void qcow2_slots_fini(struct qcow2_slots *slots);
/* The slots of one table. */
bool qcow2_slots_page(const struct qcow2_slots *slots, uint32_t table,
                      uint8_t ret_page[QCOW2_SLOTS_PAGE_BYTES], struct error *err) MUST_CHECK;

/* Where the next slot lies, given where the last one ended; both in bytes from a cluster's start. Plain
 * clusters begin at a cluster's start, packs at a sector's. */
uint64_t qcow2_slot_place(uint8_t slot, uint64_t end);
uint64_t qcow2_slot_bytes(uint8_t slot);

#endif
