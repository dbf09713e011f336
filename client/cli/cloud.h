/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the API and the token come from in a cloud: as python-openstackclient finds them, from
 * --os-cloud, OS_CLOUD, OS_AUTH_URL and their like, clouds.yaml and secure.yaml. Keystone gives the
 * token, its catalogue the address of service type "migration".
 *
 * Threads: one.
 */
#ifndef GUTS_CLIENT_CLI_CLOUD_H
#define GUTS_CLIENT_CLI_CLOUD_H

#include "common/base/error.h"
#include "client/cli/command.h"

/* Whether the option or the environment names a cloud. */
bool cloud_login_is_named(const char *option);

struct cloud_login;
/* `option`: of --os-cloud, or NULL. Gets a token. What is wrong is told on standard error; returns the
 * exit code. */
int cloud_login_open(const char *option, struct cloud_login **ret_login);
void cloud_login_close(struct cloud_login *login);
const char *cloud_login_token(const struct cloud_login *login);
const char *cloud_login_ca(const struct cloud_login *login); /* NULL: the system's */
/* The address of the API in the catalogue, without its version. */
int cloud_login_url(struct cloud_login *login, const char **ret_url);
/* For guts_settings: a new token in place of one that the API refused; NULL when there is none. */
const char *cloud_login_renew(void *login);

#endif
