/* SPDX-License-Identifier: Apache-2.0
 *
 * The way from a driver's settings to a cloud: the settings that source and destination share, and the
 * session behind them, confined as the node wants it (certificates beneath its read roots, endpoints on
 * its list of URLs) and ended with the job.
 *
 * Threads: as session.h.
 */
#ifndef GUTS_MIGRATION_OPENSTACK_LINK_H
#define GUTS_MIGRATION_OPENSTACK_LINK_H

#include "common/openstack/session.h"
#include "migration/setting.h"
#include "migration/work.h"

#define LINK_SETTING_COUNT 21
extern const struct setting link_settings[LINK_SETTING_COUNT];

struct link {
    struct work *work;
    struct arena *arena;
    struct cloud cloud;
    struct openstack_session *session;
    int cacert_fd, cert_fd, key_fd; /* −1: none; the cloud's paths lead to them */
};
/* Logs in. FAULT_DESTINATION_CREDENTIALS, FAULT_DESTINATION_UNREACHABLE, or the source's, by `end`.
 * `settings` outlive the link. */
bool link_open(struct work *work, const struct settings *settings, enum end end,
               struct link **ret_link, struct error *err) MUST_CHECK;
void link_close(struct link *link);

#endif
