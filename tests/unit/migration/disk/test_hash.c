/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/copy_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <xxhash.h>

#include <cmocka.h>

#define MOST (1u << 20)

static void assert_digest(const struct copy_hash *hash, const uint8_t *data, size_t length)
{
    uint8_t digest[COPY_DIGEST_BYTES];
    XXH128_canonical_t wanted;
    XXH128_canonicalFromHash(&wanted, XXH3_128bits(data, length));
    copy_hash_end(hash, digest);
    assert_memory_equal(digest, wanted.digest, sizeof(digest));
}

/* Data and zeroes in turns, of lengths that follow from the seed. */
static void try_mixture(unsigned seed)
{
    uint8_t *data = calloc(1, MOST);
    struct copy_hash *hash = copy_hash_new();
    size_t at = 0;
    srandom(seed);
    for (unsigned turn = seed % 2; at < MOST; turn++) {
        size_t most = random() % 4 == 0 ? 200000 : 9000;
        size_t length = (size_t)random() % most;
        length = length < MOST - at ? length : MOST - at;
        for (size_t i = 0; turn % 2 == 0 && i < length; i++)
            data[at + i] = (uint8_t)random();
        if (turn % 2 == 0)
            copy_hash_add(hash, data + at, length);
        else
            copy_hash_add_zeroes(hash, length);
        at += length;
    }
    assert_digest(hash, data, MOST);
    copy_hash_free(hash);
    free(data);
}

static void zeroes_that_are_leapt_over_give_the_digest_of_hashed_ones(void **state)
{
    for (unsigned seed = 0; seed < 60; seed++)
        try_mixture(seed);
}

static void zeroes_alone_give_their_digest_at_every_length(void **state)
{
    uint8_t *data = calloc(1, MOST);
    struct copy_hash *hash = copy_hash_new();
    for (size_t length = 0; length < MOST; length += length < 3000 ? 1 : length / 3 + 5) {
        copy_hash_begin(hash);
        copy_hash_add_zeroes(hash, length);
        assert_digest(hash, data, length);
    }
    copy_hash_free(hash);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroes_that_are_leapt_over_give_the_digest_of_hashed_ones),
        cmocka_unit_test(zeroes_alone_give_their_digest_at_every_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
