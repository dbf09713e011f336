/* SPDX-License-Identifier: Apache-2.0
 *
 * streamOptimized images in memory, good and bad ones, for tests.
 */
#ifndef GUTS_TESTS_GRAIN_MAKER_H
#define GUTS_TESTS_GRAIN_MAKER_H

#include "migration/disk/disk.h"

#define GRAINS 640u /* more than one table of 512 */
#define GRAIN_BYTES (64u << 10)
#define LAST_BYTES 1536u /* of the disk's last grain */
#define TABLE_SECTOR 8u  /* and the second behind it */

void set32(uint8_t *at, uint64_t value); /* little-endian */
void set64(uint8_t *at, uint64_t value);

struct image {
    uint8_t *data;
    size_t length;
    size_t grain_bytes;
    uint64_t grains[GRAINS]; /* where each lies; 0: missing */
};
/* What grain `index` holds: text, noise, zeroes or a long repetition; false: it is missing. */
bool fill(unsigned index, uint8_t *ret_grain, size_t length);
void image_begin(struct image *image, size_t grain_bytes);
void image_add(struct image *image, unsigned index, const uint8_t *grain);
struct image whole_image(size_t grain_bytes);
struct disk *image_open(const struct image *image);
struct disk *image_disk(size_t grain_bytes); /* over a whole image */

#endif
