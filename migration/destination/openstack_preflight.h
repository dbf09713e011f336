/* SPDX-License-Identifier: Apache-2.0
 *
 * A look at the cloud for one migration: its facts are read (once for a worker), the ports that could be
 * in the way are asked about, and openstack_choice.h says what the vm becomes and what would fail.
 *
 * Threads: as the session's.
 */
#ifndef GUTS_MIGRATION_DESTINATION_OPENSTACK_PREFLIGHT_H
#define GUTS_MIGRATION_DESTINATION_OPENSTACK_PREFLIGHT_H

#include "migration/destination/openstack_choice.h"

/* *facts is read where it is NULL, and kept there for the next look. Options that cannot be read are a
 * fault too. False only when the cloud could not be asked. */
bool openstack_decide(struct openstack_session *session, const struct destination_plan *plan,
                      struct openstack_facts **facts, struct fault_list *faults,
                      struct openstack_options *ret_options, struct openstack_choice *ret_choice,
                      struct error *err) MUST_CHECK;

/* The catalogue: calls take for each fact (the driver's `catalog`). Kinds: flavor, network, volume_type,
 * keypair, security_group, availability_zone, volume_zone, image_format, quota. */
typedef bool openstack_take_item(void *context, const char *kind, const char *id, const char *name,
                                 const json_t *detail, struct error *err);
bool openstack_facts_tell(const struct openstack_facts *facts, openstack_take_item *take,
                          void *context, struct error *err) MUST_CHECK;

#endif
