/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes guts known to Keystone: service type "migration", its endpoints, the user with which guts-api
 * validates tokens. What is there already stays; an endpoint with another address is changed.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/secret.h"
#include "common/http/client.h"
#include "common/openstack/session.h"
#include "manage/manage.h"

#define PASSWORD_FILE "/etc/guts/keystone.password"
#define PASSWORD_BYTES 24

enum { URL, INTERNAL, ADMIN, REGION, CLOUD, USER, PASSWORD, PROJECT, DOMAIN, ROLE };

struct setup {
    struct arena *arena;
    struct cloud cloud; /* of the administrator */
    struct openstack_session *session;
    struct secret *password; /* of our own user */
    const char *const *values;
    const char *region;
    const char *service, *domain, *project, *user, *role; /* ids */
};

static void tell(const char *what, const char *name, const char *deed)
{
    printf("%s \"%s\": %s\n", what, name, deed);
}

/* -- things of Keystone's --------------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* The id of the only member of a list, NULL when there is none; several are a conflict. */
static bool find_one(struct setup *setup, const char *path, const char *list, const char *what,
                     const char **ret_id, json_t **ret_found, struct error *err)
{
    json_t *all = NULL;
    if (!openstack_get(setup->session, "identity", path, NULL, list, &all, err))
        return error_prefix(err, "looking for %s", what);
    const json_t *one = json_array_get(all, 0);
    bool is_one = json_array_size(all) <= 1;
    *ret_id = one != NULL ? arena_strdup(setup->arena, text_of(one, "id")) : NULL;
    if (ret_found != NULL)
        *ret_found = json_incref((json_t *)one);
    json_decref(all);
    return is_one || error_set(err, &FAULT_CONFLICT, "Keystone has more than one %s", what);
}

static bool send_change(struct setup *setup, const char *method, const char *path, json_t *body,
                        const char *name, const char **ret_id, struct error *err)
{
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    const struct openstack_call call = {
        .method = method, .service = "identity", .path = path, .body = body};
    bool done = openstack_call(setup->session, &call, &reply, err);
    if (done && ret_id != NULL)
        *ret_id = arena_strdup(setup->arena, text_of(json_object_get(reply.json, name), "id"));
    json_decref(body);
    return done || error_prefix(err, "%s %s", method, path);
}

/* Finds a thing by its name, or makes it from `body`, which is taken. */
static bool find_or_make(struct setup *setup, const char *kind, const char *name, const char *query,
                         json_t *body, const char **ret_id, struct error *err)
{
    const char *path = arena_printf(setup->arena, "/%ss?name=%s%s", kind,
                                    openstack_escape(setup->arena, name), query);
    const char *list = arena_printf(setup->arena, "%ss", kind);
    if (!find_one(setup, path, list, kind, ret_id, NULL, err)) {
        json_decref(body);
        return false;
    }
    tell(kind, name, *ret_id != NULL ? "is there" : "made");
    if (*ret_id != NULL) {
        json_decref(body);
        return true;
    }
    return send_change(setup, "POST", arena_printf(setup->arena, "/%s", list), body, kind, ret_id,
                       err);
}

/* -- the steps ------------------------------------------------------------------------------------------ */

static bool make_service(struct setup *setup, struct error *err)
{
    if (!find_one(setup, "/services?type=migration", "services", "service of type \"migration\"",
                  &setup->service, NULL, err))
        return false;
    tell("service", "migration", setup->service != NULL ? "is there" : "made");
    return setup->service != NULL ||
           send_change(setup, "POST", "/services",
                       json_pack("{s:{s:s,s:s,s:s}}", "service", "name", "guts", "type",
                                 "migration", "description", "moves virtual machines"),
                       "service", &setup->service, err);
}

