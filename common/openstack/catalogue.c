/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalogue of a token, and which version of a service its endpoints lead to.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/openstack/inside.h"

/* Our word for a service, the other types under which clouds list it, the version that we speak. */
static const struct service {
    const char *type;
    const char *others[4];
    const char *version; /* behind an endpoint that says none; NULL: it has none */
    bool project;        /* its paths begin with the project's id */
} services[] = {
    {"identity", {NULL}, "v3", false},
    {"image", {NULL}, "v2", false},
    {"compute", {NULL}, "v2.1", false},
    {"network", {NULL}, "v2.0", false},
    {"volume", {"volumev3", "block-storage", "block-store", NULL}, "v3", true},
};

static const struct service *service_find(const char *type)
{
    for (size_t i = 0; i < COUNT_OF(services); i++) {
        if (strcmp(services[i].type, type) == 0)
            return &services[i];
        for (size_t k = 0; services[i].others[k] != NULL; k++) {
            if (strcmp(services[i].others[k], type) == 0)
                return &services[i];
        }
    }
    return NULL;
}

const char *catalogue_type(const char *service)
{
    const struct service *known = service_find(service);
    return known != NULL ? known->type : service;
}

static const char *region_of(const json_t *endpoint)
{
    const char *region = json_string_value(json_object_get(endpoint, "region_id"));
    return region != NULL ? region : json_string_value(json_object_get(endpoint, "region"));
}

static bool is_wanted(const json_t *endpoint, const char *region, const char *interface)
{
    const char *its_region = region_of(endpoint);
    const char *its_interface = json_string_value(json_object_get(endpoint, "interface"));
    size_t length = strcspn(interface, "U"); /* "publicURL" is an older word for "public" */
    if (region != NULL && (its_region == NULL || strcmp(region, its_region) != 0))
        return false;
    return its_interface != NULL && strlen(its_interface) == length &&
           strncmp(its_interface, interface, length) == 0;
}

/* Keystone lists endpoints in no order. Where no region was named, all services are taken of the one
 * whose name comes first. */
static bool goes_before(const json_t *endpoint, const json_t *other)
{
    const char *its = region_of(endpoint), *others = region_of(other);
    return strcmp(its != NULL ? its : "", others != NULL ? others : "") < 0;
}

static const json_t *find_in(const json_t *entry, const char *region, const char *interface,
                             const json_t *found)
{
    size_t i;
    const json_t *endpoint;
    json_array_foreach(json_object_get(entry, "endpoints"), i, endpoint) {
        if (json_is_string(json_object_get(endpoint, "url")) &&
            is_wanted(endpoint, region, interface) &&
            (found == NULL || goes_before(endpoint, found)))
            found = endpoint;
    }
    return found;
}

static const char *find_type(const json_t *token, const char *type, const char *region,
                             const char *interface)
{
    size_t i;
    const json_t *entry, *found = NULL;
    json_array_foreach(json_object_get(token, "catalog"), i, entry) {
        const char *its = json_string_value(json_object_get(entry, "type"));
        if (its != NULL && strcmp(its, type) == 0)
            found = find_in(entry, region, interface, found);
    }
    return json_string_value(json_object_get(found, "url"));
}

const char *catalogue_find(const json_t *token, const char *service, const char *region,
                           const char *interface)
{
    const struct service *known = service_find(service);
    if (interface == NULL)
        interface = "public";
    if (known == NULL)
        return find_type(token, service, region, interface);
    /* "volume" itself was version 1 once: the newer names come first. */
    for (size_t i = 0; known->others[i] != NULL; i++) {
        const char *url = find_type(token, known->others[i], region, interface);
        if (url != NULL)
            return url;
    }
    return find_type(token, known->type, region, interface);
}

static bool is_version(const char *part, size_t length)
{
    if (length < 2 || part[0] != 'v')
        return false;
    for (size_t i = 1; i < length; i++) {
        if (!isdigit((unsigned char)part[i]) && part[i] != '.')
            return false;
    }
    return true;
}

/* Where the version begins in the URL's path, as its last or last but one part. */
static const char *find_version(const char *url, size_t *ret_length)
{
    const char *host = strstr(url, "://");
    const char *at = strchr(host != NULL ? host + 3 : url, '/');
    while (at != NULL) {
        size_t length = strcspn(at + 1, "/");
        const char *behind = at + 1 + length;
        if (is_version(at + 1, length) &&
            strchr(*behind == '/' ? behind + 1 : behind, '/') == NULL) {
            *ret_length = length;
            return at + 1;
        }
        at = *behind == '/' ? behind : NULL;
    }
    return NULL;
}

bool catalogue_has_version(const char *url)
{
    size_t length;
    return find_version(url, &length) != NULL;
}

/* -- discovery ------------------------------------------------------------------------------------------ */

/* The path of the version among those that the service names at its root; NULL: it does not. */
static const char *pick_version(const json_t *answer, const char *version, struct arena *arena)
{
    const json_t *versions = json_object_get(answer, "versions"), *each;
    size_t i, length = strlen(version);
    if (json_is_object(versions))
        versions = json_object_get(versions, "values"); /* Keystone's */
    json_array_foreach(versions, i, each) {
        const char *id = json_string_value(json_object_get(each, "id"));
        /* "v2.0" stands for all of "v2": Glance names "v2.15". */
        bool fits = id != NULL && strncmp(id, version, length) == 0 &&
                    (id[length] == '\0' || id[length] == '.');
        const char *href = json_string_value(
            json_object_get(json_array_get(json_object_get(each, "links"), 0), "href"));
        const char *host = fits && href != NULL ? strstr(href, "://") : NULL;
        const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
        if (fits)
            return path != NULL ? arena_strdup(arena, path) : arena_printf(arena, "/%s", version);
    }
    return NULL;
}

