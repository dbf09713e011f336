/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of chunks, the newest first; each new one is twice as large as the last, up to 1 MiB. A
 * reset keeps the first chunk, so that a unit of work of usual size allocates nothing.
 */
#include "common/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_FIRST_BYTES ((size_t)4096)
#define CHUNK_MOST_BYTES ((size_t)1 << 20)
#define ARENA_ALIGNMENT _Alignof(max_align_t)

struct chunk {
    struct chunk *next;
    size_t size; /* of data */
    size_t used;
    _Alignas(max_align_t) char data[];
};

struct arena {
    struct chunk *chunks;
    size_t bytes;
};

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

void arena_reset(struct arena *arena)
{
    struct chunk *chunk = arena->chunks;
    while (chunk != NULL && chunk->next != NULL) {
        struct chunk *next = chunk->next;
        arena->bytes -= sizeof(*chunk) + chunk->size;
        free(chunk);
        chunk = next;
    }
    if (chunk != NULL)
        chunk->used = 0;
    arena->chunks = chunk;
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    arena_reset(arena);
    free(arena->chunks);
    free(arena);
}

void arena_freep(struct arena **arena)
{
    arena_free(*arena);
    *arena = NULL;
}

static void chunk_add(struct arena *arena, size_t least)
{
    size_t size = arena->chunks != NULL ? arena->chunks->size * 2 : CHUNK_FIRST_BYTES;
    if (size > CHUNK_MOST_BYTES)
        size = CHUNK_MOST_BYTES;
    if (size < least)
        size = least;
    struct chunk *chunk = xreallocarray(NULL, sizeof(*chunk) + size, 1);
    *chunk = (struct chunk){arena->chunks, size, 0};
    arena->chunks = chunk;
    arena->bytes += sizeof(*chunk) + size;
}

/* Not zeroed: for callers that fill all of it. */
static void *arena_take(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 4)
        abort(); /* a size that no caller may ask for */
    size_t rounded = (size + ARENA_ALIGNMENT - 1) & ~(ARENA_ALIGNMENT - 1);
    if (arena->chunks == NULL || arena->chunks->size - arena->chunks->used < rounded)
        chunk_add(arena, rounded);
    void *memory = arena->chunks->data + arena->chunks->used;
    arena->chunks->used += rounded;
    return memory;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return memset(arena_take(arena, size), 0, size);
}

void *arena_calloc(struct arena *arena, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        abort();
    return arena_alloc(arena, total);
}

void *arena_memdup(struct arena *arena, const void *data, size_t length)
{
    void *copy = arena_take(arena, length);
    if (length > 0)
        memcpy(copy, data, length);
    return copy;
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    if (text == NULL)
        return NULL;
    size_t size = strnlen(text, length);
    char *copy = arena_take(arena, size + 1);
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text != NULL ? arena_memdup(arena, text, strlen(text) + 1) : NULL;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_take(arena, length > 0 ? (size_t)length + 1 : 1);
    if (length <= 0 || vsnprintf(text, (size_t)length + 1, format, again) < 0)
        text[0] = '\0';
    va_end(again);
    return text;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}
