/* SPDX-License-Identifier: Apache-2.0
 *
 * A qcow2 that somebody gives us to read.
 * sources: migration/disk/qcow2_read.c migration/disk/qcow2_inflate.c migration/disk/disk.c migration/disk/lane.c migration/disk/raw.c proto/fault.c proto/fault_preflight.c
 * packages: libdeflate libzstd
 * seeds: tests/fuzz/seeds_disk qcow2_read
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/disk/qcow2.h"
#include "migration/disk/raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its extents, a few answers of them, and what they say is data. */
static bool walk(struct disk *disk, uint8_t *buffer, size_t most, struct error *err)
{
    uint64_t length = disk_size_bytes(disk), at = 0;
    for (unsigned answers = 0; at < length && answers < 16; answers++) {
        struct disk_extent extents[8];
        size_t count = 0;
        if (!disk_extents(disk, at, length - at < 1 << 26 ? length - at : 1 << 26, extents, 8,
                          &count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            at = extents[i].offset + extents[i].length;
            size_t step = extents[i].length < most ? (size_t)extents[i].length : most;
            if (!disk_read(disk, buffer, step, extents[i].offset, err))
                return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buffer[1 << 20];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    struct disk *file = NULL, *disk = NULL;
    struct error err = {0};
    struct disk_raw_plan plan = {.fd = fd};
    if (!disk_raw_open(&plan, &file, &err) || !disk_qcow2_read_open(file, &disk, &err)) {
        if (err.fault == NULL)
            abort();
        return 0;
    }
    if (!walk(disk, buffer, sizeof(buffer), &err) && err.fault == NULL)
        abort();
    disk_close(disk);
    return 0;
}
