/* SPDX-License-Identifier: Apache-2.0
 *
 * A job's work and a session of a cloud whose answers a test scripts.
 */
#ifndef GUTS_TESTS_UNIT_MIGRATION_CLOUD_WORLD_H
#define GUTS_TESTS_UNIT_MIGRATION_CLOUD_WORLD_H

#include <stdint.h>

#include "common/openstack/session.h"
#include "migration/work.h"
#include "tests/unit/openstack/cloud_peer.h"

struct cloud_world {
    struct cloud_peer *peer;
    struct cloud credentials;
    struct openstack_session *session;
    struct work *work;
};
void cloud_world_begin(struct cloud_world *world, cloud_peer_answers *answers, uint32_t attempt);
void cloud_world_end(struct cloud_world *world);
/* Words may be NULL; they are borrowed. */
void cloud_world_say(struct cloud_peer_answer *answer, unsigned status, const char *words);
/* A token whose catalogue has Nova, Glance and Neutron, all of them in the one peer. */
void cloud_world_give_token(const struct cloud_world *world, struct cloud_peer_answer *answer);

#endif
