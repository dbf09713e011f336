/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's report that would be too large for a message: what is left out, in which order. Every job
 * stays named, since one that is missing counts as lost.
 *
 * Threads: pure.
 */
#ifndef GUTS_MIGRATION_NODE_TRIM_H
#define GUTS_MIGRATION_NODE_TRIM_H

#include "proto/guts.pb-c.h"

/* First the ledger copies go, then results, then steps, disks and notes, each from as many jobs as it
 * takes; which jobs, turns with the report's number, so that all are told in time. */
void report_trim(Guts__V1__NodeReport *report);

#endif
