/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's report that would be too large for a message: a full one is told in parts, of any other
 * something is left out until the next. Every job stays named, since one that is missing counts as
 * lost.
 *
 * Threads: pure.
 */
#ifndef GUTS_MIGRATION_NODE_TRIM_H
#define GUTS_MIGRATION_NODE_TRIM_H

#include "common/base/memory.h"
#include "proto/guts.pb-c.h"

/* First goes what lies in conversion spaces, then results, then steps, disks and notes, each from as many jobs as it takes; which jobs, turns
 * with the report's number, so that all are told in time. Ledger copies stay. */
void report_trim(Guts__V1__NodeReport *report);

/* The reports to send instead of this one, in order; the last is *report, trimmed. Where its ledger
 * copies do not fit, others come before it, which hold nothing but jobs and copies; then it has the last
 * of their numbers, and all of them count parts. Of the arena. */
Guts__V1__NodeReport **report_split(Guts__V1__NodeReport *report, struct arena *arena,
                                    size_t *ret_count);

#endif
