/* SPDX-License-Identifier: Apache-2.0
 *
 * The source driver for OVF packages: .ova files, .ovf descriptors with their disks beside them, and
 * .ova files behind a URL that the node may fetch from.
 *
 * Threads: as source.h.
 */
#ifndef GUTS_MIGRATION_SOURCE_OVA_H
#define GUTS_MIGRATION_SOURCE_OVA_H

#include "migration/source/source.h"

extern const struct source_driver source_ova;

#endif
