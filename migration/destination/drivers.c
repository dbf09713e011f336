/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/destination/drivers.h"

#include <string.h>

#include "migration/destination/local.h"

/* One line a driver; the last is NULL. */
const struct destination_driver *const destination_drivers[] = {
    &fake_destination,
    &destination_local,
    &openstack_destination,
    NULL,
};
const size_t destination_driver_count = COUNT_OF(destination_drivers) - 1;

const struct destination_driver *destination_driver_find(const char *name)
{
    for (const struct destination_driver *const *driver = destination_drivers; *driver; driver++) {
        if (strcmp((*driver)->name, name) == 0)
            return *driver;
    }
    return NULL;
}
