/* SPDX-License-Identifier: Apache-2.0
 *
 * A block of zeroes (16 stripes of 64 bytes) changes the eight accumulators of XXH3 by constants, which
 * follow from the secret, and one scramble. So whole blocks within a run of zeroes are leapt over: what
 * stands in the buffer of the state, all of it zeroes then, stays as it is. This builds on the layout
 * of the state, which the library may change: at the first use a leap is compared with plain hashing,
 * and without agreement there are no leaps.
 * Source: XXH3 specification (doc/xxhash_spec.md of xxHash), "XXH3 Algorithm Overview", long inputs.
 */
#include "migration/disk/copy_hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#define XXH_STATIC_LINKING_ONLY /* the layout of the state */
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

#include "common/base/memory.h"

#define ZERO_PAGE_BYTES (64u << 10)
#define LANES 8u
#define STRIPES 16u /* of a block, with the secret of 192 bytes */
#define BLOCK_BYTES 1024u
#define SCRAMBLE_AT 128u           /* in the secret */
#define SCRAMBLE_PRIME 2654435761u /* XXH_PRIME32_1 */
#define LEAST_LEAP_BYTES (8u << 10)
static const uint8_t zero_page[ZERO_PAGE_BYTES];

struct copy_hash {
    XXH3_state_t *state;
};

/* What so many stripes of zeroes add from the secret's beginning on: sums[n] of the first n. */
static struct {
    uint64_t sums[STRIPES + 1][LANES];
    uint64_t scramble[LANES];
    bool on;
} leaps;
static pthread_once_t leaps_once = PTHREAD_ONCE_INIT;

static uint64_t secret_at(const uint8_t *secret, size_t at)
{
    uint64_t value = 0;
    for (unsigned i = 8; i-- > 0;)
        value = value << 8 | secret[at + i];
    return value;
}

static void leaps_fill(const uint8_t *secret)
{
    for (unsigned lane = 0; lane < LANES; lane++) {
        for (unsigned stripe = 0; stripe < STRIPES; stripe++) {
            uint64_t key = secret_at(secret, stripe * 8 + lane * 8);
            leaps.sums[stripe + 1][lane] =
                leaps.sums[stripe][lane] + (key & UINT32_MAX) * (key >> 32);
        }
        leaps.scramble[lane] = secret_at(secret, SCRAMBLE_AT + lane * 8);
    }
}

/* The lanes side by side, for each step of one waits for its last; in plain registers, since without a
 * 64-bit multiplication of vectors compilers make the product of shifts. */
static void leap_blocks(XXH3_state_t *state, uint64_t blocks)
{
    size_t so_far = state->nbStripesSoFar;
    uint64_t acc[LANES], rest[LANES];
    const uint64_t *past = leaps.sums[so_far], *key = leaps.scramble;
    for (unsigned lane = 0; lane < LANES; lane++) {
        acc[lane] = state->acc[lane] - past[lane];
        rest[lane] = leaps.sums[STRIPES][lane];
    }
    for (uint64_t i = 0; i < blocks; i++) {
#pragma GCC unroll 8
        for (unsigned lane = 0; lane < LANES; lane++) {
            uint64_t value = acc[lane] + rest[lane];
            __asm__("" : "+r"(value));
            acc[lane] = (value ^ value >> 47 ^ key[lane]) * SCRAMBLE_PRIME;
        }
    }
    for (unsigned lane = 0; lane < LANES; lane++)
        state->acc[lane] = acc[lane] + past[lane];
    state->totalLen += blocks * BLOCK_BYTES;
}

static void add_plain(XXH3_state_t *state, uint64_t length)
{
    while (length > 0) {
        size_t step = length < ZERO_PAGE_BYTES ? (size_t)length : ZERO_PAGE_BYTES;
        XXH3_128bits_update(state, zero_page, step);
        length -= step;
    }
}

/* After a block of zeroes nothing else stands in the buffer. */
static void add_leaping(XXH3_state_t *state, uint64_t length)
{
    XXH3_128bits_update(state, zero_page, BLOCK_BYTES);
    leap_blocks(state, length / BLOCK_BYTES - 1);
    add_plain(state, length % BLOCK_BYTES);
}

static bool leaps_agree(XXH3_state_t *leaping, XXH3_state_t *plain)
{
    static const uint64_t runs[] = {16384, 70000, 9999, 262144, 8192};
    uint8_t data[777];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        XXH3_128bits_update(leaping, data, sizeof(data) - i * 100);
        XXH3_128bits_update(plain, data, sizeof(data) - i * 100);
        add_leaping(leaping, runs[i]);
        add_plain(plain, runs[i]);
        if (!XXH128_isEqual(XXH3_128bits_digest(leaping), XXH3_128bits_digest(plain)))
            return false;
    }
    return true;
}

static void leaps_begin(void)
{
    XXH3_state_t *leaping = XXH3_createState(), *plain = XXH3_createState();
    if (leaping == NULL || plain == NULL)
        abort();
    XXH3_128bits_reset(leaping);
    XXH3_128bits_reset(plain);
    bool known = XXH_versionNumber() == XXH_VERSION_NUMBER && leaping->extSecret != NULL &&
                 leaping->secretLimit == SCRAMBLE_AT && leaping->nbStripesPerBlock == STRIPES;
    if (known)
        leaps_fill(leaping->extSecret);
    leaps.on = known && leaps_agree(leaping, plain);
    XXH3_freeState(leaping);
    XXH3_freeState(plain);
}

struct copy_hash *copy_hash_new(void)
{
    struct copy_hash *hash = xcalloc(1, sizeof(*hash));
    hash->state = XXH3_createState();
    if (hash->state == NULL)
        abort();
    pthread_once(&leaps_once, leaps_begin);
    copy_hash_begin(hash);
    return hash;
}

void copy_hash_free(struct copy_hash *hash)
{
    XXH3_freeState(hash->state);
    free(hash);
}

void copy_hash_begin(struct copy_hash *hash)
{
    XXH3_128bits_reset(hash->state);
}

void copy_hash_add(struct copy_hash *hash, const void *data, size_t length)
{
    XXH3_128bits_update(hash->state, data, length);
}

void copy_hash_add_zeroes(struct copy_hash *hash, uint64_t length)
{
    if (length >= LEAST_LEAP_BYTES && leaps.on)
        add_leaping(hash->state, length);
    else
        add_plain(hash->state, length);
}

void copy_hash_end(const struct copy_hash *hash, uint8_t ret_digest[COPY_DIGEST_BYTES])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(hash->state));
    memcpy(ret_digest, canonical.digest, COPY_DIGEST_BYTES);
}
