/* SPDX-License-Identifier: Apache-2.0 */
#include "api/auth_cache.h"

#include <pthread.h>
#include <string.h>

#include "common/base/clock.h"

#define PLACES 4

struct place {
    uint8_t hash[AUTH_HASH_BYTES];
    uint64_t until_ms; /* 0: empty */
    struct auth_fact fact;
};

struct auth_cache {
    pthread_mutex_t mutex;
    size_t bucket_count;
    struct place *places;
};

struct auth_cache *auth_cache_new(size_t entries_most)
{
    struct auth_cache *cache = xcalloc(1, sizeof(*cache));
    cache->bucket_count = (entries_most + PLACES - 1) / PLACES;
    cache->places = xcalloc(cache->bucket_count * PLACES, sizeof(*cache->places));
    pthread_mutex_init(&cache->mutex, NULL);
    return cache;
}

void auth_cache_free(struct auth_cache *cache)
{
    if (cache == NULL)
        return;
    pthread_mutex_destroy(&cache->mutex);
    free(cache->places);
    free(cache);
}

static struct place *bucket_of(struct auth_cache *cache, const uint8_t *hash)
{
    uint64_t number;
    memcpy(&number, hash, sizeof(number));
    return &cache->places[number % cache->bucket_count * PLACES];
}

static bool place_counts(const struct place *place, const uint8_t *hash)
{
    if (place->until_ms <= clock_mono_ms() || memcmp(place->hash, hash, sizeof(place->hash)) != 0)
        return false;
    const struct auth_fact *fact = &place->fact;
    return fact->kind != AUTH_KNOWN || fact->expires_at == 0 || fact->expires_at > clock_wall_us();
}

bool auth_cache_read(struct auth_cache *cache, const uint8_t hash[AUTH_HASH_BYTES],
                     struct auth_fact *ret_fact)
{
    bool found = false;
    pthread_mutex_lock(&cache->mutex);
    const struct place *bucket = bucket_of(cache, hash);
    for (size_t i = 0; i < PLACES && !found; i++) {
        found = place_counts(&bucket[i], hash);
        if (found)
            *ret_fact = bucket[i].fact;
    }
    pthread_mutex_unlock(&cache->mutex);
    return found;
}

/* The token's own place, or the one that ends first: an empty one has ended long ago. */
static struct place *place_to_take(struct place *bucket, const uint8_t *hash)
{
    struct place *best = &bucket[0];
    for (size_t i = 0; i < PLACES; i++) {
        if (memcmp(bucket[i].hash, hash, sizeof(bucket[i].hash)) == 0)
            return &bucket[i];
        if (bucket[i].until_ms < best->until_ms)
            best = &bucket[i];
    }
    return best;
}

void auth_cache_write(struct auth_cache *cache, const uint8_t hash[AUTH_HASH_BYTES],
                      const struct auth_fact *fact, uint64_t keep_ms)
{
    pthread_mutex_lock(&cache->mutex);
    struct place *place = place_to_take(bucket_of(cache, hash), hash);
    memcpy(place->hash, hash, sizeof(place->hash));
    place->until_ms = clock_mono_ms() + keep_ms;
    place->fact = *fact;
    pthread_mutex_unlock(&cache->mutex);
}
