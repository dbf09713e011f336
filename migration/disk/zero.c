/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/zero.h"

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Compares the data with itself, shifted by what is known to be zero: libc's memcmp is vectorised. */
static bool is_zero_portable(const uint8_t *data, size_t length)
{
    static const uint8_t zeroes[16];
    if (length <= sizeof(zeroes))
        return memcmp(data, zeroes, length) == 0;
    return memcmp(data, zeroes, sizeof(zeroes)) == 0 &&
           memcmp(data, data + sizeof(zeroes), length - sizeof(zeroes)) == 0;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static bool is_zero_avx2(const uint8_t *data, size_t length)
{
    while (length >= 128) {
        const __m256i *at = (const __m256i *)(const void *)data;
        __m256i a = _mm256_or_si256(_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1));
        __m256i b = _mm256_or_si256(_mm256_loadu_si256(at + 2), _mm256_loadu_si256(at + 3));
        __m256i all = _mm256_or_si256(a, b);
        if (!_mm256_testz_si256(all, all))
            return false;
        data += 128;
        length -= 128;
    }
    return is_zero_portable(data, length);
}
#endif

bool zero_is(const void *data, size_t length)
{
#if defined(__x86_64__)
    if (length >= 128 && __builtin_cpu_supports("avx2"))
        return is_zero_avx2(data, length);
#endif
    return is_zero_portable(data, length);
}

static size_t same_run(const uint8_t *data, size_t length, size_t block, bool is_zero)
{
    size_t at = 0;
    while (at < length) {
        size_t step = length - at < block ? length - at : block;
        if (zero_is(data + at, step) != is_zero)
            break;
        at += step;
    }
    return at;
}

size_t zero_run(const void *data, size_t length, size_t block, size_t least, bool *ret_is_zero)
{
    const uint8_t *bytes = data;
    size_t run = same_run(bytes, length, block, true);
    if (run == length || (run > 0 && run >= least)) {
        *ret_is_zero = true;
        return run;
    }
    *ret_is_zero = false;
    while (run < length) {
        run += same_run(bytes + run, length - run, block, false);
        size_t zeroes = same_run(bytes + run, length - run, block, true);
        if (zeroes >= least || run + zeroes == length)
            break; /* the zeroes are the next run, or the end */
        run += zeroes;
    }
    return run;
}
