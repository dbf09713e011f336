/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/drivers.h"

#include <string.h>

#include "migration/source/openstack.h"
#include "migration/source/ova.h"
#include "migration/source/workstation.h"

/* One line a driver; the last is NULL. */
const struct source_driver *const source_drivers[] = {
    &fake_source, &source_openstack, &source_ova, &source_workstation, NULL,
};
const size_t source_driver_count = COUNT_OF(source_drivers) - 1;

const struct source_driver *source_driver_find(const char *name)
{
    for (const struct source_driver *const *driver = source_drivers; *driver; driver++) {
        if (strcmp((*driver)->name, name) == 0)
            return *driver;
    }
    return NULL;
}
