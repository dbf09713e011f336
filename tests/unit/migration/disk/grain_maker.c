/* SPDX-License-Identifier: Apache-2.0 */
#include "grain_maker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>

#include "common/base/memory.h"
#include "migration/disk/vmdk.h"

#define DIRECTORY_SECTOR 4u
#define DATA_SECTOR 128u

void set32(uint8_t *at, uint64_t value)
{
    uint32_t low = (uint32_t)value;
    memcpy(at, &low, sizeof(low));
}

void set64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof(value));
}

bool fill(unsigned index, uint8_t *ret_grain, size_t length)
{
    uint64_t state = index * 0x9e3779b97f4a7c15u + 1;
    for (size_t i = 0; i < length; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint8_t noise = (uint8_t)(state >> 56);
        ret_grain[i] = index % 7 == 1   ? noise
                       : index % 7 == 2 ? 0
                       : index % 7 == 3 ? (i < 30000 ? noise : ret_grain[i - 30000])
                                        : (uint8_t)("guts"[i % 4] + (noise < 20));
    }
    return index % 5 != 4;
}

void image_begin(struct image *image, size_t grain_bytes)
{
    memset(image, 0, sizeof(*image));
    image->grain_bytes = grain_bytes;
    image->length = (size_t)DATA_SECTOR * 512;
    image->data = xcalloc(1, image->length + (size_t)GRAINS * (GRAIN_BYTES + 4096));
    uint64_t capacity = (uint64_t)(GRAINS - 1) * GRAIN_BYTES + LAST_BYTES;
    memcpy(image->data, "KDMV", 4);
    set32(image->data + 4, 3);
    set32(image->data + 8, 1u << 16 | 1u << 17 | 1);
    set64(image->data + 12, capacity / 512);
    set64(image->data + 20, grain_bytes / 512);
    set32(image->data + 44, 512);
    set64(image->data + 56, DIRECTORY_SECTOR);
    set64(image->data + 64, DATA_SECTOR);
    image->data[77] = 1;
    for (unsigned i = 0; i * 512 * grain_bytes < capacity; i++)
        set32(image->data + DIRECTORY_SECTOR * 512 + i * 4, TABLE_SECTOR + i * 4);
}

void image_add(struct image *image, unsigned index, const uint8_t *grain)
{
    uint8_t *at = image->data + image->length;
    uLongf packed = compressBound(image->grain_bytes);
    assert_int_equal(compress2(at + 12, &packed, grain, image->grain_bytes, 1), Z_OK);
    set64(at, index * image->grain_bytes / 512);
    set32(at + 8, packed);
    image->grains[index] = image->length;
    set32(image->data + TABLE_SECTOR * 512 + index * 4, image->length / 512);
    image->length += (12 + packed + 511) / 512 * 512;
}

struct image whole_image(size_t grain_bytes)
{
    struct image image;
    static uint8_t grain[GRAIN_BYTES];
    image_begin(&image, grain_bytes);
    for (unsigned i = 0; i < GRAINS * (GRAIN_BYTES / grain_bytes); i++) {
        if (i < GRAINS && fill(i, grain, grain_bytes))
            image_add(&image, i, grain);
    }
    return image;
}

struct disk *image_open(const struct image *image)
{
    struct error err = {0};
    struct disk *disk = NULL;
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_int_equal(write(fd, image->data, image->length), (ssize_t)image->length);
    if (!disk_vmdk_open_part(fd, 0, 0, "image", &disk, &err))
        fail_msg("%s", err.text);
    return disk;
}

struct disk *image_disk(size_t grain_bytes)
{
    struct image image = whole_image(grain_bytes);
    struct disk *disk = image_open(&image);
    free(image.data);
    return disk;
}
