/* SPDX-License-Identifier: Apache-2.0
 *
 * What a token of Keystone's means here: which of our roles, which project's rows. A pure function of
 * Keystone's answer and the configuration.
 *
 * Threads: pure functions over constant data.
 */
#ifndef GUTS_API_KEYSTONE_POLICY_H
#define GUTS_API_KEYSTONE_POLICY_H

#include <jansson.h>

#include "api/auth_cache.h"
#include "common/conf/conf.h"

struct keystone_policy {
    struct conf_strings reader, member, admin; /* names of Keystone's roles, without case */
    struct conf_strings admin_projects;        /* ids; empty: any */
    bool admins_see_all;                       /* rows of all projects, else of the token's */
};

/* `token`: the object "token" of GET /v3/auth/tokens. A token without a project, or with no role that
 * is named here, is known, with the role ACCESS_NONE. FAULT_INVALID: it cannot be understood. */
bool keystone_policy_apply(const struct keystone_policy *policy, const json_t *token,
                           struct auth_fact *ret_fact, struct error *err) MUST_CHECK;
/* "2026-11-21T14:56:38.000000Z" in us since 1970; false for any other shape. */
bool keystone_time_parse(const char *text, uint64_t *ret_wall_us);

#endif
