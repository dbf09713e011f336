/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/openstack/link.h"

#include <fcntl.h>
#include <string.h>

#define TEXT_HELP(field, words)                                                                    \
    {                                                                                              \
        .name = #field, .type = SETTING_TEXT, .help = words                                        \
    }
#define SECRET_HELP(field, words)                                                                  \
    {                                                                                              \
        .name = #field, .type = SETTING_TEXT, .secret = true, .help = words                        \
    }
const struct setting link_settings[LINK_SETTING_COUNT] = {
    {.name = "auth_url",
     .type = SETTING_URL,
     .required = true,
     .address = true,
     .help = "of Keystone, version 3: https://keystone.example.org:5000/v3"},
    {.name = "auth_type",
     .type = SETTING_TEXT,
     .standard = "password",
     .choices = "password|v3applicationcredential|token",
     .help = "password, v3applicationcredential or token (which nobody can renew)"},
    TEXT_HELP(username, "of the user, with its domain"),
    TEXT_HELP(user_id, "instead of the name and its domain"),
    TEXT_HELP(user_domain_name, "of the user's name; without a domain \"default\""),
    TEXT_HELP(user_domain_id, "instead of its name"),
    TEXT_HELP(project_name, "where servers live"),
    TEXT_HELP(project_id, "instead of its name"),
    TEXT_HELP(project_domain_name, "of the project's name"),
    TEXT_HELP(project_domain_id, "instead of its name"),
    TEXT_HELP(application_credential_id, "of an application credential"),
    TEXT_HELP(application_credential_name, "instead of its id, with the user"),
    TEXT_HELP(region_name, "of a cloud with several"),
    {.name = "interface",
     .type = SETTING_TEXT,
     .standard = "public",
     .choices = "public|internal|admin",
     .help = "which endpoints of the catalogue: public, internal or admin"},
    {.name = "cacert",
     .type = SETTING_PATH,
     .address = true,
     .help = "PEM file on the nodes, beneath a read root: who signs the cloud's certificates"},
    {.name = "cert", .type = SETTING_PATH, .help = "PEM file: our certificate"},
    {.name = "key", .type = SETTING_PATH, .help = "PEM file: its key"},
    {.name = "insecure",
     .type = SETTING_BOOLEAN,
     .address = true,
     .standard = "false",
     .help = "do not check the cloud's certificates: whoever is in between reads all"},
    SECRET_HELP(password, "of the user"),
    SECRET_HELP(token, "instead of a password"),
    SECRET_HELP(application_credential_secret, "of the application credential"),
};

/* -- settings ------------------------------------------------------------------------------------------ */

