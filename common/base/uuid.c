/* SPDX-License-Identifier: Apache-2.0
 *
 * The first 60 bits of a version 7 UUID are milliseconds and a counter (RFC 9562, section 6.2,
 * method 1), kept in one atomic number, so that no lock can be held across a fork.
 */
#include "common/base/uuid.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/clock.h"

#define COUNTER_BITS 12

/* Random bytes in store for one thread; a child of fork must not use its parent's. */
struct pool {
    pid_t owner;
    size_t left;
    uint64_t words[32];
};

static uint64_t random_word(void)
{
    static _Thread_local struct pool pool;
    pid_t self = getpid();
    if (pool.left == 0 || pool.owner != self) {
        if (getrandom(pool.words, sizeof(pool.words), 0) != sizeof(pool.words))
            abort(); /* up to 256 bytes never fail once the kernel's generator is ready */
        pool.left = sizeof(pool.words) / sizeof(pool.words[0]);
        pool.owner = self;
    }
    return pool.words[--pool.left];
}

/* Milliseconds << 12 | counter, larger than any given before. */
static uint64_t next_moment(uint64_t random)
{
    static _Atomic uint64_t last;
    uint64_t now = clock_wall_us() / 1000 << COUNTER_BITS | (random & 0x7FF);
    uint64_t before = atomic_load_explicit(&last, memory_order_relaxed);
    uint64_t next;
    do {
        next = now > before ? now : before + 1;
    } while (!atomic_compare_exchange_weak(&last, &before, next));
    return next;
}

static void put_big_endian(uint8_t *into, uint64_t number, size_t bytes)
{
    for (size_t i = bytes; i-- > 0; number >>= 8)
        into[i] = (uint8_t)number;
}

static void set_version(struct uuid *id, uint8_t version)
{
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0F) | version << 4);
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3F) | 0x80);
}

struct uuid uuid_new(void)
{
    uint64_t moment = next_moment(random_word());
    struct uuid id;
    put_big_endian(id.bytes, moment >> COUNTER_BITS, 6);
    put_big_endian(id.bytes + 6, moment & 0xFFF, 2);
    put_big_endian(id.bytes + 8, random_word(), 8);
    set_version(&id, 7);
    return id;
}

struct uuid uuid_derive(const struct uuid *space, const char *text)
{
    struct uuid id;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof(id.bytes));
    crypto_generichash_update(&state, space->bytes, sizeof(space->bytes));
    crypto_generichash_update(&state, (const unsigned char *)text, strlen(text));
    crypto_generichash_final(&state, id.bytes, sizeof(id.bytes));
    set_version(&id, 8);
    return id;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static bool is_dash_place(size_t place)
{
    return place == 8 || place == 13 || place == 18 || place == 23;
}

bool uuid_parse(const char *text, struct uuid *ret_id)
{
    struct uuid id = {{0}};
    size_t digits = 0;
    if (text == NULL || strnlen(text, UUID_TEXT_SIZE) != UUID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
        int value = hex_value(text[i]);
        if (is_dash_place(i) ? text[i] != '-' : value < 0)
            return false;
        if (is_dash_place(i))
            continue;
        id.bytes[digits / 2] = (uint8_t)(id.bytes[digits / 2] << 4 | value);
        digits++;
    }
    *ret_id = id;
    return true;
}

void uuid_format(const struct uuid *id, char ret_text[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char *at = ret_text;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[id->bytes[i] >> 4];
        *at++ = digits[id->bytes[i] & 0x0F];
    }
    *at = '\0';
}

const char *uuid_text(char text[UUID_TEXT_SIZE], const struct uuid *id)
{
    uuid_format(id, text);
    return text;
}

bool uuid_from_bytes(const void *data, size_t length, struct uuid *ret_id)
{
    if (data == NULL || length != UUID_BYTES)
        return false;
    memcpy(ret_id->bytes, data, UUID_BYTES);
    return true;
}

bool uuid_is_nil(const struct uuid *id)
{
    static const struct uuid nil;
    return uuid_equal(id, &nil);
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return uuid_compare(a, b) == 0;
}

int uuid_compare(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, UUID_BYTES);
}
