/* SPDX-License-Identifier: Apache-2.0 */
#include "common/openstack/cloud_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/secret.h"
#include "common/openstack/tree.h"

static const char *find_file(struct arena *arena, const char *variable, const char *name)
{
    const char *given = getenv(variable), *home = getenv("HOME"),
               *config = getenv("XDG_CONFIG_HOME");
    if (given != NULL && *given != '\0')
        return given;
    const char *candidates[] = {
        name,
        config != NULL && *config != '\0'
            ? arena_printf(arena, "%s/openstack/%s", config, name)
            : arena_printf(arena, "%s/.config/openstack/%s", home != NULL ? home : "", name),
        arena_printf(arena, "/etc/openstack/%s", name),
    };
    for (size_t i = 0; i < COUNT_OF(candidates); i++) {
        if (access(candidates[i], R_OK) == 0)
            return candidates[i];
    }
    return NULL;
}

static void wipe(struct buffer *buffer)
{
    if (buffer->data != NULL)
        secret_wipe(buffer->data, buffer->capacity);
    buffer_fini(buffer);
}

/* The object of that name in the file; empty without a file. A new reference. */
static bool load_clouds(const char *path, const char *name, json_t **ret_clouds, struct error *err)
{
    CLEANUP(wipe) struct buffer text = {0};
    json_t *tree = NULL;
    if (path == NULL) {
        *ret_clouds = json_object();
        return true;
    }
    if (!file_read(path, TREE_MOST_BYTES, &text, err) ||
        !tree_parse(text.data != NULL ? text.data : "", text.length, &tree, err))
        return error_prefix(err, "\"%s\"", path);
    json_t *clouds = json_object_get(tree, name);
    bool good = clouds == NULL || json_is_object(clouds);
    *ret_clouds = good && clouds != NULL ? json_incref(clouds) : json_object();
    json_decref(tree);
    if (good)
        return true;
    json_decref(*ret_clouds);
    *ret_clouds = NULL;
    return error_set(err, &FAULT_CONFIG, "\"%s\": \"%s\" is no mapping", path, name);
}

/* What the second says comes first; "auth" is joined. A new reference. */
static json_t *join(const json_t *entry, const json_t *secure)
{
    json_t *joined = json_is_object(entry) ? json_copy((json_t *)entry) : json_object();
    json_t *auth = json_copy(json_object_get(joined, "auth"));
    const json_t *more = json_object_get(secure, "auth");
    if (!json_is_object(auth)) {
        json_decref(auth);
        auth = json_object();
    }
    if (json_is_object(secure))
        json_object_update(joined, (json_t *)secure);
    if (json_is_object(more))
        json_object_update(auth, (json_t *)more);
    json_object_set_new(joined, "auth", auth);
    return joined;
}

/* NULL: nothing says which. */
static const char *choose(const char *name, const json_t *clouds)
{
    const char *variable = getenv("OS_CLOUD");
    if (name != NULL && *name != '\0')
        return name;
    if (variable != NULL && *variable != '\0')
        return variable;
    if (getenv("OS_AUTH_URL") != NULL || json_object_size(clouds) != 1)
        return NULL;
    return json_object_iter_key(json_object_iter((json_t *)clouds));
}

/* What clouds-public.yaml says of a provider lies beneath what the entry says itself. Takes the entry. */
static bool lay_profile(const char *chosen, json_t **entry, struct arena *arena, struct error *err)
{
    const char *path = find_file(arena, "OS_CLIENT_VENDOR_FILE", "clouds-public.yaml");
    const char *name = json_string_value(json_object_get(*entry, "profile"));
    json_t *profiles = NULL;
    if (name == NULL)
        name = json_string_value(json_object_get(*entry, "cloud")); /* its older name */
    if (name == NULL)
        return true;
    if (!load_clouds(path, "public-clouds", &profiles, err))
        return false;
    json_t *profile = json_object_get(profiles, name);
    bool good = json_is_object(profile) ||
                error_set(err, &FAULT_NOT_FOUND, "cloud \"%.100s\": no profile \"%.100s\" in %s",
                          chosen, name, path != NULL ? path : "any clouds-public.yaml");
    if (good) {
        json_t *laid = join(profile, *entry);
        json_decref(*entry);
        *entry = laid;
    }
    json_decref(profiles);
    return good;
}

static bool read_entry(const char *name, const json_t *clouds, const char *path,
                       struct arena *arena, json_t **ret_entry, struct error *err)
{
    json_t *secure = NULL;
    if (!json_is_object(json_object_get(clouds, name)))
        return error_set(err, &FAULT_NOT_FOUND, "no cloud \"%.100s\" in %s", name,
                         path != NULL ? path : "any clouds.yaml");
    if (!load_clouds(find_file(arena, "OS_CLIENT_SECURE_FILE", "secure.yaml"), "clouds", &secure,
                     err))
        return false;
    json_t *entry = join(json_object_get(clouds, name), json_object_get(secure, name));
    json_decref(secure);
    if (!lay_profile(name, &entry, arena, err)) {
        json_decref(entry);
        return false;
    }
    *ret_entry = entry;
    return true;
}

bool cloud_entry_read(const char *name, struct arena *arena, json_t **ret_entry,
                      const char **ret_name, struct error *err)
{
    const char *path = find_file(arena, "OS_CLIENT_CONFIG_FILE", "clouds.yaml");
    json_t *clouds = NULL, *entry = NULL;
    if (!load_clouds(path, "clouds", &clouds, err))
        return false;
    const char *chosen = choose(name, clouds);
    bool good = true;
    if (chosen != NULL)
        good = read_entry(chosen, clouds, path, arena, &entry, err);
    else if (getenv("OS_AUTH_URL") == NULL)
        good = error_set(err, &FAULT_NOT_FOUND,
                         "no cloud is named: set OS_CLOUD, or OS_AUTH_URL with its fellows");
    if (good && chosen != NULL)
        *ret_name = arena_strdup(arena, chosen);
    json_decref(clouds);
    if (!good)
        return false;
    *ret_entry = entry;
    return true;
}