/* An empty text is none. */
static const char *text_of(const struct settings *settings, const char *name)
{
    const char *text = settings_text(settings, name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

static struct secret *secret_of(const struct settings *settings, const char *name)
{
    const struct secret *secret = settings_secret(settings, name);
    return secret != NULL && secret_length(secret) > 0
               ? secret_new(secret_reveal(secret), secret_length(secret))
               : NULL;
}

/* A file on the node, opened beneath its roots: libcurl reads it through the descriptor. */
static bool take_file(struct link *link, const struct settings *settings, const char *name, int *fd,
                      const char **ret_path, struct error *err)
{
    const char *path = text_of(settings, name);
    if (path == NULL)
        return true;
    if (!roots_open_file(work_roots(link->work), path, O_RDONLY, fd, err))
        return error_prefix(err, "\"%s\"", name);
    *ret_path = arena_printf(link->arena, "/proc/self/fd/%d", *fd);
    return true;
}

static bool take_cloud(struct link *link, const struct settings *settings, struct error *err)
{
    link->cloud = (struct cloud){
        .auth_url = text_of(settings, "auth_url"),
        .username = text_of(settings, "username"),
        .user_id = text_of(settings, "user_id"),
        .user_domain_name = text_of(settings, "user_domain_name"),
        .user_domain_id = text_of(settings, "user_domain_id"),
        .project_name = text_of(settings, "project_name"),
        .project_id = text_of(settings, "project_id"),
        .project_domain_name = text_of(settings, "project_domain_name"),
        .project_domain_id = text_of(settings, "project_domain_id"),
        .application_credential_id = text_of(settings, "application_credential_id"),
        .application_credential_name = text_of(settings, "application_credential_name"),
        .region_name = text_of(settings, "region_name"),
        .interface = text_of(settings, "interface"),
        .password = secret_of(settings, "password"),
        .token = secret_of(settings, "token"),
        .application_credential_secret = secret_of(settings, "application_credential_secret"),
        .insecure = settings_boolean(settings, "insecure"),
    };
    const char *type = text_of(settings, "auth_type");
    return cloud_auth_parse(type != NULL ? type : "password", &link->cloud.auth, err) &&
           take_file(link, settings, "cacert", &link->cacert_fd, &link->cloud.cacert, err) &&
           take_file(link, settings, "cert", &link->cert_fd, &link->cloud.cert, err) &&
           take_file(link, settings, "key", &link->key_fd, &link->cloud.key, err);
}

/* -- what the session asks ------------------------------------------------------------------------------ */

static bool allow_url(void *context, const char *url, struct error *err)
{
    const struct link *link = context;
    return roots_allow_url(work_roots(link->work), url, err);
}

static bool allow_address(void *context, const char *url, const struct sockaddr *address)
{
    const struct link *link = context;
    return roots_allow_address(work_roots(link->work), url, address);
}

static bool go_on(void *context, struct error *err)
{
    struct link *link = context;
    return work_go_on(link->work, err);
}

static bool may_change(void *context, struct error *err)
{
    struct link *link = context;
    return work_fence(link->work, err);
}

/* -- life ----------------------------------------------------------------------------------------------- */

static bool log_in(struct link *link, enum end end, struct error *err)
{
    bool source = end == END_SOURCE;
    const char *token;
    if (openstack_token(link->session, 0, &token, err))
        return true;
    if (err->fault == &FAULT_DENIED || err->fault == &FAULT_CONFIG)
        err->fault = source ? &FAULT_SOURCE_CREDENTIALS : &FAULT_DESTINATION_CREDENTIALS;
    else if (err->fault == &FAULT_UNAVAILABLE || err->fault == &FAULT_TIMEOUT ||
             err->fault == &FAULT_IO || err->fault == &FAULT_NOT_FOUND)
        err->fault = source ? &FAULT_SOURCE_UNREACHABLE : &FAULT_DESTINATION_UNREACHABLE;
    return false;
}

bool link_open(struct work *work, const struct settings *settings, enum end end,
               struct link **ret_link, struct error *err)
{
    struct link *link = xcalloc(1, sizeof(*link));
    *link = (struct link){.work = work, .cacert_fd = -1, .cert_fd = -1, .key_fd = -1};
    link->arena = arena_new();
    struct openstack_settings session = {
        .cloud = &link->cloud,
        .agent = "guts-migration/" GUTS_VERSION,
        .allow_url = allow_url,
        .allow_address = allow_address,
        .allow_context = link,
        .go_on = go_on,
        .go_on_context = link,
        .may_change = may_change,
        .may_change_context = link,
    };
    if (!take_cloud(link, settings, err) || !openstack_open(&session, &link->session, err) ||
        !log_in(link, end, err)) {
        if (err->fault == &FAULT_CONFIG)
            err->fault =
                end == END_SOURCE ? &FAULT_SOURCE_CREDENTIALS : &FAULT_DESTINATION_CREDENTIALS;
        link_close(link);
        return false;
    }
    *ret_link = link;
    return true;
}

void link_close(struct link *link)
{
    if (link == NULL)
        return;
    openstack_close(link->session);
    cloud_fini(&link->cloud);
    fd_closep(&link->cacert_fd);
    fd_closep(&link->cert_fd);
    fd_closep(&link->key_fd);
    arena_free(link->arena);
    free(link);
}
