/* SPDX-License-Identifier: Apache-2.0
 *
 * An image's bytes by ranges. A token ends before a large disk does: the read that is refused gets a new
 * one and is made again.
 */
#include <pthread.h>
#include <string.h>

#include "migration/disk/disk_ops.h"
#include "migration/disk/http.h"
#include "migration/source/openstack_inner.h"

#define TOKEN_VALID_MS 900000u

struct image_disk {
    struct disk disk;
    struct openstack_source *source;
    char *url;
    pthread_rwlock_t
        lock; /* held for reading while `inner` is used, for writing while it is changed */
    struct disk *inner;
    unsigned generation; /* counts the tokens */
};

static bool may_connect(void *context, const struct sockaddr *address)
{
    const struct image_disk *image = context;
    return openstack_allows(image->source->session, image->url, address);
}

/* With the source's mutex held, and the lock where somebody may read. */
static bool open_inner(struct image_disk *image, struct disk **ret_inner, struct error *err)
{
    const struct cloud *cloud = &image->source->link->cloud;
    const char *token;
    if (!openstack_token(image->source->session, TOKEN_VALID_MS, &token, err))
        return false;
    CLEANUP(xfreep) char *header = xasprintf("X-Auth-Token: %s", token);
    const char *const headers[] = {header, NULL};
    struct http_plan plan = {.url = image->url,
                             .may_connect = may_connect,
                             .may_connect_context = image,
                             .headers = headers,
                             .ca_file = cloud->cacert,
                             .cert = cloud->cert,
                             .key = cloud->key,
                             .insecure = cloud->insecure};
    bool good = disk_http_pull_open(&plan, ret_inner, err);
    explicit_bzero(header, strlen(header));
    return good;
}

static bool renew(struct image_disk *image, unsigned generation, struct error *err)
{
    bool good = true;
    struct disk *inner;
    pthread_rwlock_wrlock(&image->lock);
    if (image->generation == generation) {
        pthread_mutex_lock(&image->source->mutex);
        openstack_forget_token(image->source->session);
        good = open_inner(image, &inner, err);
        pthread_mutex_unlock(&image->source->mutex);
        if (good) {
            disk_close(image->inner);
            image->inner = inner;
            image->generation++;
        }
    }
    pthread_rwlock_unlock(&image->lock);
    return good;
}

static bool read_once(struct image_disk *image, void *ret_data, size_t length, uint64_t offset,
                      unsigned *ret_generation, struct error *err)
{
    pthread_rwlock_rdlock(&image->lock);
    *ret_generation = image->generation;
    bool good = disk_read(image->inner, ret_data, length, offset, err);
    pthread_rwlock_unlock(&image->lock);
    return good;
}

static bool image_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                       struct error *err)
{
    struct image_disk *image = (struct image_disk *)disk;
    unsigned generation;
    if (read_once(image, ret_data, length, offset, &generation, err))
        return true;
    return err->fault == &FAULT_DENIED && renew(image, generation, err) &&
           read_once(image, ret_data, length, offset, &generation, err);
}

static void image_expect(struct disk *disk, uint64_t length, uint64_t offset)
{
    struct image_disk *image = (struct image_disk *)disk;
    pthread_rwlock_rdlock(&image->lock);
    disk_expect(image->inner, length, offset);
    pthread_rwlock_unlock(&image->lock);
}

static void image_interrupt(struct disk *disk)
{
    struct image_disk *image = (struct image_disk *)disk;
    pthread_rwlock_rdlock(&image->lock);
    disk_interrupt(image->inner);
    pthread_rwlock_unlock(&image->lock);
}

static void image_free(struct image_disk *image)
{
    disk_close(image->inner);
    pthread_rwlock_destroy(&image->lock);
    free(image->url);
    free(image);
}

static void image_close(struct disk *disk)
{
    disk_fini(disk);
    image_free((struct image_disk *)disk);
}

static const struct disk_ops ops = {
    .name = "glance image",
    .read = image_read,
    .close = image_close,
    .expect = image_expect,
    .interrupt = image_interrupt,
};

static bool open_first(struct image_disk *image, const char *image_id, struct error *err)
{
    const char *endpoint;
    if (!openstack_endpoint(image->source->session, "image", &endpoint, err))
        return false;
    image->url = xasprintf("%s/images/%s/file", endpoint, image_id);
    return open_inner(image, &image->inner, err);
}

bool openstack_image_open(struct openstack_source *self, const char *image_id,
                          struct disk **ret_disk, struct error *err)
{
    struct image_disk *image = xcalloc(1, sizeof(*image));
    image->source = self;
    pthread_rwlock_init(&image->lock, NULL);
    pthread_mutex_lock(&self->mutex);
    bool good = open_first(image, image_id, err);
    pthread_mutex_unlock(&self->mutex);
    if (!good) {
        image_free(image);
        return false;
    }
    disk_init(&image->disk, &ops, xasprintf("image %s", image_id), xstrdup(image_id),
              disk_size_bytes(image->inner), DISK_RANDOM, disk_parallel(image->inner));
    *ret_disk = &image->disk;
    return true;
}
