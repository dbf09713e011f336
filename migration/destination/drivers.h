/* SPDX-License-Identifier: Apache-2.0
 *
 * The destination drivers that are built in: one line each, defined in destination/<driver>.c and listed in
 * destination/drivers.c. Nobody but the list includes this.
 */
#ifndef GUTS_MIGRATION_DESTINATION_DRIVERS_H
#define GUTS_MIGRATION_DESTINATION_DRIVERS_H

#include "migration/destination/destination.h"

extern const struct destination_driver fake_destination;
extern const struct destination_driver openstack_destination;

#endif
