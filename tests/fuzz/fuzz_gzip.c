/* SPDX-License-Identifier: Apache-2.0
 *
 * A compressed disk of a package: raw bytes of a size that the descriptor tells, or a streamOptimized VMDK.
 * sources: migration/disk/gzip.c migration/disk/vmdk_stream.c migration/disk/disk.c migration/disk/lane.c migration/disk/raw.c proto/fault.c proto/fault_preflight.c
 * packages: zlib libdeflate
 * seeds: tests/fuzz/seeds_disk gzip
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/disk/gzip.h"
#include "migration/disk/raw.h"
#include "migration/disk/vmdk_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is in it, unless it is absurdly much: a bomb is read, but not kept. */
static void read_some(struct disk *disk, struct error *err)
{
    static uint8_t buffer[64 << 10];
    uint64_t length = disk_size_bytes(disk) < 8 << 20 ? disk_size_bytes(disk) : 8 << 20;
    for (uint64_t at = 0; at < length;) {
        size_t step = length - at < sizeof(buffer) ? (size_t)(length - at) : sizeof(buffer);
        if (!disk_read(disk, buffer, step, at, err)) {
            if (err->fault == NULL)
                abort();
            return;
        }
        at += step;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err = {0};
    struct disk *file = NULL, *disk = NULL, *inner = NULL;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (size < 2 || fd < 0 || write(fd, data + 2, size - 2) != (ssize_t)size - 2) {
        close(fd);
        return 0;
    }
    uint64_t told = (uint64_t)(data[0] | data[1] << 8) * 512;
    struct disk_raw_plan plan = {.fd = fd, .description = "fuzz"};
    if (!disk_raw_open(&plan, &file, &err) || !disk_gzip_open(file, told, &disk, &err))
        abort();
    if (told == 0) { /* a VMDK, which tells its own */
        inner = disk;
        disk = NULL;
        if (!disk_vmdk_stream_open_over(inner, &disk, &err))
            return err.fault == NULL ? abort(), 0 : 0;
    }
    read_some(disk, &err);
    disk_close(disk);
    return 0;
}
