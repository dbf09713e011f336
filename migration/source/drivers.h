/* SPDX-License-Identifier: Apache-2.0
 *
 * The source drivers that are built in: one line each, defined in source/<driver>.c and listed in
 * source/drivers.c. Nobody but the list includes this.
 */
#ifndef GUTS_MIGRATION_SOURCE_DRIVERS_H
#define GUTS_MIGRATION_SOURCE_DRIVERS_H

#include "migration/source/source.h"

extern const struct source_driver fake_source;

#endif
