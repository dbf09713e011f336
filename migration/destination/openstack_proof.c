/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a disk arrived: Glance's digest is that of the stream, and what the guest will see is read out of
 * Glance again.
 */
#include <string.h>

#include "common/base/clock.h"
#include "migration/destination/openstack_inner.h"
#include "migration/disk/qcow2.h"
#include "migration/openstack/glance_disk.h"

#define SETTLE_MOST_MS (10u * 60 * 1000) /* from the last byte to "active" */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static bool await_active(struct openstack *self, const char *id, json_t **ret_image,
                         struct error *err)
{
    uint64_t until_ms = clock_mono_ms() + SETTLE_MOST_MS;
    struct openstack_pace pace;
    openstack_pace_begin(&pace);
    while (clock_mono_ms() < until_ms) {
        json_t *image = NULL;
        if (!openstack_image_get(self, id, &image, err))
            return false;
        const char *status = text_of(image, "status");
        if (strcmp(status, "active") == 0) {
            *ret_image = image;
            return true;
        }
        bool waits = strcmp(status, "saving") == 0 || strcmp(status, "importing") == 0 ||
                     strcmp(status, "uploading") == 0;
        if (!waits) {
            error_set(err, &FAULT_IO, "image %s became \"%s\" instead of \"active\"", id, status);
            json_decref(image);
            return false;
        }
        json_decref(image);
        if (!openstack_pace_wait(self, &pace, err))
            return false;
    }
    return error_set(err, &FAULT_TIMEOUT, "image %s did not become active", id);
}

/* Transport: what was sent is what Glance holds. Where it digests in another way than we, its bytes must be read
 * again to know. */
static bool compare(const struct openstack_upload *upload, const json_t *image, const char *digest,
                    json_t *evidence, bool *ret_known, struct error *err)
{
    const char *algorithm = text_of(image, "os_hash_algo"), *hash = text_of(image, "os_hash_value");
    uint64_t size = (uint64_t)json_integer_value(json_object_get(image, "size"));
    json_object_set_new(evidence, "image", json_string(upload->image_id));
    json_object_set_new(evidence, "format",
                        json_string(upload->form == OPENSTACK_FORM_RAW ? "raw" : "qcow2"));
    json_object_set_new(evidence, "stream_bytes", json_integer((json_int_t)upload->stream_bytes));
    json_object_set_new(evidence, "sha512", json_string(digest));
    json_object_set_new(evidence, "os_hash_algo", json_string(algorithm));
    json_object_set_new(evidence, "os_hash_value", json_string(hash));
    if (size != upload->stream_bytes)
        return error_set(err, &FAULT_DIGEST_MISMATCH, "image %s has %llu bytes, %llu were sent",
                         upload->image_id, (unsigned long long)size,
                         (unsigned long long)upload->stream_bytes);
    *ret_known = strcmp(algorithm, "sha512") == 0;
    if (*ret_known && strcmp(hash, digest) != 0)
        return error_set(err, &FAULT_DIGEST_MISMATCH,
                         "image %s: Glance's sha512 is not that of what was sent",
                         upload->image_id);
    return true;
}

/* Glance's bytes, read by none of the code that wrote them. */
static bool open_reader(struct openstack *self, const struct openstack_upload *upload,
                        struct disk **ret_disk, struct error *err)
{
    const struct glance_disk_plan plan = {.link = self->link,
                                          .image_id = upload->image_id,
                                          .memory_bytes = work_end_bytes(self->work)};
    struct disk *file = NULL;
    if (!glance_disk_open(&plan, &file, err))
        return false;
    if (upload->form != OPENSTACK_FORM_RAW)
        return disk_qcow2_read_open(file, ret_disk, err);
    *ret_disk = file;
    return true;
}

static bool read_again(struct openstack *self, const struct openstack_upload *upload,
                       const struct copy_digests *digests, struct copy_control *control,
                       json_t *evidence, struct error *err)
{
    CLEANUP(disk_closep) struct disk *disk = NULL;
    if (!open_reader(self, upload, &disk, err) || !copy_verify(disk, digests, control, err))
        return error_prefix(err, "image %s, read again", upload->image_id);
    json_object_set_new(evidence, "reader",
                        json_string(upload->form == OPENSTACK_FORM_RAW
                                        ? "Glance"
                                        : "Glance, and a reader of qcow2"));
    return true;
}

/* An answer that was lost on its way may have been a good one: the image tells. */
static bool end_upload(struct openstack_upload *upload, struct error *err)
{
    struct http_upload *request = upload->upload;
    upload->upload = NULL;
    return http_upload_end(request, err) || err->fault == &FAULT_UNCERTAIN ||
           openstack_upload_broke(upload, err);
}

bool openstack_disk_end(struct destination *destination, const struct destination_plan *plan,
                        size_t index, const struct copy_digests *digests,
                        struct copy_control *control, json_t *evidence, struct error *err)
{
    struct openstack *self = (struct openstack *)destination;
    struct openstack_upload *upload = &self->uploads[index];
    char digest[DISK_SINK_DIGEST_TEXT_SIZE], content[COPY_DIGEST_TEXT_SIZE];
    json_t *image = NULL;
    if (!openstack_want(self, plan, err) || !end_upload(upload, err))
        return false;
    disk_sink_digest_text(upload->digest, digest);
    bool known = false;
    bool good = await_active(self, upload->image_id, &image, err) &&
                compare(upload, image, digest, evidence, &known, err);
    json_decref(image);
    if (!good)
        return false;
    bool reads = self->options.verify_content || !known;
    if (reads && !read_again(self, upload, digests, control, evidence, err))
        return false;
    copy_digests_text(digests, content);
    json_object_set_new(evidence, reads ? "content" : "sent", json_string(content));
    openstack_upload_drop(upload);
    return true;
}
