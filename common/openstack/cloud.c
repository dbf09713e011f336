/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/cloud.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "common/openstack/cloud_files.h"

/* A field of struct cloud, its name in clouds.yaml (below "auth" or beside it), its variable. */
struct field {
    const char *name;
    const char *variable;
    size_t offset;
    bool secret;
    bool in_auth; /* of one entry: what the environment says never replaces it */
    bool path;    /* "~/" is the user's home */
};
#define TEXT(name, variable, auth)                                                                 \
    {                                                                                              \
#name, variable, offsetof(struct cloud, name), false, auth, false                          \
    }
#define SECRET(name, variable)                                                                     \
    {                                                                                              \
#name, variable, offsetof(struct cloud, name), true, true, false                           \
    }
#define PATH(name, variable)                                                                       \
    {                                                                                              \
#name, variable, offsetof(struct cloud, name), false, false, true                          \
    }
static const struct field fields[] = {
    TEXT(auth_url, "OS_AUTH_URL", true),
    TEXT(username, "OS_USERNAME", true),
    TEXT(user_id, "OS_USER_ID", true),
    TEXT(user_domain_name, "OS_USER_DOMAIN_NAME", true),
    TEXT(user_domain_id, "OS_USER_DOMAIN_ID", true),
    TEXT(project_name, "OS_PROJECT_NAME", true),
    TEXT(project_id, "OS_PROJECT_ID", true),
    TEXT(project_domain_name, "OS_PROJECT_DOMAIN_NAME", true),
    TEXT(project_domain_id, "OS_PROJECT_DOMAIN_ID", true),
    TEXT(application_credential_id, "OS_APPLICATION_CREDENTIAL_ID", true),
    TEXT(application_credential_name, "OS_APPLICATION_CREDENTIAL_NAME", true),
    SECRET(password, "OS_PASSWORD"),
    SECRET(token, "OS_TOKEN"),
    SECRET(application_credential_secret, "OS_APPLICATION_CREDENTIAL_SECRET"),
    TEXT(region_name, "OS_REGION_NAME", false),
    TEXT(interface, "OS_INTERFACE", false),
    PATH(cacert, "OS_CACERT"),
    PATH(cert, "OS_CERT"),
    PATH(key, "OS_KEY"),
};

bool cloud_auth_parse(const char *word, enum cloud_auth *ret_auth, struct error *err)
{
    static const struct {
        const char *word;
        enum cloud_auth auth;
    } words[] = {{"password", CLOUD_AUTH_PASSWORD},
                 {"v3password", CLOUD_AUTH_PASSWORD},
                 {"token", CLOUD_AUTH_TOKEN},
                 {"v3token", CLOUD_AUTH_TOKEN},
                 {"v3applicationcredential", CLOUD_AUTH_APPLICATION_CREDENTIAL},
                 {"application_credential", CLOUD_AUTH_APPLICATION_CREDENTIAL}};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(word, words[i].word) == 0) {
            *ret_auth = words[i].auth;
            return true;
        }
    }
    return error_set(err, &FAULT_UNSUPPORTED,
                     "auth_type must be \"password\", \"token\" or \"v3applicationcredential\", "
                     "not \"%.60s\"",
                     word);
}

void cloud_fini(struct cloud *cloud)
{
    secret_free(cloud->password);
    secret_free(cloud->token);
    secret_free(cloud->application_credential_secret);
    *cloud = (struct cloud){0};
}

static bool needs(bool there, const char *what, struct error *err)
{
    return there || error_set(err, &FAULT_CONFIG, "the cloud's settings lack %s", what);
}

bool cloud_check(const struct cloud *cloud, struct error *err)
{
    if (!needs(cloud->auth_url != NULL, "\"auth_url\"", err))
        return false;
    switch (cloud->auth) {
    case CLOUD_AUTH_TOKEN:
        return needs(cloud->token != NULL, "\"token\"", err);
    case CLOUD_AUTH_APPLICATION_CREDENTIAL:
        return needs(cloud->application_credential_secret != NULL,
                     "\"application_credential_secret\"", err) &&
               needs(cloud->application_credential_id != NULL ||
                         (cloud->application_credential_name != NULL &&
                          (cloud->user_id != NULL || cloud->username != NULL)),
                     "\"application_credential_id\", or its name with the user's", err);
    case CLOUD_AUTH_PASSWORD:
        break;
    }
    return needs(cloud->password != NULL, "\"password\"", err) &&
           needs(cloud->user_id != NULL || cloud->username != NULL, "\"username\"", err);
}

/* -- taking values ----------------------------------------------------------------------------------- */

