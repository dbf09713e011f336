/* SPDX-License-Identifier: Apache-2.0
 *
 * A streamOptimized VMDK that comes through a pipe.
 * sources: migration/disk/vmdk_stream.c migration/disk/disk.c proto/fault.c proto/fault_preflight.c
 * packages: libdeflate
 * seeds: tests/fuzz/seeds_disk stream
 */
#include <stdlib.h>
#include <string.h>

#include "migration/disk/disk_ops.h"
#include "migration/disk/vmdk_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rest {
    const uint8_t *data;
    size_t size;
};

static bool pull(void *context, void *ret_data, size_t length, struct error *err)
{
    struct rest *rest = context;
    if (length > rest->size)
        return error_set(err, &FAULT_IO, "unexpected end");
    memcpy(ret_data, rest->data, length);
    rest->data += length;
    rest->size -= length;
    return true;
}

/* The same in two halves, as a copy reads it. */
static void gather(const uint8_t *data, size_t size)
{
    static uint8_t chunk[1 << 20];
    struct rest rest = {data, size};
    struct disk *disk = NULL;
    struct error err = {0};
    if (!disk_vmdk_stream_open((struct disk_bytes){pull, &rest, NULL}, &disk, &err))
        abort(); /* it was opened before */
    uint8_t *room = malloc(disk->gather_bytes);
    uint64_t length = disk_size_bytes(disk), at = 0;
    for (unsigned i = 0; room != NULL && i < 16 && at < length; i++) {
        size_t step = length - at < sizeof(chunk) ? (size_t)(length - at) : sizeof(chunk);
        if (!disk_gather(disk, chunk, room, step, at, &err) ||
            !disk_decode(disk, chunk, room, at, &err))
            break;
        at += step;
    }
    free(room);
    disk_close(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buffer[256 << 10];
    struct rest rest = {data, size};
    struct disk *disk = NULL;
    struct error err = {0};
    if (!disk_vmdk_stream_open((struct disk_bytes){pull, &rest, NULL}, &disk, &err)) {
        if (err.fault == NULL)
            abort();
        return 0;
    }
    uint64_t length = disk_size_bytes(disk), at = 0;
    for (unsigned i = 0; i < 64 && at < length; i++) {
        size_t step = length - at < sizeof(buffer) ? (size_t)(length - at) : sizeof(buffer);
        if (!disk_read(disk, buffer, step, at, &err))
            break;
        at += step;
    }
    disk_close(disk);
    gather(data, size);
    return 0;
}
