/* SPDX-License-Identifier: Apache-2.0
 *
 * The server: made of this attempt's ports and volumes (and its image), watched until it is ACTIVE.
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "migration/destination/openstack_inner.h"

#define DELETE_MOST_MS (10u * 60 * 1000)
#define LOOK_EVERY_MS 10000u

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static bool server_get(struct openstack *self, const char *id, json_t **ret_server,
                       struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/servers/%s", id);
    return openstack_get(self->session, "compute", path, OPENSTACK_COMPUTE_VERSION, "server",
                         ret_server, err);
}

/* -- finding ------------------------------------------------------------------------------------------- */

struct search {
    struct openstack *self;
    const char *key;
    const char *id;
};

static bool compare(void *context, const json_t *server, struct error *err)
{
    struct search *search = context;
    const json_t *metadata = json_object_get(server, "metadata");
    if (strcmp(text_of(metadata, "guts_key"), search->key) == 0)
        search->id = arena_strdup(work_arena(search->self->work), text_of(server, "id"));
    return true;
}

bool openstack_server_find(struct openstack *self, const char *key, const char **ret_id,
                           struct error *err)
{
    struct search search = {self, key, ""};
    CLEANUP(xfreep)
    char *path = xasprintf("/servers/detail?tags=guts:%s", UUID_TEXT(work_owner(self->work)));
    if (!openstack_each(self->session, "compute", path, OPENSTACK_COMPUTE_VERSION, "servers",
                        compare, &search, err))
        return false;
    *ret_id = search.id;
    return true;
}

static bool find(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err)
{
    return openstack_server_find(self, key, ret_id, err);
}

static bool exists(struct openstack *self, const char *id, bool *ret_exists, struct error *err)
{
    json_t *server = NULL;
    *ret_exists = server_get(self, id, &server, err);
    json_decref(server);
    return *ret_exists || err->fault == &FAULT_NOT_FOUND;
}

/* -- making -------------------------------------------------------------------------------------------- */

static json_t *describe_disks(const struct openstack_server_plan *plan)
{
    json_t *disks = json_array();
    if (plan->image_id != NULL)
        json_array_append_new(disks,
                              json_pack("{s:i, s:s, s:s, s:s, s:b}", "boot_index", 0, "uuid",
                                        plan->image_id, "source_type", "image", "destination_type",
                                        "local", "delete_on_termination", 1));
    for (size_t i = 0; i < plan->volume_count; i++)
        json_array_append_new(disks,
                              json_pack("{s:i, s:s, s:s, s:s, s:b}", "boot_index",
                                        i == 0 && plan->image_id == NULL ? 0 : -1, "uuid",
                                        plan->volumes[i].id, "source_type", "volume",
                                        "destination_type", "volume", "delete_on_termination", 0));
    return disks;
}

static json_t *describe_networks(const struct openstack_server_plan *plan)
{
    json_t *networks = json_array();
    for (size_t i = 0; i < plan->port_count; i++)
        json_array_append_new(networks, json_pack("{s:s}", "port", plan->ports[i].id));
    if (plan->port_count > 0)
        return networks;
    json_decref(networks);
    return json_string("none");
}

static json_t *encode(const char *text)
{
    size_t length = strlen(text);
    size_t size = sodium_base64_ENCODED_LEN(length, sodium_base64_VARIANT_ORIGINAL);
    CLEANUP(xfreep) char *encoded = xcalloc(size, 1);
    return json_string(sodium_bin2base64(encoded, size, (const unsigned char *)text, length,
                                         sodium_base64_VARIANT_ORIGINAL));
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text != NULL)
        json_object_set_new(object, name, json_string(text));
}

static json_t *describe(const struct openstack *self, const struct openstack_server_plan *plan,
                        const char *key)
{
    const struct openstack_options *options = &self->options;
    const struct openstack_choice *choice = &self->choice;
    json_t *metadata = openstack_mark_new(self, plan->plan, key);
    for (size_t i = 0; i < options->metadata_count; i++)
        put_text(metadata, options->metadata[i].key, options->metadata[i].value);
    CLEANUP(xfreep) char *tag = xasprintf("guts:%s", UUID_TEXT(work_owner(self->work)));
    json_t *server =
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:[s]}", "name", plan->plan->server_name, "flavorRef",
                  choice->flavor->id, "metadata", metadata, "networks", describe_networks(plan),
                  "block_device_mapping_v2", describe_disks(plan), "tags", tag);
    put_text(server, "imageRef", plan->image_id);
    put_text(server, "key_name", choice->keypair);
    put_text(server, "availability_zone", choice->availability_zone);
    if (options->user_data != NULL)
        json_object_set_new(server, "user_data", encode(options->user_data));
    if (options->config_drive)
        json_object_set_new(server, "config_drive", json_true());
    return json_pack("{s:o}", "server", server);
}

static bool make(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err)
{
    const struct openstack_server_plan *plan = context;
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    json_t *body = describe(self, plan, key);
    struct openstack_call call = {.method = "POST",
                                  .service = "compute",
                                  .path = "/servers",
                                  .microversion = OPENSTACK_COMPUTE_VERSION,
                                  .body = body,
                                  .timeout_ms = 120000};
    bool good = openstack_call(self->session, &call, &reply, err);
    json_decref(body);
    if (good)
        *ret_id = arena_strdup(work_arena(self->work),
                               text_of(json_object_get(reply.json, "server"), "id"));
    return good;
}

