/* SPDX-License-Identifier: Apache-2.0
 *
 * A vm's hardware in the words of Glance's image properties (Glance, "Useful image properties"), which
 * Nova reads from images and from volumes made of them.
 *
 * Threads: pure functions.
 */
#ifndef GUTS_MIGRATION_DESTINATION_OPENSTACK_WORDS_H
#define GUTS_MIGRATION_DESTINATION_OPENSTACK_WORDS_H

#include <jansson.h>

#include "migration/destination/openstack_options.h"
#include "proto/vm.h"

/* Puts hw_firmware_type, hw_machine_type, hw_disk_bus, hw_scsi_model, hw_vif_model, os_type. */
void openstack_words_put(json_t *properties, const struct vm *vm,
                         const struct openstack_options *options);
/* "linux", "windows", or NULL: nobody knows. */
const char *openstack_words_os(const char *guest_os);

#endif
