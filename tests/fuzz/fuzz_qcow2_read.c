/* SPDX-License-Identifier: Apache-2.0
 *
 * A qcow2 of a stranger, read.
 * sources: migration/disk/qcow2_read.c migration/disk/disk.c migration/disk/lane.c migration/disk/raw.c proto/fault.c proto/fault_preflight.c
 * packages: libdeflate libzstd
 * seeds: tests/fuzz/seeds_disk qcow2
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/disk/qcow2.h"
#include "migration/disk/raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buffer[1 << 20];
    struct disk_extent extents[64];
    size_t count;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    struct disk *file = NULL, *disk = NULL;
    struct error err = {0};
    struct disk_raw_plan plan = {.fd = fd, .description = "fuzz"};
    if (!disk_raw_open(&plan, &file, &err))
        return 0;
    if (!disk_qcow2_read_open(file, &disk, &err))
        return err.fault == NULL ? (abort(), 0) : 0;
    uint64_t length = disk_size_bytes(disk);
    if (length > sizeof(buffer))
        length = sizeof(buffer);
    (void)!disk_extents(disk, 0, length, extents, 64, &count, &err);
    (void)!disk_read(disk, buffer, (size_t)length, 0, &err);
    disk_close(disk);
    return 0;
}