static bool make_endpoint(struct setup *setup, const char *interface, const char *url,
                          struct error *err)
{
    json_t *found = NULL;
    const char *id;
    const char *path =
        arena_printf(setup->arena, "/endpoints?service_id=%s&interface=%s&region_id=%s",
                     setup->service, interface, openstack_escape(setup->arena, setup->region));
    if (!find_one(setup, path, "endpoints", "endpoint of that service, interface and region", &id,
                  &found, err))
        return false;
    bool is_right = found != NULL && strcmp(text_of(found, "url"), url) == 0;
    json_decref(found);
    tell("endpoint", interface, is_right ? "is there" : id != NULL ? "changed" : "made");
    if (is_right)
        return true;
    if (id != NULL)
        return send_change(setup, "PATCH", arena_printf(setup->arena, "/endpoints/%s", id),
                           json_pack("{s:{s:s}}", "endpoint", "url", url), "endpoint", NULL, err);
    return send_change(setup, "POST", "/endpoints",
                       json_pack("{s:{s:s,s:s,s:s,s:s}}", "endpoint", "service_id", setup->service,
                                 "interface", interface, "url", url, "region_id", setup->region),
                       "endpoint", NULL, err);
}

static bool make_endpoints(struct setup *setup, struct error *err)
{
    const char *const *values = setup->values;
    const char *internal = values[INTERNAL] != NULL ? values[INTERNAL] : values[URL];
    return make_endpoint(setup, "public", values[URL], err) &&
           make_endpoint(setup, "internal", internal, err) &&
           make_endpoint(setup, "admin", values[ADMIN] != NULL ? values[ADMIN] : internal, err);
}

/* A password that is there is kept; else one is made, for its owner alone. */
static bool read_password(struct setup *setup, struct error *err)
{
    const char *path = setup->values[PASSWORD];
    unsigned char random[PASSWORD_BYTES];
    char text[2 * PASSWORD_BYTES + 1];
    if (access(path, F_OK) != 0) {
        randombytes_buf(random, sizeof(random));
        sodium_bin2hex(text, sizeof(text), random, sizeof(random));
        bool written = file_replace(path, 0600, text, strlen(text), err);
        secret_wipe(text, sizeof(text));
        secret_wipe(random, sizeof(random));
        if (!written)
            return false;
        tell("password", path, "made");
    }
    return secret_load(path, &setup->password, err);
}

/* Whether our user can log in with the file's password. */
static bool password_is_right(const struct setup *setup)
{
    struct cloud cloud = setup->cloud;
    cloud.auth = CLOUD_AUTH_PASSWORD;
    cloud.username = setup->values[USER];
    cloud.user_id = NULL;
    cloud.user_domain_name = NULL;
    cloud.user_domain_id = setup->domain;
    cloud.project_name = cloud.project_domain_name = cloud.project_domain_id = NULL;
    cloud.project_id = setup->project;
    cloud.password = setup->password;
    CLEANUP(openstack_closep) struct openstack_session *session = NULL;
    const struct openstack_settings settings = {.cloud = &cloud,
                                                .agent = "guts-manage/" GUTS_VERSION};
    const char *token;
    struct error err = {0};
    return openstack_open(&settings, &session, &err) &&
           openstack_token(session, 1000, &token, &err);
}

static bool set_password(struct setup *setup, struct error *err)
{
    if (password_is_right(setup))
        return true;
    tell("password of user", setup->values[USER], "changed to that of the file");
    return send_change(setup, "PATCH", arena_printf(setup->arena, "/users/%s", setup->user),
                       json_pack("{s:{s:s}}", "user", "password", secret_reveal(setup->password)),
                       "user", NULL, err);
}

static bool make_user(struct setup *setup, struct error *err)
{
    const char *const *values = setup->values;
    const char *domain = openstack_escape(setup->arena, values[DOMAIN]);
    if (!find_one(setup, arena_printf(setup->arena, "/domains?name=%s", domain), "domains",
                  "domain of that name", &setup->domain, NULL, err))
        return false;
    if (setup->domain == NULL)
        return error_set(err, &FAULT_NOT_FOUND, "there is no domain \"%s\"", values[DOMAIN]);
    const char *query = arena_printf(setup->arena, "&domain_id=%s", setup->domain);
    return find_or_make(setup, "project", values[PROJECT], query,
                        json_pack("{s:{s:s,s:s}}", "project", "name", values[PROJECT], "domain_id",
                                  setup->domain),
                        &setup->project, err) &&
           find_or_make(setup, "user", values[USER], query,
                        json_pack("{s:{s:s,s:s,s:s,s:s}}", "user", "name", values[USER],
                                  "domain_id", setup->domain, "default_project_id", setup->project,
                                  "password", secret_reveal(setup->password)),
                        &setup->user, err);
}

