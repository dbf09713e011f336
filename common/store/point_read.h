/* SPDX-License-Identifier: Apache-2.0
 *
 * For a store that does nothing but read rows by their ids, many times a second: its session is told
 * not to estimate each "IN (…)" anew with a look into the index for every id, which costs a quarter
 * of such a statement and never changes its plan.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_POINT_READ_H
#define GUTS_COMMON_STORE_POINT_READ_H

#include "common/store/store.h"

/* Before reads; costs nothing while the connection is the one that was told already: `connection` is
 * the caller's, 0 at first. */
bool store_expect_point_reads(struct store *store, uint64_t *connection,
                              struct error *err) MUST_CHECK;

#endif
