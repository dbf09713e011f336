/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/qcow2_slots.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"
#include "proto/fault.h"

#define EXTENTS 256
#define BATCH 256u /* clusters whose rooms are asked for at once */

/* The table that is being filled; clusters come in order. */
struct filling {
    struct qcow2_slots *slots;
    const char *spill_directory;
    uint64_t next; /* the first cluster not yet noted */
    uint32_t table;
    uint32_t count; /* noted in it */
    uint32_t plain;
    uint8_t page[QCOW2_SLOTS_PAGE_BYTES];
};

uint64_t qcow2_slot_place(uint8_t slot, uint64_t end)
{
    return slot == QCOW2_SLOT_PLAIN
               ? (end + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES * QCOW2_CLUSTER_BYTES
               : end;
}

uint64_t qcow2_slot_bytes(uint8_t slot)
{
    return slot == QCOW2_SLOT_PLAIN ? QCOW2_CLUSTER_BYTES : (uint64_t)slot * QCOW2_SECTOR_BYTES;
}

static uint32_t clusters_in(const struct qcow2_slots *slots, uint32_t table)
{
    uint64_t rest = slots->cluster_count - (uint64_t)table * QCOW2_TABLE_ENTRIES;
    return rest < QCOW2_TABLE_ENTRIES ? (uint32_t)rest : QCOW2_TABLE_ENTRIES;
}

static bool page_spill(struct filling *filling, struct error *err)
{
    struct qcow2_slots *slots = filling->slots;
    if (slots->spill_fd < 0) {
        if (filling->spill_directory == NULL)
            return error_set(err, &FAULT_TOO_LARGE, "no room for the map of a disk");
        slots->spill_fd = open(filling->spill_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (slots->spill_fd < 0)
            return error_set_errno(err, errno, "cannot make a file in \"%s\"",
                                   filling->spill_directory);
    }
    return file_pwrite_all(slots->spill_fd, filling->page, sizeof(filling->page),
                           (uint64_t)filling->table * QCOW2_SLOTS_PAGE_BYTES, err);
}

/* Keeps what is noted of the present table and goes to another. */
static bool page_end(struct filling *filling, uint32_t next_table, struct error *err)
{
    struct qcow2_slots *slots = filling->slots;
    bool ok = true;
    if (filling->plain == clusters_in(slots, filling->table)) {
        slots->kinds[filling->table] = QCOW2_SLOTS_ALL_PLAIN;
    } else if (filling->count > 0) {
        slots->kinds[filling->table] = QCOW2_SLOTS_MIXED;
        if (slots->pages_kept < QCOW2_SLOTS_KEPT) {
            slots->pages[filling->table] = xcalloc(1, QCOW2_SLOTS_PAGE_BYTES);
            memcpy(slots->pages[filling->table], filling->page, QCOW2_SLOTS_PAGE_BYTES);
            slots->pages_kept++;
        } else {
            ok = page_spill(filling, err);
        }
    }
    slots->tables_used += filling->count > 0;
    filling->table = next_table;
    filling->count = filling->plain = 0;
    memset(filling->page, 0, sizeof(filling->page));
    return ok;
}

/* The disk's last cluster is cut: its bytes are no pack's. */
static uint8_t slot_for(uint64_t cluster, uint32_t room, uint64_t disk_bytes)
{
    bool is_whole = (cluster + 1) * QCOW2_CLUSTER_BYTES <= disk_bytes;
    if (!is_whole || room == 0 || room > QCOW2_CLUSTER_BYTES)
        return QCOW2_SLOT_PLAIN;
    return (uint8_t)((room + QCOW2_SECTOR_BYTES - 1) / QCOW2_SECTOR_BYTES);
}

static bool note_data(struct filling *filling, struct disk *from, uint64_t offset, uint64_t length,
                      struct error *err)
{
    uint64_t at = offset / QCOW2_CLUSTER_BYTES;
    uint64_t end = (offset + length - 1) / QCOW2_CLUSTER_BYTES + 1;
    if (at < filling->next)
        at = filling->next; /* noted by the extent before */
    while (at < end) {
        uint32_t rooms[BATCH];
        size_t count = end - at < BATCH ? (size_t)(end - at) : BATCH;
        if (!disk_pack_rooms(from, at * QCOW2_CLUSTER_BYTES, count, rooms, err))
            return false;
        for (size_t i = 0; i < count; i++, at++) {
            uint32_t table = (uint32_t)(at / QCOW2_TABLE_ENTRIES);
            if (table != filling->table && !page_end(filling, table, err))
                return false;
            uint8_t slot = slot_for(at, rooms[i], disk_size_bytes(from));
            filling->page[at % QCOW2_TABLE_ENTRIES] = slot;
            filling->count++;
            filling->plain += slot == QCOW2_SLOT_PLAIN;
        }
    }
    filling->next = end > filling->next ? end : filling->next;
    return true;
}

static bool note_all(struct filling *filling, struct disk *from, struct error *err)
{
    uint64_t size = disk_size_bytes(from);
    for (uint64_t at = 0; at < size;) {
        struct disk_extent extents[EXTENTS];
        size_t count = 0;
        if (!disk_extents(from, at, size - at, extents, EXTENTS, &count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            if (extents[i].kind == DISK_EXTENT_DATA &&
                !note_data(filling, from, extents[i].offset, extents[i].length, err))
                return false;
        }
        at = extents[count - 1].offset + extents[count - 1].length;
    }
    return page_end(filling, 0, err);
}

bool qcow2_slots_build(struct disk *from, const char *spill_directory,
                       struct qcow2_slots *ret_slots, struct error *err)
{
    uint64_t size = disk_size_bytes(from);
    struct qcow2_slots slots = {.cluster_count =
                                    (size + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES,
                                .table_count = qcow2_l1_entries(size),
                                .spill_fd = -1};
    slots.kinds = xcalloc(slots.table_count, sizeof(*slots.kinds));
    slots.pages = xcalloc(slots.table_count, sizeof(*slots.pages));
    struct filling filling = {.slots = &slots, .spill_directory = spill_directory};
    if (!note_all(&filling, from, err)) {
        qcow2_slots_fini(&slots);
        return false;
    }
    *ret_slots = slots;
    return true;
}

void qcow2_slots_fini(struct qcow2_slots *slots)
{
    for (uint32_t i = 0; i < slots->table_count; i++)
        free(slots->pages[i]);
    free(slots->pages);
    free(slots->kinds);
    fd_closep(&slots->spill_fd);
    *slots = (struct qcow2_slots){.spill_fd = -1};
}

bool qcow2_slots_page(const struct qcow2_slots *slots, uint32_t table,
                      uint8_t ret_page[QCOW2_SLOTS_PAGE_BYTES], struct error *err)
{
    memset(ret_page, QCOW2_SLOT_NONE, QCOW2_SLOTS_PAGE_BYTES);
    if (slots->kinds[table] == QCOW2_SLOTS_EMPTY)
        return true;
    if (slots->kinds[table] == QCOW2_SLOTS_ALL_PLAIN) {
        memset(ret_page, QCOW2_SLOT_PLAIN, clusters_in(slots, table));
        return true;
    }
    if (slots->pages[table] == NULL)
        return file_pread_all(slots->spill_fd, ret_page, QCOW2_SLOTS_PAGE_BYTES,
                              (uint64_t)table * QCOW2_SLOTS_PAGE_BYTES, err);
    memcpy(ret_page, slots->pages[table], QCOW2_SLOTS_PAGE_BYTES);
    return true;
}
