/* SPDX-License-Identifier: Apache-2.0
 *
 * Volumes: out of images, or empty. Cinder gives the ids; ours are found by their metadata.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "migration/destination/openstack_inner.h"

#define MAKE_MOST_MS (2u * 60 * 60 * 1000) /* Cinder copies and converts the image meanwhile */
#define DELETE_MOST_MS (10u * 60 * 1000)
#define USED_MOST_MS (15u * 1000) /* its server went before, or stays */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static bool volume_get(struct openstack *self, const char *id, json_t **ret_volume,
                       struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/volumes/%s", id);
    return openstack_get(self->session, "volume", path, NULL, "volume", ret_volume, err);
}

/* -- finding ------------------------------------------------------------------------------------------- */

struct search {
    struct openstack *self;
    const char *key;
    const char *id;
};

static bool compare(void *context, const json_t *volume, struct error *err)
{
    struct search *search = context;
    const json_t *metadata = json_object_get(volume, "metadata");
    if (strcmp(text_of(metadata, "guts_key"), search->key) == 0 &&
        strcmp(text_of(metadata, "guts_migration"), UUID_TEXT(work_owner(search->self->work))) == 0)
        search->id = arena_strdup(work_arena(search->self->work), text_of(volume, "id"));
    return true;
}

bool openstack_volume_find(struct openstack *self, const char *key, const char **ret_id,
                           struct error *err)
{
    struct search search = {self, key, ""};
    CLEANUP(xfreep)
    char *path = xasprintf("/volumes/detail?metadata=%%7B%%27guts_migration%%27:%%27%s%%27%%7D",
                           UUID_TEXT(work_owner(self->work)));
    if (!openstack_each(self->session, "volume", path, NULL, "volumes", compare, &search, err))
        return false;
    *ret_id = search.id;
    return true;
}

static bool find(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err)
{
    return openstack_volume_find(self, key, ret_id, err);
}

static bool exists(struct openstack *self, const char *id, bool *ret_exists, struct error *err)
{
    json_t *volume = NULL;
    *ret_exists = volume_get(self, id, &volume, err);
    json_decref(volume);
    return *ret_exists || err->fault == &FAULT_NOT_FOUND;
}

/* -- making -------------------------------------------------------------------------------------------- */

static json_t *describe(const struct openstack *self, const struct openstack_volume_plan *plan,
                        const char *key)
{
    json_t *volume = json_pack("{s:s, s:I, s:o}", "name", plan->name, "size", (json_int_t)plan->gib,
                               "metadata", openstack_mark_new(self, plan->plan, key));
    if (plan->image_id != NULL)
        json_object_set_new(volume, "imageRef", json_string(plan->image_id));
    if (plan->type != NULL)
        json_object_set_new(volume, "volume_type", json_string(plan->type));
    if (plan->zone != NULL)
        json_object_set_new(volume, "availability_zone", json_string(plan->zone));
    return json_pack("{s:o}", "volume", volume);
}

static bool make(struct openstack *self, const char *key, void *context, const char **ret_id,
                 struct error *err)
{
    const struct openstack_volume_plan *plan = context;
    CLEANUP(openstack_reply_fini) struct openstack_reply reply = {0};
    json_t *body = describe(self, plan, key);
    struct openstack_call call = {
        .method = "POST", .service = "volume", .path = "/volumes", .body = body};
    bool good = openstack_call(self->session, &call, &reply, err);
    json_decref(body);
    if (good)
        *ret_id = arena_strdup(work_arena(self->work),
                               text_of(json_object_get(reply.json, "volume"), "id"));
    return good;
}

bool openstack_volume_make(struct openstack *self, struct openstack_volume_plan *plan,
                           struct error *err)
{
    char key[OPENSTACK_KEY_SIZE];
    openstack_key_of(self, plan->place, key);
    struct openstack_deed deed = {.kind = "volume",
                                  .key = key,
                                  .find = find,
                                  .exists = exists,
                                  .make = make,
                                  .context = plan};
    return openstack_do(self, &deed, &plan->id, err);
}

/* -- waiting ------------------------------------------------------------------------------------------- */

struct message {
    char text[256];
};

static bool take_message(void *context, const json_t *item, struct error *err)
{
    struct message *message = context;
    if (message->text[0] == '\0')
        snprintf(message->text, sizeof(message->text), "%s", text_of(item, "user_message"));
    return true;
}

