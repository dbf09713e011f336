/* SPDX-License-Identifier: Apache-2.0
 *
 * XXH3-128 of a chunk, to which runs of zeroes cost next to nothing: the digest is the one that hashing
 * them would give. For copy_*.c.
 *
 * Threads: a hash belongs to one at a time.
 */
#ifndef GUTS_MIGRATION_DISK_COPY_HASH_H
#define GUTS_MIGRATION_DISK_COPY_HASH_H

#include "migration/disk/copy.h"

struct copy_hash;
struct copy_hash *copy_hash_new(void);
void copy_hash_free(struct copy_hash *hash);
void copy_hash_begin(struct copy_hash *hash);
void copy_hash_add(struct copy_hash *hash, const void *data, size_t length);
void copy_hash_add_zeroes(struct copy_hash *hash, uint64_t length);
/* In canonical form (big-endian). */
void copy_hash_end(const struct copy_hash *hash, uint8_t ret_digest[COPY_DIGEST_BYTES]);

#endif
