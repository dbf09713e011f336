/* SPDX-License-Identifier: Apache-2.0
 *
 * The source driver for machines of VMware Workstation (and Player, and Fusion's .vmx files) that lie
 * in a directory which the node can read.
 *
 * Threads: as source.h.
 */
#ifndef GUTS_MIGRATION_SOURCE_WORKSTATION_H
#define GUTS_MIGRATION_SOURCE_WORKSTATION_H

#include "migration/source/source.h"

extern const struct source_driver source_workstation;

#endif
