/* SPDX-License-Identifier: Apache-2.0
 *
 * A VMDK of one or two files: the first two bytes say how long the first (a descriptor) is; 0: there is
 * only one.
 * sources: migration/disk/vmdk.c migration/disk/vmdk_cache.c migration/disk/vmdk_chain.c migration/disk/vmdk_descriptor.c migration/disk/vmdk_grain.c migration/disk/vmdk_pack.c migration/disk/vmdk_sparse.c migration/disk/disk.c migration/disk/lane.c migration/disk/pack.c migration/disk/raw.c proto/fault.c proto/fault_preflight.c
 * packages: libdeflate libxxhash
 * seeds: tests/fuzz/seeds_disk vmdk
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "migration/disk/pack.h"
#include "migration/disk/vmdk.h"

#define STEP_BYTES (256u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct files {
    const uint8_t *first;
    size_t first_length;
    const uint8_t *second;
    size_t second_length;
};

static bool open_file(void *context, const char *name, int *ret_fd, struct error *err)
{
    const struct files *files = context;
    bool is_first = strcmp(name, "first.vmdk") == 0;
    const uint8_t *data = is_first ? files->first : files->second;
    size_t length = is_first ? files->first_length : files->second_length;
    if (data == NULL)
        return error_set(err, &FAULT_NOT_FOUND, "no \"%s\"", name);
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, length) != (ssize_t)length)
        abort();
    *ret_fd = fd;
    return true;
}

/* A room that was told holds the pack that comes. */
static void use_packs(struct disk *disk, uint64_t offset)
{
    static uint8_t buffer[STEP_BYTES], data[STEP_BYTES];
    uint32_t lengths[STEP_BYTES / DISK_PACK_BYTES] = {0}, rooms[STEP_BYTES / DISK_PACK_BYTES];
    struct disk_packs packs = {data, lengths};
    struct error err = {0};
    uint64_t rest = disk_size_bytes(disk) - offset;
    size_t length = rest < STEP_BYTES ? (size_t)rest : STEP_BYTES;
    if (disk_pack_rooms(disk, offset, STEP_BYTES / DISK_PACK_BYTES, rooms, &err) &&
        disk_read_packs(disk, buffer, packs, length, offset, &err)) {
        for (size_t i = 0; i < STEP_BYTES / DISK_PACK_BYTES; i++) {
            if (lengths[i] > DISK_PACK_BYTES || rooms[i] > DISK_PACK_BYTES)
                abort();
        }
    } else if (err.fault == NULL) {
        abort();
    }
}

/* Whatever was opened keeps the promises of disk.h: exact reads or an error, extents in order. */
static void use(struct disk *disk)
{
    static uint8_t buffer[STEP_BYTES];
    struct error err = {0};
    uint64_t size = disk_size_bytes(disk), at = 0;
    for (unsigned i = 0; i < 16 && at < size; i++) {
        struct disk_extent extents[16];
        size_t count = 0;
        if (!disk_extents(disk, at, size - at, extents, 16, &count, &err))
            break;
        for (size_t j = 0; j < count; j++) {
            size_t length = extents[j].length < STEP_BYTES ? (size_t)extents[j].length : STEP_BYTES;
            (void)!disk_read(disk, buffer, length, extents[j].offset, &err);
            use_packs(disk, extents[j].offset / DISK_PACK_BYTES * DISK_PACK_BYTES);
        }
        at = extents[count - 1].offset + extents[count - 1].length;
    }
    size_t tail = size < STEP_BYTES ? (size_t)size : STEP_BYTES;
    (void)!disk_read(disk, buffer, tail, size - tail, &err);
    if (size > 3)
        (void)!disk_read(disk, buffer, 1, size / 3, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t first = (size_t)data[0] | (size_t)data[1] << 8;
    struct files files = {data + 2, size - 2, NULL, 0};
    if (first > 0 && first < size - 2)
        files = (struct files){data + 2, first, data + 2 + first, size - 2 - first};
    struct disk_opener opener = {open_file, &files};
    struct disk *disk = NULL;
    struct error err = {0};
    if (disk_vmdk_open(&opener, "first.vmdk", &disk, &err)) {
        use(disk);
        disk_close(disk);
    } else if (err.fault == NULL) {
        abort(); /* a failure without an error */
    }
    return 0;
}
