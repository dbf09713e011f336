/* SPDX-License-Identifier: Apache-2.0
 *
 * A qcow2 file that is to be gone on with after a crash.
 * sources: migration/disk/qcow2_code.c migration/disk/qcow2_file.c migration/disk/qcow2_header.c migration/disk/qcow2_pack.c migration/disk/qcow2_table.c migration/disk/disk.c migration/disk/lane.c migration/disk/raw.c proto/fault.c proto/fault_preflight.c
 * packages: libdeflate libzstd zlib
 * seeds: tests/fuzz/seeds_disk qcow2
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/disk/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buffer[1 << 20];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    struct disk *disk = NULL;
    struct error err = {0};
    struct disk_qcow2_plan plan = {.fd = fd, .lazy = true};
    if (!disk_qcow2_reopen(&plan, &disk, &err)) {
        if (err.fault == NULL)
            abort();
        return 0;
    }
    uint64_t length = disk_size_bytes(disk);
    if (length > sizeof(buffer))
        length = sizeof(buffer);
    (void)!disk_read(disk, buffer, (size_t)length, 0, &err);
    (void)!disk_write(disk, buffer, (size_t)length / 2, length / 3, &err);
    (void)!disk_zero(disk, 0, length / 4, &err);
    (void)!disk_finish(disk, &err);
    return 0;
}
