/* SPDX-License-Identifier: Apache-2.0
 *
 * The destination driver for a directory of this node: each server becomes a directory with its disks
 * (qcow2 or raw) and a libvirt domain XML.
 *
 * Threads: as destination.h.
 */
#ifndef GUTS_MIGRATION_DESTINATION_LOCAL_H
#define GUTS_MIGRATION_DESTINATION_LOCAL_H

#include "migration/destination/destination.h"

extern const struct destination_driver destination_local;

#endif
