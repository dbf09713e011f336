/* SPDX-License-Identifier: Apache-2.0
 *
 * Sizes and durations as people write them: "64MiB", "512", "10s", "200ms". Whole numbers only. A
 * duration without a unit is refused unless it is 0: nobody should guess.
 *
 * Threads: any; no state.
 */
#ifndef GUTS_COMMON_CONF_UNIT_H
#define GUTS_COMMON_CONF_UNIT_H

#include <stdbool.h>
#include <stdint.h>

bool unit_parse_size(const char *text, uint64_t *ret_bytes);  /* B KiB MiB GiB TiB PiB */
bool unit_parse_duration(const char *text, uint64_t *ret_ms); /* ms s m h d */

#endif