/* Versions are listed at the endpoint's root, with 200 or 300. Behind a proxy the links in there lead
 * astray often: only their path counts, and only beneath that of the endpoint. */
static bool discover(struct openstack_session *session, const char *base, const char *version,
                     const char **ret_url, struct error *err)
{
    static const char *const headers[] = {"Accept: application/json"};
    CLEANUP(http_reply_fini) struct http_reply reply = {0};
    const char *url = arena_printf(session->arena, "%s/", base);
    struct exchange_plan plan = {
        .method = "GET", .url = url, .headers = headers, .header_count = COUNT_OF(headers)};
    if (!session_exchange(session, &plan, &reply, err))
        return false;
    json_t *answer =
        reply.body.length > 0 ? json_loadb(reply.body.data, reply.body.length, 0, NULL) : NULL;
    const char *path = pick_version(answer, version, session->arena);
    json_decref(answer);
    size_t length = path != NULL ? strlen(path) : 0;
    while (length > 0 && path[length - 1] == '/')
        length--;
    const char *host = strstr(base, "://"), *own = host != NULL ? strchr(host + 3, '/') : NULL;
    if (path != NULL && own == NULL)
        *ret_url = arena_printf(session->arena, "%s%.*s", base, (int)length, path);
    else if (path != NULL && strncmp(path, own, strlen(own)) == 0)
        *ret_url =
            arena_printf(session->arena, "%.*s%.*s", (int)(own - base), base, (int)length, path);
    else
        *ret_url = arena_printf(session->arena, "%s/%s", base, version);
    return true;
}

static bool complete(struct openstack_session *session, const char *service, const char *base,
                     const char **ret_url, struct error *err)
{
    const struct service *known = service_find(service);
    size_t length = 0;
    const char *version = find_version(base, &length), *url = base;
    if (known == NULL || known->version == NULL) {
        *ret_url = base;
        return true;
    }
    if (version == NULL && !discover(session, base, known->version, &url, err))
        return false;
    version = find_version(url, &length);
    const char *project = openstack_project_id(session);
    if (known->project && project != NULL && version != NULL && version[length] == '\0')
        url = arena_printf(session->arena, "%s/%s", url, project);
    *ret_url = url;
    return true;
}

/* -- what callers ask --------------------------------------------------------------------------------------- */

static bool find_endpoint(struct openstack_session *session, const char *service,
                          struct endpoint **ret_endpoint, struct error *err)
{
    const char *type = catalogue_type(service), *token;
    const struct cloud *cloud = session->settings.cloud;
    *ret_endpoint = NULL;
    for (size_t i = 0; i < session->endpoint_count; i++) {
        if (strcmp(session->endpoints[i].type, type) == 0) {
            *ret_endpoint = &session->endpoints[i];
            return true;
        }
    }
    if (!openstack_token(session, 0, &token, err))
        return false;
    const char *url =
        catalogue_find(session->token_body, type, cloud->region_name, cloud->interface);
    if (url == NULL || session->endpoint_count == ENDPOINTS_MOST)
        return true;
    size_t length = strlen(url);
    while (length > 0 && url[length - 1] == '/')
        length--;
    struct endpoint *endpoint = &session->endpoints[session->endpoint_count++];
    *endpoint = (struct endpoint){.type = arena_strdup(session->arena, type),
                                  .base = arena_strndup(session->arena, url, length)};
    *ret_endpoint = endpoint;
    return true;
}

bool openstack_has(struct openstack_session *session, const char *service, bool *ret_has,
                   struct error *err)
{
    struct endpoint *endpoint;
    if (!find_endpoint(session, service, &endpoint, err))
        return false;
    *ret_has = endpoint != NULL;
    return true;
}

bool openstack_endpoint(struct openstack_session *session, const char *service,
                        const char **ret_url, struct error *err)
{
    const struct openstack_settings *settings = &session->settings;
    struct endpoint *endpoint;
    if (strcmp(service, "identity") ==
        0) { /* the one that we were told: catalogues name internal ones */
        *ret_url = session->identity_url;
        return true;
    }
    if (!find_endpoint(session, service, &endpoint, err))
        return false;
    if (endpoint == NULL)
        return error_set(err, &FAULT_NOT_FOUND,
                         "the cloud's catalogue has no \"%s\" (region \"%s\", interface \"%s\")",
                         service,
                         settings->cloud->region_name ? settings->cloud->region_name : "any",
                         settings->cloud->interface ? settings->cloud->interface : "public");
    if (endpoint->url == NULL) {
        if (settings->allow_url != NULL &&
            !settings->allow_url(settings->allow_context, endpoint->base, err))
            return error_prefix(err, "the catalogue's endpoint of \"%s\"", service);
        if (!complete(session, service, endpoint->base, &endpoint->url, err))
            return error_prefix(err, "the versions of \"%s\"", service);
    }
    *ret_url = endpoint->url;
    return true;
}
