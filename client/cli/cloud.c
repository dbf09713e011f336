/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/http/client.h"
#include "common/openstack/session.h"

#define SERVICE_TYPE "migration"

struct cloud_login {
    struct arena *arena;
    struct cloud cloud;
    struct openstack_session *session;
    const char *token; /* of the session */
};

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

bool cloud_login_is_named(const char *option)
{
    return option != NULL || is_set("OS_CLOUD") || is_set("OS_AUTH_URL");
}

static int tell(const struct error *err)
{
    const struct fault *fault = err->fault;
    fprintf(stderr, "guts: %s\n%s: %s\n", err->text, fault->code, fault->hint);
    if (fault == &FAULT_DENIED)
        return EXIT_DENIED;
    if (fault == &FAULT_CANCELLED)
        return EXIT_INTERRUPTED;
    bool is_ours = fault == &FAULT_CONFIG || fault == &FAULT_INVALID || fault == &FAULT_NOT_FOUND ||
                   fault == &FAULT_UNSUPPORTED;
    return is_ours ? EXIT_USAGE : EXIT_UNREACHABLE;
}

static bool is_wanted(void *context, struct error *err)
{
    return !interrupted || error_set(err, &FAULT_CANCELLED, "interrupted");
}

static bool login(struct cloud_login *login, const char *option, struct error *err)
{
    const struct openstack_settings settings = {
        .cloud = &login->cloud, .agent = "guts/" GUTS_VERSION, .go_on = is_wanted};
    return cloud_read(option, login->arena, &login->cloud, err) &&
           openstack_open(&settings, &login->session, err) &&
           openstack_token(login->session, 60000, &login->token, err);
}

int cloud_login_open(const char *option, struct cloud_login **ret_login)
{
    struct error err = {0};
    struct cloud_login *made = xcalloc(1, sizeof(*made));
    http_client_library_begin();
    made->arena = arena_new();
    if (login(made, option, &err)) {
        *ret_login = made;
        return EXIT_DONE;
    }
    cloud_login_close(made);
    return tell(&err);
}

void cloud_login_close(struct cloud_login *login)
{
    if (login == NULL)
        return;
    openstack_close(login->session);
    cloud_fini(&login->cloud);
    arena_free(login->arena);
    free(login);
    http_client_library_end();
}

const char *cloud_login_token(const struct cloud_login *login)
{
    return login->token;
}

const char *cloud_login_ca(const struct cloud_login *login)
{
    return login->cloud.cacert;
}

int cloud_login_url(struct cloud_login *login, const char **ret_url)
{
    struct error err = {0};
    const char *url;
    if (!openstack_endpoint(login->session, SERVICE_TYPE, &url, &err)) {
        if (err.fault == &FAULT_NOT_FOUND)
            fprintf(stderr, "guts: --url or GUTS_URL may say where the API is; an administrator "
                            "registers it with guts-manage keystone-setup\n");
        return tell(&err);
    }
    size_t length = strlen(url);
    if (length > 3 && strcmp(url + length - 3, "/v1") == 0)
        length -= 3; /* the library adds its own */
    *ret_url = arena_strndup(login->arena, url, length);
    return EXIT_DONE;
}

const char *cloud_login_renew(void *context)
{
    struct cloud_login *login = context;
    struct error err = {0};
    openstack_forget_token(login->session);
    if (!openstack_token(login->session, 60000, &login->token, &err)) {
        tell(&err);
        return NULL;
    }
    return login->token;
}
