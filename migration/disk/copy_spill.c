/* SPDX-License-Identifier: Apache-2.0
 *
 * Pages of a digest list in an unlinked file, mapped. What was touched leaves our memory again after a
 * few pages (the kernel keeps or writes it as it likes), so that the list of a disk of any size costs
 * the same. Room is reserved before a page is touched: a full filesystem is no SIGBUS.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/copy_engine.h"

#define RESIDENT_MOST 16u

struct copy_spill {
    int fd;
    uint8_t *map;
    size_t page_bytes;
    size_t map_bytes;
    size_t last; /* the page that was touched last */
    unsigned touched;
};

struct copy_spill *copy_spill_new(const char *directory, size_t page_bytes, size_t page_count)
{
    CLEANUP(fd_closep) int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    size_t map_bytes = page_bytes * page_count;
    if (fd < 0 || ftruncate(fd, (off_t)map_bytes) < 0)
        return NULL;
    void *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return NULL;
    (void)madvise(map, map_bytes, MADV_RANDOM); /* no neighbours: they would be resident too */
    struct copy_spill *spill = xcalloc(1, sizeof(*spill));
    *spill = (struct copy_spill){
        .fd = fd, .map = map, .page_bytes = page_bytes, .map_bytes = map_bytes, .last = SIZE_MAX};
    fd = -1;
    return spill;
}

void copy_spill_free(struct copy_spill *spill)
{
    if (spill == NULL)
        return;
    (void)munmap(spill->map, spill->map_bytes);
    fd_closep(&spill->fd);
    free(spill);
}

void *copy_spill_page(struct copy_spill *spill, size_t index)
{
    off_t at = (off_t)(index * spill->page_bytes);
    if (posix_fallocate(spill->fd, at, (off_t)spill->page_bytes) != 0)
        return NULL;
    return spill->map + at;
}

bool copy_spill_holds(const struct copy_spill *spill, const void *page)
{
    const uint8_t *at = page;
    return spill != NULL && at >= spill->map && at < spill->map + spill->map_bytes;
}

void copy_spill_touch(struct copy_spill *spill, const void *page)
{
    if (!copy_spill_holds(spill, page))
        return;
    size_t index = (size_t)((const uint8_t *)page - spill->map) / spill->page_bytes;
    if (index == spill->last)
        return;
    spill->last = index;
    if (++spill->touched < RESIDENT_MOST)
        return;
    spill->touched = 0;
    (void)madvise(spill->map, spill->map_bytes, MADV_DONTNEED);
}
