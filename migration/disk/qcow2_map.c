/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/qcow2_map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/qcow2_inner.h"

#define EXTENTS 256

/* The table that is being filled; clusters come in order. */
struct filling {
    struct qcow2_map *map;
    const char *spill_directory;
    uint64_t next; /* the first cluster not yet noted */
    uint32_t table;
    uint8_t page[QCOW2_MAP_PAGE_BYTES];
};

static uint32_t clusters_in(const struct qcow2_map *map, uint32_t table)
{
    uint64_t rest = map->cluster_count - (uint64_t)table * QCOW2_TABLE_ENTRIES;
    return rest < QCOW2_TABLE_ENTRIES ? (uint32_t)rest : QCOW2_TABLE_ENTRIES;
}

static bool page_spill(struct filling *filling, struct error *err)
{
    struct qcow2_map *map = filling->map;
    if (map->spill_fd < 0) {
        if (filling->spill_directory == NULL)
            return error_set(err, &FAULT_TOO_LARGE, "no room for the map of a disk");
        map->spill_fd = open(filling->spill_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (map->spill_fd < 0)
            return error_set_errno(err, errno, "cannot make a file in \"%s\"",
                                   filling->spill_directory);
    }
    return file_pwrite_all(map->spill_fd, filling->page, sizeof(filling->page),
                           (uint64_t)filling->table * QCOW2_MAP_PAGE_BYTES, err);
}

/* Keeps what is noted of the present table and goes to another. */
static bool page_end(struct filling *filling, uint32_t next_table, struct error *err)
{
    struct qcow2_map *map = filling->map;
    uint32_t count = map->counts[filling->table];
    bool ok = true;
    if (count > 0 && count < clusters_in(map, filling->table)) {
        if (map->pages_kept < QCOW2_MAP_PAGES_KEPT) {
            uint8_t *page = xcalloc(1, QCOW2_MAP_PAGE_BYTES);
            memcpy(page, filling->page, QCOW2_MAP_PAGE_BYTES);
            map->pages[filling->table] = page;
            map->pages_kept++;
        } else {
            ok = page_spill(filling, err);
        }
    }
    map->data_count += count;
    map->tables_used += count > 0;
    filling->table = next_table;
    memset(filling->page, 0, sizeof(filling->page));
    return ok;
}

static bool note_data(struct filling *filling, uint64_t offset, uint64_t length, struct error *err)
{
    uint64_t first = offset / QCOW2_CLUSTER_BYTES;
    uint64_t last = (offset + length - 1) / QCOW2_CLUSTER_BYTES;
    if (first < filling->next)
        first = filling->next; /* noted by the extent before */
    for (uint64_t i = first; i <= last; i++) {
        uint32_t table = (uint32_t)(i / QCOW2_TABLE_ENTRIES);
        if (table != filling->table && !page_end(filling, table, err))
            return false;
        filling->page[i % QCOW2_TABLE_ENTRIES / 8] |= (uint8_t)(1u << (i % 8));
        filling->map->counts[table]++;
    }
    filling->next = last + 1 > filling->next ? last + 1 : filling->next;
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
                !note_data(filling, extents[i].offset, extents[i].length, err))
                return false;
        }
        at = extents[count - 1].offset + extents[count - 1].length;
    }
    return page_end(filling, 0, err);
}

bool qcow2_map_build(struct disk *from, const char *spill_directory, struct qcow2_map *ret_map,
                     struct error *err)
{
    uint64_t size = disk_size_bytes(from);
    struct qcow2_map map = {.cluster_count = (size + QCOW2_CLUSTER_BYTES - 1) / QCOW2_CLUSTER_BYTES,
                            .table_count = qcow2_l1_entries(size),
                            .spill_fd = -1};
    map.counts = xcalloc(map.table_count, sizeof(*map.counts));
    map.pages = xcalloc(map.table_count, sizeof(*map.pages));
    struct filling filling = {.map = &map, .spill_directory = spill_directory};
    if (!note_all(&filling, from, err)) {
        qcow2_map_fini(&map);
        return false;
    }
    *ret_map = map;
    return true;
}

void qcow2_map_fini(struct qcow2_map *map)
{
    for (uint32_t i = 0; i < map->table_count; i++)
        free(map->pages[i]);
    free(map->pages);
    free(map->counts);
    fd_closep(&map->spill_fd);
    *map = (struct qcow2_map){.spill_fd = -1};
}

bool qcow2_map_page(const struct qcow2_map *map, uint32_t table,
                    uint8_t ret_page[QCOW2_MAP_PAGE_BYTES], struct error *err)
{
    uint32_t count = map->counts[table], clusters = clusters_in(map, table);
    memset(ret_page, 0, QCOW2_MAP_PAGE_BYTES);
    if (count == 0)
        return true;
    if (map->pages[table] != NULL) {
        memcpy(ret_page, map->pages[table], QCOW2_MAP_PAGE_BYTES);
        return true;
    }
    if (count < clusters)
        return file_pread_all(map->spill_fd, ret_page, QCOW2_MAP_PAGE_BYTES,
                              (uint64_t)table * QCOW2_MAP_PAGE_BYTES, err);
    for (uint32_t i = 0; i < clusters; i++)
        ret_page[i / 8] |= (uint8_t)(1u << (i % 8));
    return true;
}
