/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker may reach for its one job (by migration/confine.h): the job's directory and the roots
 * that may be written, the roots that may be read, the file that opens seals, and the tools of others
 * that it starts; the network only when a setting of one of its ends is a URL.
 *
 * Threads: before the worker has any but its first.
 */
#ifndef GUTS_MIGRATION_WALLS_H
#define GUTS_MIGRATION_WALLS_H

#include "migration/assign.h"
#include "migration/handover.h"

bool walls_raise(const struct handover *handover, const struct assign *assign,
                 struct error *err) MUST_CHECK;

#endif
