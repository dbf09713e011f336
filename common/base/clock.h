/* SPDX-License-Identifier: Apache-2.0
 *
 * Time. Deadlines, leases and back-off use the monotonic clock; the wall clock is only shown to
 * people. Tests fake both: while a fake stands, time moves only when told to.
 *
 * Threads: reading is safe from any thread; the fake is for single-threaded tests.
 */
#ifndef GUTS_COMMON_BASE_CLOCK_H
#define GUTS_COMMON_BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_ms(void); /* CLOCK_BOOTTIME: goes on while a host sleeps, as leases must */
uint64_t clock_mono_us(void);
uint64_t clock_wall_us(void);              /* since 1970, UTC */
void clock_sleep_ms(uint64_t duration_ms); /* advances the fake where one stands */

/* RFC 3339, UTC, milliseconds: "2026-01-31T23:59:59.123Z". */
#define CLOCK_TEXT_SIZE 25
void clock_format(uint64_t wall_us, char ret_text[CLOCK_TEXT_SIZE]);

void clock_fake_begin(uint64_t mono_ms, uint64_t wall_us);
void clock_fake_advance(uint64_t duration_ms);
void clock_fake_end(void);

/* Doubling back-off with full jitter: how long to wait before attempt `count` (0 is the first). */
uint64_t clock_backoff_ms(unsigned count, uint64_t first_ms, uint64_t longest_ms);

#endif
