/* SPDX-License-Identifier: Apache-2.0
 *
 * Is it all zeroes? The question asked of every byte that passes, so it uses the widest vectors that
 * the CPU has, chosen once at run time.
 *
 * Threads: any.
 */
#ifndef GUTS_MIGRATION_DISK_ZERO_H
#define GUTS_MIGRATION_DISK_ZERO_H

#include <stdbool.h>
#include <stddef.h>

bool zero_is(const void *data, size_t length);

/* Splits data at multiples of `block` (a power of two) and returns the length of the first run: blocks
 * that are all zero, or blocks that are not. A run of zero blocks shorter than `least` bytes, with data
 * behind it, counts as data: writing it costs less than a call of its own. */
size_t zero_run(const void *data, size_t length, size_t block, size_t least, bool *ret_is_zero);

#endif
