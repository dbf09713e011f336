/* SPDX-License-Identifier: Apache-2.0
 *
 * Disks as images: a stream of known length goes straight into Glance, under an id that follows from the
 * migration, the attempt, the disk and the round.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "migration/destination/openstack_inner.h"
#include "migration/destination/openstack_words.h"
#include "migration/disk/pack.h"

/* Glance itself looks at a token when a request begins. A store that works in the user's name needs it at the end
 * of an upload, too (Cinder without an account of its own, Swift with several tenants and no trusts): wanted
 * is one that outlives an upload at so many bytes a millisecond. */
#define TOKEN_LEAST_MS (5u * 60 * 1000)
#define UPLOAD_SLOW 5000u
#define CONTENT_TYPE "Content-Type: application/octet-stream"

/* -- the upload as a sink ----------------------------------------------------------------------------- */

/* An expired token, a restarted service: it may pass another time. A quota may not. */
bool openstack_upload_broke(const struct openstack_upload *upload, struct error *err)
{
    if (err->fault == &FAULT_DENIED || err->fault == &FAULT_NOT_FOUND)
        err->fault = &FAULT_IO;
    if (err->fault == &FAULT_NO_SPACE && strcasestr(err->text, "quota") != NULL)
        err->fault = &FAULT_QUOTA_EXCEEDED;
    return error_prefix(err, "the upload of image %s broke", upload->image_id);
}

static bool feed(void *context, const void *data, size_t length, struct error *err)
{
    struct openstack_upload *upload = context;
    return http_upload_write(upload->upload, data, length, err) ||
           openstack_upload_broke(upload, err);
}

/* A copy that stops does not wait for Glance. */
static void interrupt(void *context)
{
    struct openstack_upload *upload = context;
    if (upload->upload != NULL)
        http_upload_interrupt(upload->upload);
}

void openstack_upload_drop(struct openstack_upload *upload)
{
    struct error ignored;
    if (upload->upload != NULL && !http_upload_end(upload->upload, &ignored))
        upload->upload = NULL; /* its image is no whole one: undoing removes it */
    disk_sink_digest_free(upload->digest);
    *upload = (struct openstack_upload){.upload = NULL};
}

static bool may_connect(void *context, const struct sockaddr *address)
{
    const struct openstack *self = context;
    const char *url = NULL;
    struct error ignored;
    return openstack_endpoint(self->session, "image", &url, &ignored) &&
           openstack_allows(self->session, url, address);
}

static void wipe(char **text)
{
    secret_wipe(*text, strlen(*text));
    free(*text);
}

static bool upload_begin(struct openstack *self, struct openstack_upload *upload, struct error *err)
{
    const char *base, *token;
    const struct cloud *cloud = &self->link->cloud;
    if (!openstack_endpoint(self->session, "image", &base, err) ||
        !openstack_token(self->session, TOKEN_LEAST_MS + upload->stream_bytes / UPLOAD_SLOW, &token,
                         err))
        return false;
    CLEANUP(xfreep) char *url = xasprintf("%s/images/%s/file", base, upload->image_id);
    CLEANUP(wipe) char *header = xasprintf("X-Auth-Token: %s", token);
    const char *const headers[] = {header, CONTENT_TYPE, NULL};
    const struct http_plan plan = {
        .url = url,
        .may_connect = may_connect,
        .may_connect_context = self,
        .headers = headers,
        .ca_file = cloud->cacert,
        .cert = cloud->cert,
        .key = cloud->key,
        .insecure = cloud->insecure,
        .idle_seconds = 120,
        .answer = &upload->answer,
        .memory_bytes = work_end_bytes(self->work),
    };
    return http_upload_begin(&plan, upload->stream_bytes, &upload->upload, err);
}

/* -- the image ------------------------------------------------------------------------------------------ */

static json_t *describe(const struct openstack *self, const struct destination_plan *plan,
                        const char *key, const char *id, bool raw, size_t index)
{
    json_t *image = openstack_mark_new(self, plan, key);
    const char *name = openstack_name(self, plan, openstack_text(self, "disk%zu", index));
    json_object_set_new(image, "id", json_string(id));
    json_object_set_new(image, "name", json_string(name));
    json_object_set_new(image, "disk_format", json_string(raw ? "raw" : "qcow2"));
    json_object_set_new(image, "container_format", json_string("bare"));
    json_object_set_new(image, "visibility", json_string("private"));
    openstack_words_put(image, plan->vm, &self->options);
    return image;
}