static bool grant_role(struct setup *setup, struct error *err)
{
    if (!find_or_make(setup, "role", setup->values[ROLE], "",
                      json_pack("{s:{s:s}}", "role", "name", setup->values[ROLE]), &setup->role,
                      err))
        return false;
    return send_change(setup, "PUT",
                       arena_printf(setup->arena, "/projects/%s/users/%s/roles/%s", setup->project,
                                    setup->user, setup->role),
                       NULL, NULL, NULL, err);
}

static bool set_up(struct setup *setup, struct error *err)
{
    const struct openstack_settings settings = {.cloud = &setup->cloud,
                                                .agent = "guts-manage/" GUTS_VERSION};
    if (!cloud_read(setup->values[CLOUD], setup->arena, &setup->cloud, err) ||
        !openstack_open(&settings, &setup->session, err) || !read_password(setup, err))
        return false;
    setup->region = setup->values[REGION] != NULL      ? setup->values[REGION]
                    : setup->cloud.region_name != NULL ? setup->cloud.region_name
                                                       : "RegionOne";
    return make_service(setup, err) && make_endpoints(setup, err) && make_user(setup, err) &&
           grant_role(setup, err) && set_password(setup, err);
}

static bool url_is_sound(const char *url)
{
    return url == NULL || strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
}

static int run(const struct manage *manage, const struct manage_command *command, int argc,
               char **argv)
{
    static const struct option options[] = {{"url", required_argument, NULL, URL},
                                            {"internal-url", required_argument, NULL, INTERNAL},
                                            {"admin-url", required_argument, NULL, ADMIN},
                                            {"region", required_argument, NULL, REGION},
                                            {"os-cloud", required_argument, NULL, CLOUD},
                                            {"user", required_argument, NULL, USER},
                                            {"password-file", required_argument, NULL, PASSWORD},
                                            {"project", required_argument, NULL, PROJECT},
                                            {"domain", required_argument, NULL, DOMAIN},
                                            {"role", required_argument, NULL, ROLE},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *values[MANAGE_OPTIONS_MOST] = {[USER] = "guts",
                                               [PASSWORD] = PASSWORD_FILE,
                                               [PROJECT] = "service",
                                               [DOMAIN] = "Default",
                                               [ROLE] = "service"};
    struct error err = {0};
    int status;
    if (!manage_options(command, argc, argv, options, values, &status))
        return status;
    if (optind != argc)
        return manage_usage(command, "\"%s\" is not expected", argv[optind]);
    if (values[URL] == NULL)
        return manage_usage(command, "--url is missing");
    if (!url_is_sound(values[URL]) || !url_is_sound(values[INTERNAL]) ||
        !url_is_sound(values[ADMIN]))
        return manage_usage(command, "an address begins with http:// or https://");
    struct setup setup = {.arena = arena_new(), .values = values};
    http_client_library_begin();
    bool done = set_up(&setup, &err);
    openstack_close(setup.session);
    cloud_fini(&setup.cloud);
    secret_free(setup.password);
    arena_free(setup.arena);
    http_client_library_end();
    return done ? MANAGE_DONE : manage_fail(&err);
}

const struct manage_command manage_keystone_setup = {
    .name = "keystone-setup",
    .summary = "registers guts in Keystone's catalogue, with the user of guts-api",
    .help = "usage: guts-manage keystone-setup --url URL [--os-cloud CLOUD] [OPTION…]\n\n"
            "  --url URL             public address of the API: https://guts.example:7000\n"
            "  --internal-url URL    default: that of --url\n"
            "  --admin-url URL       default: the internal one\n"
            "  --region REGION       default: the cloud's, or RegionOne\n"
            "  --os-cloud CLOUD      of clouds.yaml, an administrator's; default: OS_CLOUD, OS_*\n"
            "  --user USER           with which guts-api validates tokens; default: guts\n"
            "  --password-file FILE  its password, made when there is none; default:\n"
            "                        " PASSWORD_FILE "\n"
            "  --project PROJECT     of that user; default: service\n"
            "  --domain DOMAIN       of user and project; default: Default\n"
            "  --role ROLE           of the user there; default: service\n\n"
            "May be repeated: what is there stays, another address is changed. No database is "
            "needed.\n",
    .run = run,
};
