/* SPDX-License-Identifier: Apache-2.0
 *
 * A thing at a far end that carries the mark of a migration, as the end itself shows it: found by
 * listing, not by the ledger. Whether the ledger knows of it is for others to say.
 *
 * Threads: plain data.
 */
#ifndef GUTS_MIGRATION_MARK_H
#define GUTS_MIGRATION_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/uuid.h"

struct mark {
    const char *kind; /* the ledger's word for it: "disk", "server", … */
    const char *key;  /* names it at its end; the ledger's key or external id of the entry */
    struct uuid migration;
    uint32_t attempt; /* 0: it does not say */
};
/* Called for each; the mark is the callee's during the call. */
typedef bool mark_take(void *context, const struct mark *mark, struct error *err);

#endif
