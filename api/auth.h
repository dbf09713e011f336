/* SPDX-License-Identifier: Apache-2.0
 *
 * Who makes a call. "none": everybody is admin of one project, and only loopback is served. "token":
 * a bearer token or X-Auth-Token, whose hash the store knows; answers are kept for a few seconds in a
 * table of fixed size, so that a revoked token ends soon and a busy one costs no reads. "keystone":
 * the same, and Keystone knows it (keystone.h).
 *
 * Threads: any.
 */
#ifndef GUTS_API_AUTH_H
#define GUTS_API_AUTH_H

#include "api/call.h"

struct keystone_settings;
struct auth_settings {
    const char *kind;    /* "none", "token", "keystone" */
    const char *project; /* of everybody, with "none" */
    const char *listen;  /* where we serve */
    const struct keystone_settings *keystone;
};
/* FAULT_CONFIG for an unknown kind, for "none" beyond loopback, and for what Keystone needs. */
bool auth_check(const struct auth_settings *settings, struct error *err) MUST_CHECK;

struct auth;
/* What the settings point to outlives it. */
bool auth_new(const struct auth_settings *settings, struct auth **ret_auth,
              struct error *err) MUST_CHECK;
/* Lets calls go that wait for somebody's answer. */
void auth_end(struct auth *auth);
void auth_free(struct auth *auth);
const char *auth_challenge(const struct auth *auth); /* "WWW-Authenticate" of a 401 */
/* Fills identity and scope of the call. FAULT_UNAUTHENTICATED, FAULT_FORBIDDEN,
 * FAULT_KEYSTONE_UNAVAILABLE, or the store's. False with call->later set: the request is suspended and
 * will be handled once more; nobody touches it. */
bool auth_identify(struct auth *auth, struct call *call, struct error *err) MUST_CHECK;
/* Whether the role is enough for the route of the call. */
bool auth_permit(const struct call *call, struct error *err) MUST_CHECK;

#endif
