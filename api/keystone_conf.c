/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of section "keystone". */
#include "api/keystone.h"

#define OF(field) offsetof(struct keystone_settings, field)
const struct conf_key keystone_conf_keys[] = {
    {"auth_url", CONF_STRING, OF(auth_url), false, "", 0, 0,
     "Keystone's address, with auth \"keystone\""},
    {"www_authenticate_uri", CONF_STRING, OF(www_url), false, "", 0, 0,
     "the address that callers without a token are told; empty: auth_url"},
    {"user", CONF_STRING, OF(user), false, "guts", 1, 255,
     "our own user, which validates tokens (guts-manage keystone-setup makes it)"},
    {"password_file", CONF_SECRET_FILE, OF(password), false, NULL, 0, 0, "holds its password"},
    {"user_domain", CONF_STRING, OF(user_domain), false, "Default", 1, 64, "name of its domain"},
    {"project", CONF_STRING, OF(project), false, "service", 1, 64, "project of our own user"},
    {"project_domain", CONF_STRING, OF(project_domain), false, "Default", 1, 64,
     "name of the project's domain"},
    {"ca_file", CONF_STRING, OF(ca), false, "", 0, 0,
     "certificates (PEM) to trust; empty: the system's"},
    {"certificate", CONF_STRING, OF(certificate), false, "", 0, 0,
     "our own certificate (PEM), where Keystone wants one"},
    {"key", CONF_STRING, OF(key), false, "", 0, 0, "its key (PEM)"},
    {"insecure", CONF_BOOL, OF(insecure), false, "false", 0, 0,
     "true: Keystone's certificate is not checked"},
    {"cache", CONF_DURATION, OF(cache_ms), false, "60s", 1000, 3600000,
     "a token counts for so long before it is shown to Keystone again"},
    {"cache_refused", CONF_DURATION, OF(refused_ms), false, "5s", 100, 60000,
     "the same for what is no token"},
    {"cache_entries", CONF_INTEGER, OF(entries_most), false, "4096", 64, 1000000,
     "tokens that are remembered"},
    {"timeout", CONF_DURATION, OF(timeout_ms), false, "5s", 100, 60000,
     "Keystone counts as away when it gives no answer for so long"},
    {"lookups", CONF_INTEGER, OF(lookups), false, "4", 1, 16, "questions to Keystone at once"},
    {"reader_roles", CONF_STRINGS, OF(policy.reader), false, "[\"reader\"]", 0, 64,
     "roles of Keystone that may read"},
    {"member_roles", CONF_STRINGS, OF(policy.member), false, "[\"member\", \"_member_\"]", 0, 64,
     "roles that may migrate"},
    {"admin_roles", CONF_STRINGS, OF(policy.admin), false, "[\"admin\"]", 0, 64,
     "roles that may everything"},
    {"admin_projects", CONF_STRINGS, OF(policy.admin_projects), false, "[]", 0, 64,
     "ids of the projects in which an admin is one of ours, else a member; none: in all"},
    {"admins_see_all", CONF_BOOL, OF(policy.admins_see_all), false, "true", 0, 0,
     "admins see the rows of all projects; false: of the token's"},
};
const size_t keystone_conf_key_count = COUNT_OF(keystone_conf_keys);
#undef OF
