/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory: arenas for units of work, growing buffers, cleanup attributes. Allocation aborts when
 * memory is gone; sizes that come from outside are bounded by the caller before they reach us.
 *
 * Threads: an arena and a buffer belong to one thread at a time.
 */
#ifndef GUTS_COMMON_BASE_MEMORY_H
#define GUTS_COMMON_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/error.h"

/* `CLEANUP(arena_freep) struct arena *arena = arena_new();` frees it on every way out. */
#define CLEANUP(function) __attribute__((__cleanup__(function)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Heap, never NULL; sizes are multiplied with overflow checks; zeroed. */
void *xcalloc(size_t count, size_t size) __attribute__((returns_nonnull));
void *xreallocarray(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((returns_nonnull));
char *xasprintf(const char *format, ...) PRINTF_LIKE(1, 2) __attribute__((returns_nonnull));
void xfreep(void *pointer_to_pointer);
void fd_closep(int *fd); /* closes when >= 0 and sets -1 */

/* An arena: everything allocated from it lives until it is reset or freed. */
struct arena;
struct arena *arena_new(void) __attribute__((returns_nonnull));
void arena_free(struct arena *arena);
void arena_freep(struct arena **arena);
void arena_reset(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t size) __attribute__((returns_nonnull)); /* zeroed */
void *arena_calloc(struct arena *arena, size_t count, size_t size) __attribute__((returns_nonnull));
char *arena_strdup(struct arena *arena, const char *text); /* NULL gives NULL */
char *arena_strndup(struct arena *arena, const char *text, size_t length);
void *arena_memdup(struct arena *arena, const void *data, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3);
size_t arena_bytes(const struct arena *arena); /* allocated from the system so far */

/* A byte buffer that grows. `data` is always terminated by a NUL that `length` does not count
 * (also when nothing was written yet: data may be NULL only while length is 0). */
struct buffer {
    char *data;
    size_t length;
    size_t capacity;
};
void buffer_fini(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);
void buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *data, size_t length);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