static bool field_is_set(const struct cloud *cloud, const struct field *field)
{
    return *(void *const *)((const char *)cloud + field->offset) != NULL;
}

static void field_set(struct cloud *cloud, const struct field *field, const char *value,
                      struct arena *arena)
{
    void *at = (char *)cloud + field->offset;
    if (value == NULL || *value == '\0')
        return;
    if (!field->secret) {
        const char *home = field->path && strncmp(value, "~/", 2) == 0 ? getenv("HOME") : NULL;
        *(const char **)at = home != NULL ? arena_printf(arena, "%s%s", home, value + 1)
                                          : arena_strdup(arena, value);
        return;
    }
    struct secret **secret = at;
    secret_free(*secret);
    *secret = secret_new(value, strlen(value));
}

static bool is_false(const char *word)
{
    return strcasecmp(word, "false") == 0 || strcasecmp(word, "no") == 0 || strcmp(word, "0") == 0;
}

static bool is_true(const char *word)
{
    return strcasecmp(word, "true") == 0 || strcasecmp(word, "yes") == 0 || strcmp(word, "1") == 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* Older names that files still hold. */
static void take_old_names(struct cloud *cloud, const json_t *auth, struct arena *arena)
{
    const char *tenant = text_of(auth, "tenant_name"), *domain = text_of(auth, "domain_name");
    if (cloud->project_name == NULL && tenant != NULL)
        cloud->project_name = arena_strdup(arena, tenant);
    if (domain != NULL && cloud->user_domain_name == NULL && cloud->user_domain_id == NULL)
        cloud->user_domain_name = arena_strdup(arena, domain);
}

static bool guess_auth(struct cloud *cloud, const char *word, struct error *err)
{
    if (word != NULL && *word != '\0')
        return cloud_auth_parse(word, &cloud->auth, err);
    if (cloud->application_credential_secret != NULL)
        cloud->auth = CLOUD_AUTH_APPLICATION_CREDENTIAL;
    else if (cloud->password == NULL && cloud->token != NULL)
        cloud->auth = CLOUD_AUTH_TOKEN;
    return true;
}

static bool take_entry(const json_t *entry, struct arena *arena, struct cloud *cloud,
                       struct error *err)
{
    const json_t *auth = json_object_get(entry, "auth");
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        field_set(cloud, &fields[i], text_of(fields[i].in_auth ? auth : entry, fields[i].name),
                  arena);
    take_old_names(cloud, auth, arena);
    const json_t *regions = json_object_get(entry, "regions");
    const json_t *region = json_array_get(regions, 0);
    if (cloud->region_name == NULL && region != NULL) {
        const char *name =
            json_is_object(region) ? text_of(region, "name") : json_string_value(region);
        cloud->region_name = arena_strdup(arena, name);
    }
    const char *insecure = text_of(entry, "insecure"), *verify = text_of(entry, "verify");
    cloud->insecure =
        (insecure != NULL && is_true(insecure)) || (verify != NULL && is_false(verify));
    return guess_auth(cloud, text_of(entry, "auth_type"), err);
}

/* The credentials of an entry are its own; region, interface and certificates may be overridden, and
 * what it lacks (a password, say) may come from there. */
static void take_environment(struct cloud *cloud, struct arena *arena)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (!fields[i].in_auth || !field_is_set(cloud, &fields[i]))
            field_set(cloud, &fields[i], getenv(fields[i].variable), arena);
    }
    const char *insecure = getenv("OS_INSECURE");
    if (insecure != NULL && is_true(insecure))
        cloud->insecure = true;
}

/* NULL entry: the environment alone. */
static bool take_chosen(const char *name, struct arena *arena, struct cloud *cloud,
                        struct error *err)
{
    json_t *entry = NULL;
    const char *chosen = NULL;
    if (!cloud_entry_read(name, arena, &entry, &chosen, err))
        return false;
    bool good = entry == NULL || take_entry(entry, arena, cloud, err) ||
                error_prefix(err, "cloud \"%s\"", chosen);
    json_decref(entry);
    return good;
}

bool cloud_read(const char *name, struct arena *arena, struct cloud *ret_cloud, struct error *err)
{
    struct cloud cloud = {0};
    bool good = take_chosen(name, arena, &cloud, err);
    if (good) {
        bool named = cloud.auth_url != NULL;
        take_environment(&cloud, arena);
        good =
            (named || guess_auth(&cloud, getenv("OS_AUTH_TYPE"), err)) && cloud_check(&cloud, err);
    }
    if (!good) {
        cloud_fini(&cloud);
        return false;
    }
    *ret_cloud = cloud;
    return true;
}