/* What Cinder tells users of a volume that failed; older clouds tell nothing. */
static bool fail(struct openstack *self, const char *id, const char *status, struct error *err)
{
    struct message message = {""};
    struct error ignored;
    CLEANUP(xfreep) char *path = xasprintf("/messages?resource_uuid=%s&sort=created_at:desc", id);
    if (!openstack_each(self->session, "volume", path, "3.5", "messages", take_message, &message,
                        &ignored))
        message.text[0] = '\0';
    return error_set(err, &FAULT_DESTINATION_REFUSED, "volume %s became \"%s\"%s%s", id, status,
                     message.text[0] != '\0' ? ": " : "", message.text);
}

static bool set_bootable(struct openstack *self, const struct openstack_volume_plan *plan,
                         const json_t *volume, struct error *err)
{
    bool is = strcmp(text_of(volume, "bootable"), "true") == 0;
    if (is == plan->bootable)
        return true;
    CLEANUP(xfreep) char *path = xasprintf("/volumes/%s/action", plan->id);
    json_t *body = json_pack("{s:{s:b}}", "os-set_bootable", "bootable", plan->bootable ? 1 : 0);
    struct openstack_call call = {
        .method = "POST", .service = "volume", .path = path, .body = body};
    bool good = work_fence(self->work, err) && openstack_call(self->session, &call, NULL, err);
    json_decref(body);
    return good;
}

/* Cinder copies its own cached volumes of images, and keeps of which. */
static bool check_origin(const struct openstack_volume_plan *plan, const json_t *volume,
                         struct error *err)
{
    const char *origin = text_of(json_object_get(volume, "volume_image_metadata"), "image_id");
    if (plan->image_id == NULL || origin[0] == '\0' || strcmp(origin, plan->image_id) == 0)
        return true;
    return error_set(err, &FAULT_DESTINATION_REFUSED,
                     "volume %s was made of image %.64s instead of %s", plan->id, origin,
                     plan->image_id);
}

static bool is_working(const char *status)
{
    static const char *const words[] = {"creating", "downloading", "uploading",  "attaching",
                                        "reserved", "detaching",   "maintenance"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strcmp(status, words[i]) == 0)
            return true;
    }
    return false;
}

bool openstack_volume_wait(struct openstack *self, const struct openstack_volume_plan *plan,
                           struct error *err)
{
    uint64_t until_ms = clock_mono_ms() + MAKE_MOST_MS;
    struct openstack_pace pace;
    openstack_pace_begin(&pace);
    while (clock_mono_ms() < until_ms) {
        json_t *volume = NULL;
        char status[32];
        if (!volume_get(self, plan->id, &volume, err))
            return false;
        snprintf(status, sizeof(status), "%s", text_of(volume, "status"));
        bool used = strcmp(status, "in-use") == 0; /* by an earlier run's server */
        bool done = used || strcmp(status, "available") == 0;
        bool good = !done || (check_origin(plan, volume, err) &&
                              (used || set_bootable(self, plan, volume, err)));
        json_decref(volume);
        if (done || !good)
            return good;
        if (!is_working(status))
            return fail(self, plan->id, status, err);
        if (!openstack_pace_wait(self, &pace, err))
            return false;
    }
    return error_set(err, &FAULT_TIMEOUT, "volume %s was not made in time", plan->id);
}

/* -- deleting ------------------------------------------------------------------------------------------ */

/* Refused while it is being made, detached or deleted: then it is asked again. */
bool openstack_volume_delete(struct openstack *self, const char *id, bool *ret_found,
                             struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/volumes/%s", id);
    uint64_t from_ms = clock_mono_ms();
    struct error why = {0};
    struct openstack_pace pace;
    bool used = false;
    openstack_pace_begin(&pace);
    *ret_found = false;
    while (clock_mono_ms() - from_ms < (used ? USED_MOST_MS : DELETE_MOST_MS)) {
        json_t *volume = NULL;
        bool found = false;
        if (!volume_get(self, id, &volume, err))
            return err->fault == &FAULT_NOT_FOUND;
        *ret_found = true;
        bool going = strcmp(text_of(volume, "status"), "deleting") == 0;
        bool stuck = strcmp(text_of(volume, "status"), "error_deleting") == 0;
        used = strcmp(text_of(volume, "status"), "in-use") == 0;
        json_decref(volume);
        if (stuck)
            return error_set(err, &FAULT_DESTINATION_REFUSED, "volume %s cannot be deleted", id);
        if (!going && !openstack_remove(self, "volume", path, &found, &why)) {
            *err = why;
            if (why.fault != &FAULT_INVALID && why.fault != &FAULT_CONFLICT)
                return false;
        }
        if (!openstack_pace_wait(self, &pace, err))
            return false;
    }
    if (used || why.fault == NULL)
        return error_set(err, &FAULT_TIMEOUT, "volume %s %s", id,
                         used ? "is still in use" : "was not deleted in time");
    *err = why;
    return false;
}
