/* SPDX-License-Identifier: Apache-2.0
 *
 * The source "openstack": servers with their volumes, moved cold from one cloud, project or region to
 * another.
 *
 * Threads: as source.h.
 */
#ifndef GUTS_MIGRATION_SOURCE_OPENSTACK_H
#define GUTS_MIGRATION_SOURCE_OPENSTACK_H

#include "migration/source/source.h"

extern const struct source_driver source_openstack;

#endif
