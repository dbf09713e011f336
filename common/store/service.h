/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemons that stand on the database (api, scheduler): each keeps one row of its own alive.
 * Nodes are in node_view.h.
 *
 * Threads: as the store's.
 */
#ifndef GUTS_COMMON_STORE_SERVICE_H
#define GUTS_COMMON_STORE_SERVICE_H

#include "common/store/store.h"

struct service {
    const char *name; /* "guts-api@host:port" */
    const char *kind; /* "api", "scheduler" */
    const char *host;
    const char *instance;
    const char *version;
    const char *role; /* "leader", "standby", "" */
    uint64_t started_at;
    uint64_t seen_at;   /* written by the database's clock */
    uint64_t silent_ms; /* since seen_at; only read */
};

/* Every few seconds: writes the daemon's own row (all but the last two fields). Rows of the same
 * kind that were silent for a week go. */
bool service_beat(struct store *store, const struct service *service, struct error *err) MUST_CHECK;
/* At an orderly end. */
bool service_leave(struct store *store, const char *name, struct error *err) MUST_CHECK;
bool service_list(struct store *store, struct arena *arena, struct service **ret_services,
                  size_t *ret_count, struct error *err) MUST_CHECK;

#endif