bool openstack_image_get(struct openstack *self, const char *id, json_t **ret_image,
                         struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/images/%s", id);
    return openstack_get(self->session, "image", path, NULL, NULL, ret_image, err);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

/* The id is taken: by a call of ours that broke, or for ever, since it was deleted. */
static bool is_ours_and_empty(struct openstack *self, const char *id, const char *key, bool *ret_is,
                              struct error *err)
{
    json_t *image = NULL;
    *ret_is = false;
    if (!openstack_image_get(self, id, &image, err))
        return err->fault == &FAULT_NOT_FOUND;
    *ret_is = strcmp(text_of(image, "guts_key"), key) == 0 &&
              strcmp(text_of(image, "guts_migration"), UUID_TEXT(work_owner(self->work))) == 0 &&
              strcmp(text_of(image, "status"), "queued") == 0;
    json_decref(image);
    return true;
}

static bool image_post(struct openstack *self, const json_t *image, const char *id, const char *key,
                       struct error *err)
{
    struct openstack_call call = {
        .method = "POST", .service = "image", .path = "/images", .body = image};
    bool ours;
    for (unsigned i = 0;; i++) {
        if (openstack_call(self->session, &call, NULL, err))
            return true;
        struct error why = *err;
        if (why.fault != &FAULT_CONFLICT && why.fault != &FAULT_UNCERTAIN)
            return false;
        if (!is_ours_and_empty(self, id, key, &ours, err))
            return false;
        if (ours)
            return true;
        *err = why;
        if (why.fault == &FAULT_CONFLICT) /* deleted by a later attempt: this one is late */
            return error_set(err, &FAULT_FENCED, "image %s was made and deleted before: %s", id,
                             why.text);
        if (i == 2 || !work_wait_ms(self->work, 2000, err) || !work_fence(self->work, err))
            return false;
    }
}

/* -- rounds ------------------------------------------------------------------------------------------------ */

static bool is_of_disk(const struct openstack *self, const struct ledger_entry *entry, size_t index,
                       struct openstack_key *ret_key)
{
    char place[32];
    snprintf(place, sizeof(place), "disk%zu", index);
    return entry->end == END_DESTINATION && strcmp(entry->kind, "image") == 0 &&
           openstack_key_parse(entry->key, ret_key) && strcmp(ret_key->place, place) == 0 &&
           ret_key->attempt == work_token(self->work)->attempt;
}

const struct ledger_entry *openstack_image_entry(const struct openstack *self, size_t index)
{
    const struct ledger_entry *found = NULL;
    struct openstack_key key;
    for (size_t i = 0; i < work_ledger_count(self->work); i++) {
        const struct ledger_entry *entry = work_ledger_get(self->work, i);
        if (is_of_disk(self, entry, index, &key) && ledger_state_is_open(entry->state))
            found = entry;
    }
    return found;
}

/* What an earlier round of this attempt left is no whole image: it goes. */
static bool clear_rounds(struct openstack *self, size_t index, unsigned *ret_round,
                         struct error *err)
{
    const struct ledger_entry *entry;
    struct openstack_key key;
    unsigned count = 0;
    bool found;
    while ((entry = openstack_image_entry(self, index)) != NULL) {
        char id[UUID_TEXT_SIZE];
        openstack_image_id(work_owner(self->work), entry->key, id);
        if (!work_fence(self->work, err) || !openstack_image_delete(self, id, &found, err) ||
            !work_settle(self->work, entry, found ? LEDGER_UNDONE : LEDGER_NOT_FOUND, "", err))
            return false;
        work_note(self->work,
                  "disk %zu: the upload of image %s had not come to its end; it begins anew", index,
                  id);
    }
    for (size_t i = 0; i < work_ledger_count(self->work); i++)
        count += is_of_disk(self, work_ledger_get(self->work, i), index, &key);
    *ret_round = count;
    return true;
}

static bool image_make(struct openstack *self, const struct destination_plan *plan, size_t index,
                       bool raw, struct error *err)
{
    struct openstack_upload *upload = &self->uploads[index];
    struct openstack_key key = {.attempt = work_token(self->work)->attempt};
    const struct ledger_entry *stored = NULL;
    char text[OPENSTACK_KEY_SIZE];
    snprintf(key.place, sizeof(key.place), "disk%zu", index);
    if (!clear_rounds(self, index, &key.round, err))
        return false;
    openstack_key_format(&key, text);
    openstack_image_id(work_owner(self->work), text, upload->image_id);
    struct ledger_entry entry = {
        .end = END_DESTINATION, .kind = "image", .key = text, .prior_json = ""};
    if (!work_intend(self->work, &entry, &stored, err) || !work_fence(self->work, err))
        return false;
    json_t *image = describe(self, plan, text, upload->image_id, raw, index);
    bool good = image_post(self, image, upload->image_id, text, err);
    json_decref(image);
    return good && work_made(self->work, stored, upload->image_id, err);
}

/* -- begin ---------------------------------------------------------------------------------------------------- */

static bool open_stream(struct openstack *self, struct openstack_upload *upload,
                        struct destination_disk *disk, uint64_t size_bytes, struct error *err)
{
    struct http_plan plan = {.memory_bytes = work_end_bytes(self->work)};
    upload->digest = disk_sink_digest_new(
        (struct disk_sink){feed, upload, interrupt, http_upload_held_bytes(&plan)});
    struct disk_sink sink = disk_sink_digest_sink(upload->digest);
    const char *directory = work_directory(self->work);
    if (upload->form == OPENSTACK_FORM_PACKED)
        return disk_qcow2_repack_open(disk->from, sink, directory, &disk->disk,
                                      &upload->stream_bytes, err);
    if (upload->form == OPENSTACK_FORM_PLAIN)
        return disk_qcow2_stream_open(disk->from, sink, directory, &disk->disk,
                                      &upload->stream_bytes, err);
    disk->disk = disk_raw_stream_new(size_bytes, sink);
    upload->stream_bytes = size_bytes;
    return true;
}

/* The tables of qcow2 come first: they must be known before a sequential disk is read. Clusters that lie
 * deflated at the source may stay so: what reads images in a cloud (Nova, Cinder, Glance's own converter) is
 * qemu (migration/disk/README.md: "Who reads it"). */
static enum openstack_form form_of(const struct openstack *self, const struct disk *from)
{
    if (strcmp(self->choice.image_format, "raw") == 0 || disk_access(from) == DISK_SEQUENTIAL)
        return OPENSTACK_FORM_RAW;
    return disk_gives_packs(from) && !self->options.plain ? OPENSTACK_FORM_PACKED
                                                          : OPENSTACK_FORM_PLAIN;
}

bool openstack_disk_begin(struct destination *destination, const struct destination_plan *plan,
                          size_t index, uint64_t size_bytes, struct destination_disk *ret_disk,
                          struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    struct openstack_upload *upload = &self->uploads[index];
    struct destination_disk disk = {.from = ret_disk->from, .reads_as_zero = true};
    openstack_upload_drop(upload);
    if (!openstack_want(self, plan, err))
        return false;
    upload->form = form_of(self, disk.from);
    if (!image_make(self, plan, index, upload->form == OPENSTACK_FORM_RAW, err) ||
        !open_stream(self, upload, &disk, size_bytes, err))
        return error_prefix(err, "disk %zu", index);
    if (!upload_begin(self, upload, err)) {
        disk_close(disk.disk);
        return false;
    }
    *ret_disk = disk;
    return true;
}

/* -- once more ---------------------------------------------------------------------------------------------- */

/* Glance looks at a token when an upload begins, and refuses it before a byte is taken: another token may
 * pass. */
bool openstack_disk_again(struct destination *destination, size_t index, const struct error *why)
{
    struct openstack *self = (struct openstack *)destination;
    if (self->uploads[index].answer.status != 401)
        return false;
    openstack_forget_token(self->session);
    return true;
}

bool openstack_image_delete(struct openstack *self, const char *id, bool *ret_found,
                            struct error *err)
{
    CLEANUP(xfreep) char *path = xasprintf("/images/%s", id);
    return openstack_remove(self, "image", path, ret_found, err);
}
