/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks which cloud: the address of Keystone, the credentials, the scope, the region. Filled by
 * whoever knows (a driver from its settings) or read as python-openstackclient does: clouds.yaml and
 * secure.yaml, with profiles of clouds-public.yaml (OS_CLIENT_CONFIG_FILE, OS_CLIENT_SECURE_FILE,
 * OS_CLIENT_VENDOR_FILE, ".", "~/.config/openstack", "/etc/openstack"), or the OS_* variables of the environment.
 *
 * Threads: plain data. Texts are borrowed, or live in the arena of cloud_read; secrets are the
 * struct's own: cloud_fini wipes them.
 */
#ifndef GUTS_COMMON_OPENSTACK_CLOUD_H
#define GUTS_COMMON_OPENSTACK_CLOUD_H

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/secret.h"

enum cloud_auth {
    CLOUD_AUTH_PASSWORD,
    CLOUD_AUTH_TOKEN,
    CLOUD_AUTH_APPLICATION_CREDENTIAL,
};
/* The words of auth_type: "password", "token", "v3applicationcredential" … FAULT_UNSUPPORTED else. */
bool cloud_auth_parse(const char *word, enum cloud_auth *ret_auth, struct error *err) MUST_CHECK;

struct cloud {
    enum cloud_auth auth;
    const char *auth_url; /* with or without /v3 */
    const char *username, *user_id, *user_domain_name, *user_domain_id;
    const char *project_name, *project_id, *project_domain_name, *project_domain_id;
    const char *application_credential_id, *application_credential_name;
    const char *region_name; /* NULL: any */
    const char *interface;   /* NULL: "public" */
    const char *cacert;      /* PEM file; NULL: the system's */
    const char *cert, *key;  /* of the client */
    struct secret *password, *token, *application_credential_secret;
    bool insecure; /* certificates are not checked: somebody said so in these words */
};
void cloud_fini(struct cloud *cloud);
/* All that its way of authentication needs is there: FAULT_CONFIG names what is missing. */
bool cloud_check(const struct cloud *cloud, struct error *err) MUST_CHECK;

/* `name` NULL: OS_CLOUD; without it the variables OS_*; without OS_AUTH_URL the only cloud of
 * clouds.yaml. FAULT_NOT_FOUND: no such cloud, or nothing says which; FAULT_CONFIG: a file or a
 * value cannot be understood. */
bool cloud_read(const char *name, struct arena *arena, struct cloud *ret_cloud,
                struct error *err) MUST_CHECK;

#endif
