/* SPDX-License-Identifier: Apache-2.0
 *
 * Who makes a call. "none": everybody is admin of one project, and only loopback is served. "token":
 * a bearer token or X-Auth-Token, whose hash the store knows; answers are kept for a few seconds in a
 * table of fixed size, so that a revoked token ends soon and a busy one costs no reads.
 *
 * Threads: any.
 */
#ifndef GUTS_API_AUTH_H
#define GUTS_API_AUTH_H

#include "api/call.h"

#define AUTH_CACHE_MS 3000

struct auth;
/* `project`: of everybody, with "none". FAULT_CONFIG for an unknown kind, and for "none" beyond
 * loopback. */
bool auth_new(const char *kind, const char *project, const char *listen, struct auth **ret_auth,
              struct error *err) MUST_CHECK;
void auth_free(struct auth *auth);
/* Fills identity and scope of the call. FAULT_UNAUTHENTICATED, FAULT_FORBIDDEN, or the store's. */
bool auth_identify(struct auth *auth, struct call *call, struct error *err) MUST_CHECK;
/* Whether the role is enough for the route of the call. */
bool auth_permit(const struct call *call, struct error *err) MUST_CHECK;

#endif
