/* SPDX-License-Identifier: Apache-2.0
 *
 * Leases, from both sides. The page is memory that daemon and worker share: the daemon writes it,
 * the worker sees it read-only and checks it itself, so that a daemon that is frozen cannot make a
 * lease last. Times are clock_mono_ms (CLOCK_BOOTTIME, the same for all processes of a host).
 *
 * The clock remembers when each report was sent: a lease runs from there, never from the receipt of
 * its renewal.
 *
 * Threads: the page by any; a clock by one.
 */
#ifndef GUTS_MIGRATION_LEASE_H
#define GUTS_MIGRATION_LEASE_H

#include <stdatomic.h>
#include <stdint.h>

#include "common/base/error.h"
#include "proto/words.h"

struct lease_page {
    _Atomic uint64_t until_ms;         /* outside changes may begin before this */
    _Atomic uint32_t wanted;           /* enum wanted */
    _Atomic uint64_t bytes_per_second; /* 0: no limit */
    _Atomic uint64_t limit_until_ms;   /* the limit's own expiry; 0: none */
};

/* The daemon's side: a sealed memfd that nobody else can write to. The caller closes *ret_fd. */
bool lease_page_new(struct lease_page **ret_page, int *ret_fd, struct error *err) MUST_CHECK;
/* The worker's side: read-only. */
bool lease_page_map(int fd, const struct lease_page **ret_page, struct error *err) MUST_CHECK;
void lease_page_free(const struct lease_page *page);

bool lease_holds(const struct lease_page *page, uint64_t now_ms);
void lease_extend(struct lease_page *page, uint64_t until_ms); /* never shortens */
/* Cancel and fenced are never taken back. */
void lease_want(struct lease_page *page, enum wanted wanted);
enum wanted lease_wanted(const struct lease_page *page);
/* An expired limit leaves none: shares are sent again with each renewal while they count. */
uint64_t lease_rate(const struct lease_page *page, uint64_t now_ms);

#define LEASE_CLOCK_REPORTS 256
struct lease_clock {
    uint64_t numbers[LEASE_CLOCK_REPORTS];
    uint64_t sent_ms[LEASE_CLOCK_REPORTS];
};
void lease_clock_sent(struct lease_clock *clock, uint64_t report, uint64_t now_ms);
/* False when that report is unknown or too old to remember: such a renewal gives no lease. */
bool lease_clock_find(const struct lease_clock *clock, uint64_t report, uint64_t *ret_sent_ms);

#endif
