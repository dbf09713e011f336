/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/openstack/glance_disk.h"

#include <string.h>

#include "migration/disk/disk_ops.h"
#include "migration/openstack/glance_inside.h"

#define TOKEN_VALID_MS 900000u
#define TRIES_MOST 2u

struct glance_disk {
    struct disk disk;
    struct glance_way way;
    struct disk *inner;
};

/* -- the way -------------------------------------------------------------------------------------------- */

static void lock(const struct glance_way *way)
{
    if (way->mutex != NULL)
        pthread_mutex_lock(way->mutex);
}

static void unlock(const struct glance_way *way)
{
    if (way->mutex != NULL)
        pthread_mutex_unlock(way->mutex);
}

static void drop_header(struct glance_way *way)
{
    if (way->token_header != NULL)
        secret_wipe(way->token_header, strlen(way->token_header));
    free(way->token_header);
    way->token_header = NULL;
}

void glance_way_forget(struct glance_way *way)
{
    lock(way);
    openstack_forget_token(way->link->session);
    unlock(way);
}

static bool take_token(struct glance_way *way, struct error *err)
{
    const char *token;
    lock(way);
    bool good = openstack_token(way->link->session, TOKEN_VALID_MS, &token, err);
    if (good) {
        drop_header(way);
        way->token_header = xasprintf("X-Auth-Token: %s", token);
        way->headers[0] = way->token_header;
    }
    unlock(way);
    return good;
}

/* For a long request that is refused in its middle. */
static const char *const *renew(void *context)
{
    struct glance_way *way = context;
    struct error ignored;
    glance_way_forget(way);
    return take_token(way, &ignored) ? way->headers : NULL;
}

static bool may_connect(void *context, const struct sockaddr *address)
{
    const struct glance_way *way = context;
    return openstack_allows(way->link->session, way->url, address);
}

bool glance_way_plan(struct glance_way *way, struct http_plan *ret_plan, struct error *err)
{
    const struct cloud *cloud = &way->link->cloud;
    if (!take_token(way, err))
        return false;
    *ret_plan = (struct http_plan){
        .url = way->url,
        .may_connect = may_connect,
        .may_connect_context = way,
        .headers = way->headers,
        .ca_file = cloud->cacert,
        .cert = cloud->cert,
        .key = cloud->key,
        .insecure = cloud->insecure,
        .idle_seconds = 120,
        .memory_bytes = way->memory_bytes,
        .renew = renew,
        .renew_context = way,
    };
    return true;
}

static bool way_init(struct glance_way *way, const struct glance_disk_plan *plan, struct error *err)
{
    const char *base;
    *way = (struct glance_way){
        .link = plan->link, .mutex = plan->mutex, .memory_bytes = plan->memory_bytes};
    lock(way);
    bool good = openstack_endpoint(plan->link->session, "image", &base, err);
    if (good)
        way->url = xasprintf("%s/images/%s/file", base, plan->image_id);
    unlock(way);
    return good;
}

static void way_fini(struct glance_way *way)
{
    drop_header(way);
    free(way->url);
}

/* -- the disk ------------------------------------------------------------------------------------------- */

static bool read_inner(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                       struct error *err)
{
    return disk_read(((struct glance_disk *)disk)->inner, ret_data, length, offset, err);
}

static void expect(struct disk *disk, uint64_t length, uint64_t offset)
{
    disk_expect(((struct glance_disk *)disk)->inner, length, offset);
}

static void interrupt(struct disk *disk)
{
    disk_interrupt(((struct glance_disk *)disk)->inner);
}

static void free_disk(struct glance_disk *self)
{
    disk_close(self->inner);
    way_fini(&self->way);
    free(self);
}

static void close_disk(struct disk *disk)
{
    disk_fini(disk);
    free_disk((struct glance_disk *)disk);
}

static const struct disk_ops ops = {
    .name = "glance image",
    .read = read_inner,
    .close = close_disk,
    .expect = expect,
    .interrupt = interrupt,
};

/* A range is answered with 400 (or 200, by what stands in between) where the store has none; what broke
 * twice may have better luck with a plain download. */
static bool open_inner(struct glance_disk *self, bool *ret_ranges, struct error *err)
{
    *ret_ranges = true;
    for (unsigned i = 1; i <= TRIES_MOST; i++) {
        struct http_plan plan;
        if (!glance_way_plan(&self->way, &plan, err))
            return false;
        if (disk_http_pull_open(&plan, &self->inner, err))
            return true;
        if (err->fault == &FAULT_DENIED)
            glance_way_forget(&self->way);
        else if (err->fault != &FAULT_IO)
            break;
    }
    *ret_ranges = false;
    return (err->fault == &FAULT_UNSUPPORTED || err->fault == &FAULT_IO) &&
           glance_whole_open(&self->way, &self->inner, err);
}

bool glance_disk_open(const struct glance_disk_plan *plan, struct disk **ret_disk,
                      struct error *err)
{
    struct glance_disk *self = xcalloc(1, sizeof(*self));
    bool ranges;
    if (!way_init(&self->way, plan, err) || !open_inner(self, &ranges, err)) {
        free_disk(self);
        return false;
    }
    disk_init(&self->disk, &ops, xasprintf("image %s", plan->image_id), xstrdup(plan->image_id),
              disk_size_bytes(self->inner), plan->random && ranges ? DISK_RANDOM : DISK_SEQUENTIAL,
              disk_parallel(self->inner));
    self->disk.held_bytes = disk_held_bytes(self->inner);
    *ret_disk = &self->disk;
    return true;
}
