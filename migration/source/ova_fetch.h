/* SPDX-License-Identifier: Apache-2.0
 *
 * An OVA file behind a URL: ranges of it, and the whole of it into a directory. The URL is held against
 * the node's allow list before each connection; redirects are not followed.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_SOURCE_OVA_FETCH_H
#define GUTS_MIGRATION_SOURCE_OVA_FETCH_H

#include "migration/source/tarball.h"
#include "migration/work.h"

struct ova_fetch;
bool ova_fetch_open(struct work *work, const char *url, struct ova_fetch **ret_fetch,
                    struct error *err) MUST_CHECK;
void ova_fetch_close(struct ova_fetch *fetch);
/* Borrows the fetch. FAULT_SOURCE_UNREACHABLE, FAULT_NOT_FOUND, FAULT_SOURCE_CREDENTIALS, and
 * FAULT_UNSUPPORTED for a server without ranges. */
struct tarball_reader ova_fetch_reader(struct ova_fetch *fetch);
/* Downloads into `path`, which then is whole; what is there whole already is kept. At most `most` bytes. */
bool ova_fetch_all(struct ova_fetch *fetch, const char *path, uint64_t most,
                   struct error *err) MUST_CHECK;

#endif