bool openstack_server_make(struct openstack *self, struct openstack_server_plan *plan,
                           struct error *err)
{
    char key[OPENSTACK_KEY_SIZE];
    openstack_key_of(self, "server", key);
    struct openstack_deed deed = {.kind = "server",
                                  .key = key,
                                  .find = find,
                                  .exists = exists,
                                  .make = make,
                                  .context = plan};
    return openstack_do(self, &deed, &plan->id, err);
}

/* -- waiting ------------------------------------------------------------------------------------------- */

static bool fail(const json_t *server, struct error *err)
{
    const char *message = text_of(json_object_get(server, "fault"), "message");
    return error_set(err, &FAULT_SERVER_FAILED, "server %s became \"%s\"%s%s",
                     text_of(server, "id"), text_of(server, "status"),
                     message[0] != '\0' ? ": " : "", message);
}

struct listed {
    const char *id;
    bool is;
};

static bool compare_id(void *context, const json_t *server, struct error *err)
{
    struct listed *listed = context;
    listed->is = listed->is || strcmp(text_of(server, "id"), listed->id) == 0;
    return true;
}

/* Whether the server is among those of this migration, and in one of the states ("&status=ACTIVE…"; "": any).
 * A list of names costs Nova little; to show a server it asks Neutron for its ports each time, which those who
 * build it wait for. */
static bool is_listed(struct openstack *self, const char *id, const char *states, bool *ret_is,
                      struct error *err)
{
    struct listed listed = {.id = id};
    CLEANUP(xfreep)
    char *path = xasprintf("/servers?tags=guts:%s%s", UUID_TEXT(work_owner(self->work)), states);
    if (!openstack_each(self->session, "compute", path, OPENSTACK_COMPUTE_VERSION, "servers",
                        compare_id, &listed, err))
        return false;
    *ret_is = listed.is;
    return true;
}

/* Sleeps until it is worth while to look at the server itself: it has come to an end, or a while has passed. */
static bool wait_for_end(struct openstack *self, const char *id, uint64_t until_ms,
                         struct openstack_pace *pace, struct error *err)
{
    uint64_t from_ms = clock_mono_ms(), now_ms = from_ms;
    bool is = false;
    while (!is && now_ms < until_ms && now_ms - from_ms < LOOK_EVERY_MS) {
        if (!openstack_pace_wait(self, pace, err) ||
            !is_listed(self, id, "&status=ACTIVE&status=ERROR", &is, err))
            return false;
        now_ms = clock_mono_ms();
    }
    return true;
}

bool openstack_server_wait(struct openstack *self, const char *id, uint64_t timeout_ms,
                           json_t **ret_server, struct error *err)
{
    uint64_t until_ms = clock_mono_ms() + timeout_ms;
    char status[32] = "";
    struct openstack_pace pace;
    openstack_pace_begin(&pace);
    do {
        json_t *server = NULL;
        if (!wait_for_end(self, id, until_ms, &pace, err) || !server_get(self, id, &server, err))
            return false;
        snprintf(status, sizeof(status), "%s", text_of(server, "status"));
        if (strcmp(status, "ACTIVE") == 0) {
            *ret_server = server;
            return true;
        }
        bool builds = strcmp(status, "BUILD") == 0 || strcmp(status, "UNKNOWN") == 0;
        if (!builds)
            fail(server, err);
        json_decref(server);
        if (!builds)
            return false;
    } while (clock_mono_ms() < until_ms);
    return error_set(err, &FAULT_TIMEOUT, "server %s is still \"%s\" after %llu s", id, status,
                     (unsigned long long)timeout_ms / 1000);
}

/* -- deleting ------------------------------------------------------------------------------------------ */

static bool is_gone(const json_t *server)
{
    const char *status = text_of(server, "status");
    return strcmp(status, "DELETED") == 0 || strcmp(status, "SOFT_DELETED") == 0;
}

/* Waits until it is gone, for its volumes and ports are held until then. */
bool openstack_server_delete(struct openstack *self, const char *id, bool *ret_found,
                             struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/servers/%s", id);
    uint64_t until_ms = clock_mono_ms() + DELETE_MOST_MS;
    bool asked = false, found, listed = false;
    struct openstack_pace pace;
    openstack_pace_begin(&pace);
    *ret_found = false;
    while (clock_mono_ms() < until_ms) {
        json_t *server = NULL;
        struct error why = {0};
        if (asked && !is_listed(self, id, "", &listed, err))
            return false;
        if (listed) {
            if (!openstack_pace_wait(self, &pace, err))
                return false;
            continue;
        }
        if (!server_get(self, id, &server, err))
            return err->fault == &FAULT_NOT_FOUND;
        bool gone = is_gone(server);
        json_decref(server);
        if (gone)
            return true;
        *ret_found = true;
        if (!asked)
            asked = openstack_remove(self, "compute", path, &found, &why);
        if (!asked && why.fault != &FAULT_CONFLICT) { /* else it is busy: asked again */
            *err = why;
            return false;
        }
        if (!openstack_pace_wait(self, &pace, err))
            return false;
    }
    return error_set(err, &FAULT_TIMEOUT, "server %s was not deleted in time", id);
}
