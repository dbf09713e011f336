/* SPDX-License-Identifier: Apache-2.0 */
#include "api/keystone_policy.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define ROLES_MOST 1000

static bool list_has(const struct conf_strings *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcasecmp(list->items[i], name) == 0)
            return true;
    return false;
}

static enum access_role role_of(const struct keystone_policy *policy, const char *name)
{
    if (list_has(&policy->admin, name))
        return ACCESS_ADMIN;
    if (list_has(&policy->member, name))
        return ACCESS_MEMBER;
    return list_has(&policy->reader, name) ? ACCESS_READER : ACCESS_NONE;
}

/* An admin of a project that may not have admins is a member of it. */
static enum access_role highest_role(const struct keystone_policy *policy, const json_t *roles,
                                     const char *project)
{
    enum access_role best = ACCESS_NONE;
    bool may_be_admin =
        policy->admin_projects.count == 0 || list_has(&policy->admin_projects, project);
    for (size_t i = 0; i < json_array_size(roles) && i < ROLES_MOST; i++) {
        const char *name = json_string_value(json_object_get(json_array_get(roles, i), "name"));
        enum access_role role = name != NULL ? role_of(policy, name) : ACCESS_NONE;
        if (role == ACCESS_ADMIN && !may_be_admin)
            role = ACCESS_MEMBER;
        if (role > best)
            best = role;
    }
    return best;
}

bool keystone_time_parse(const char *text, uint64_t *ret_wall_us)
{
    struct tm moment = {0};
    const char *rest = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &moment) : NULL;
    unsigned fraction = 0;
    int used = 0;
    if (rest == NULL || strlen(rest) > 16)
        return false;
    if (*rest == '.') {
        if (sscanf(rest, ".%6u%n", &fraction, &used) != 1 || used < 2)
            return false;
        for (int digits = used - 1; digits < 6; digits++)
            fraction *= 10;
        rest += used;
    }
    time_t seconds = timegm(&moment);
    if (seconds < 0 || strcmp(rest, "Z") != 0)
        return false;
    *ret_wall_us = (uint64_t)seconds * 1000000 + fraction;
    return true;
}

static void copy_name(const json_t *token, char *ret_name, size_t size)
{
    const json_t *user = json_object_get(token, "user");
    const char *name = json_string_value(json_object_get(user, "name"));
    const char *domain =
        json_string_value(json_object_get(json_object_get(user, "domain"), "name"));
    snprintf(ret_name, size, "%s@%s", name != NULL ? name : "?", domain != NULL ? domain : "?");
}

bool keystone_policy_apply(const struct keystone_policy *policy, const json_t *token,
                           struct auth_fact *ret_fact, struct error *err)
{
    struct auth_fact fact = {.kind = AUTH_KNOWN};
    const char *expires = json_string_value(json_object_get(token, "expires_at"));
    const char *project =
        json_string_value(json_object_get(json_object_get(token, "project"), "id"));
    if (!keystone_time_parse(expires, &fact.expires_at))
        return error_set(err, &FAULT_INVALID, "the token's \"expires_at\" cannot be understood");
    if (project != NULL && (project[0] == '\0' || strlen(project) >= sizeof(fact.project)))
        return error_set(err, &FAULT_INVALID, "the token's project id cannot be understood");
    copy_name(token, fact.name, sizeof(fact.name));
    if (project != NULL) {
        snprintf(fact.project, sizeof(fact.project), "%s", project);
        fact.role = highest_role(policy, json_object_get(token, "roles"), project);
        fact.sees_all = fact.role == ACCESS_ADMIN && policy->admins_see_all;
    }
    *ret_fact = fact;
    return true;
}
