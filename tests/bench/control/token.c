/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token costs guts-api that Keystone was asked about before: its keyed hash, and the reading of
 * the full cache by several threads at once. Prints the mean of each number of threads; ends with 1 when
 * one is beyond the bar of 0.1 ms.
 */
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "api/auth_cache.h"
#include "common/base/clock.h"

#define ENTRIES 4096
#define TOKENS 2048
#define TOKEN_BYTES 240 /* a Fernet token with a project */
#define CALLS 200000
#define BAR_US 100.0
#define THREADS_MOST 8

static struct auth_cache *cache;
static char tokens[TOKENS][TOKEN_BYTES + 1];
static unsigned char hash_key[crypto_generichash_KEYBYTES];

static void hash_of(const char *token, uint8_t hash[AUTH_HASH_BYTES])
{
    crypto_generichash(hash, AUTH_HASH_BYTES, (const unsigned char *)token, strlen(token), hash_key,
                       sizeof(hash_key));
}

static void fill(void)
{
    const struct auth_fact fact = {.kind = AUTH_KNOWN, .role = ACCESS_MEMBER, .project = "p"};
    uint8_t hash[AUTH_HASH_BYTES];
    cache = auth_cache_new(ENTRIES);
    randombytes_buf(hash_key, sizeof(hash_key));
    for (size_t i = 0; i < TOKENS; i++) {
        for (size_t at = 0; at < TOKEN_BYTES; at++)
            tokens[i][at] = (char)('A' + randombytes_uniform(26));
        hash_of(tokens[i], hash);
        auth_cache_write(cache, hash, &fact, 3600000);
    }
}

static void *ask(void *context)
{
    size_t *found = context;
    uint8_t hash[AUTH_HASH_BYTES];
    struct auth_fact fact;
    for (size_t i = 0; i < CALLS; i++) {
        hash_of(tokens[i % TOKENS], hash);
        *found += auth_cache_read(cache, hash, &fact);
    }
    return NULL;
}

static double mean_us(size_t count)
{
    pthread_t threads[THREADS_MOST];
    size_t found[THREADS_MOST] = {0};
    uint64_t begun = clock_mono_us();
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, ask, &found[i]) != 0)
            abort();
    for (size_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    double mean = (double)(clock_mono_us() - begun) / CALLS;
    printf("%zu threads: %.3f us a token, %.1f %% known\n", count, mean,
           100.0 * (double)found[0] / CALLS);
    return mean;
}

int main(void)
{
    bool met = true;
    if (sodium_init() < 0)
        return 2;
    fill();
    for (size_t count = 1; count <= THREADS_MOST; count *= 2)
        met = mean_us(count) < BAR_US && met;
    auth_cache_free(cache);
    return met ? 0 : 1;
}
