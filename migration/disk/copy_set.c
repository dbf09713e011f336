/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/memory.h"
#include "migration/disk/copy_engine.h"

struct copy_set {
    uint64_t chunk_count; /* of the disk */
    uint64_t count;
    uint64_t *bits;
};

struct copy_set *copy_set_new(uint64_t size_bytes)
{
    struct copy_set *set = xcalloc(1, sizeof(*set));
    set->chunk_count = size_bytes / COPY_CHUNK_BYTES + (size_bytes % COPY_CHUNK_BYTES != 0);
    set->bits = xcalloc((size_t)(set->chunk_count / 64 + 1), sizeof(*set->bits));
    return set;
}

void copy_set_free(struct copy_set *set)
{
    if (set == NULL)
        return;
    free(set->bits);
    free(set);
}

bool copy_set_has(const struct copy_set *set, uint64_t index)
{
    return index < set->chunk_count && (set->bits[index / 64] >> (index % 64) & 1) != 0;
}

void copy_set_add(struct copy_set *set, uint64_t index)
{
    if (index >= set->chunk_count || copy_set_has(set, index))
        return;
    set->bits[index / 64] |= 1ull << (index % 64);
    set->count++;
}

uint64_t copy_set_count(const struct copy_set *set)
{
    return set->count;
}
