/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/disk/nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/disk/disk_ops.h"
#include "migration/disk/nbd_inner.h"
#include "migration/disk/raw.h"
#include "proto/fault.h"

#define CONNECT_MOST_MS 30000u
#define GOODBYE_MOST_MS 1000
#define STATUS_MOST_BYTES (1ull << 31)
#define ZERO_MOST_BYTES (1ull << 30)
#define READ_MOST_BYTES (16u << 20)
#define EXTENTS_MOST 4096u

struct disk_nbd {
    struct disk disk;
    struct nbd_handle *handles[NBD_CONNECTIONS];
    int sockets[NBD_CONNECTIONS]; /* of them: a call that waits holds the handle's lock */
    unsigned handle_count;
    bool has_status;
    bool has_zero;
    struct qemu_process *process;
    int identity_fd;
    pthread_mutex_t lock; /* of the idle list */
    pthread_cond_t given;
    struct nbd_handle *idle[NBD_CONNECTIONS];
    unsigned idle_count;
};

/* libnbd's last error in this thread as ours. */
static bool nbd_fail(struct error *err, const char *description, const char *what)
{
    int number = nbd_get_errno();
    const char *text = nbd_get_error();
    if (number == ENOSPC)
        return error_set(err, &FAULT_NO_SPACE, "%s: %s: no space at the server", description, what);
    bool away = number == ENOTCONN || number == ECONNRESET || number == ECONNREFUSED ||
                number == EHOSTUNREACH || number == ENETUNREACH || number == ETIMEDOUT ||
                number == EPIPE;
    return error_set(err, away ? &FAULT_UNAVAILABLE : &FAULT_IO, "%s: %s: %s", description, what,
                     text != NULL ? text : strerror(number));
}

static struct nbd_handle *handle_take(struct disk_nbd *nbd)
{
    pthread_mutex_lock(&nbd->lock);
    while (nbd->idle_count == 0)
        pthread_cond_wait(&nbd->given, &nbd->lock);
    struct nbd_handle *handle = nbd->idle[--nbd->idle_count];
    pthread_mutex_unlock(&nbd->lock);
    return handle;
}

static void handle_give(struct disk_nbd *nbd, struct nbd_handle *handle)
{
    pthread_mutex_lock(&nbd->lock);
    nbd->idle[nbd->idle_count++] = handle;
    pthread_cond_signal(&nbd->given);
    pthread_mutex_unlock(&nbd->lock);
}

static bool nbd_read(struct disk *disk, void *ret_data, size_t length, uint64_t offset,
                     struct error *err)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    struct nbd_handle *handle = handle_take(nbd);
    uint8_t *to = ret_data;
    bool ok = true;
    while (ok && length > 0) {
        size_t step = length < READ_MOST_BYTES ? length : READ_MOST_BYTES;
        ok =
            nbd_pread(handle, to, step, offset, 0) == 0 || nbd_fail(err, disk->description, "read");
        to += step;
        offset += step;
        length -= step;
    }
    handle_give(nbd, handle);
    return ok;
}

static bool nbd_write(struct disk *disk, const void *data, size_t length, uint64_t offset,
                      struct error *err)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    struct nbd_handle *handle = handle_take(nbd);
    const uint8_t *from = data;
    bool ok = true;
    while (ok && length > 0) {
        size_t step = length < READ_MOST_BYTES ? length : READ_MOST_BYTES;
        ok = nbd_pwrite(handle, from, step, offset, 0) == 0 ||
             nbd_fail(err, disk->description, "write");
        from += step;
        offset += step;
        length -= step;
    }
    handle_give(nbd, handle);
    return ok;
}

static bool zero_by_writing(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    static const uint8_t zeroes[256 << 10];
    while (length > 0) {
        size_t step = length < sizeof(zeroes) ? (size_t)length : sizeof(zeroes);
        if (!nbd_write(disk, zeroes, step, offset, err))
            return false;
        offset += step;
        length -= step;
    }
    return true;
}

static bool nbd_zero_range(struct disk *disk, uint64_t offset, uint64_t length, struct error *err)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    if (!nbd->has_zero)
        return zero_by_writing(disk, offset, length, err);
    struct nbd_handle *handle = handle_take(nbd);
    bool ok = true;
    while (ok && length > 0) {
        uint64_t step = length < ZERO_MOST_BYTES ? length : ZERO_MOST_BYTES;
        ok = nbd_zero(handle, step, offset, 0) == 0 || nbd_fail(err, disk->description, "zero");
        offset += step;
        length -= step;
    }
    handle_give(nbd, handle);
    return ok;
}

/* Every connection is flushed: a server need not promise that one speaks for the others. */
static bool nbd_flush_all(struct disk *disk, struct error *err)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    if (nbd_can_flush(nbd->handles[0]) != 1)
        return true;
    struct nbd_handle *taken[NBD_CONNECTIONS];
    bool ok = true;
    for (unsigned i = 0; i < nbd->handle_count; i++)
        taken[i] = handle_take(nbd);
    for (unsigned i = 0; i < nbd->handle_count; i++)
        ok = ok && (nbd_flush(taken[i], 0) == 0 || nbd_fail(err, disk->description, "flush"));
    for (unsigned i = 0; i < nbd->handle_count; i++)
        handle_give(nbd, taken[i]);
    return ok;
}

/* -- extents -------------------------------------------------------------------------------------- */

struct status {
    uint64_t at;
    uint64_t end;
    struct disk_extent *extents;
    size_t most;
    size_t count;
};

static int take_status(void *context, const char *meta, uint64_t offset, uint32_t *entries,
                       size_t entry_count, int *error)
{
    struct status *status = context;
    if (strcmp(meta, LIBNBD_CONTEXT_BASE_ALLOCATION) != 0)
        return 0;
    for (size_t i = 0; i + 1 < entry_count && status->at < status->end; i += 2) {
        uint64_t length = entries[i];
        if (length > status->end - status->at)
            length = status->end - status->at;
        enum disk_extent_kind kind = (entries[i + 1] & LIBNBD_STATE_ZERO) == 0   ? DISK_EXTENT_DATA
                                     : (entries[i + 1] & LIBNBD_STATE_HOLE) != 0 ? DISK_EXTENT_HOLE
                                                                                 : DISK_EXTENT_ZERO;
        if (length == 0 || status->count == status->most)
            break;
        status->extents[status->count++] = (struct disk_extent){status->at, length, kind};
        status->at += length;
    }
    return 0;
}

static bool nbd_extents(struct disk *disk, uint64_t offset, uint64_t length,
                        struct disk_extent *ret_extents, size_t most, size_t *ret_count,
                        struct error *err)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    if (!nbd->has_status) {
        ret_extents[0] = (struct disk_extent){offset, length, DISK_EXTENT_DATA};
        *ret_count = 1;
        return true;
    }
    if (length > STATUS_MOST_BYTES)
        length = STATUS_MOST_BYTES;
    struct status status = {
        .at = offset, .end = offset + length, .extents = ret_extents, .most = most};
    struct nbd_handle *handle = handle_take(nbd);
    bool ok = nbd_block_status(handle, length, offset,
                               (nbd_extent_callback){.callback = take_status, .user_data = &status},
                               0) == 0 ||
              nbd_fail(err, disk->description, "block status");
    handle_give(nbd, handle);
    *ret_count = status.count; /* 0 is refused by disk_extents */
    return ok;
}

/* -- ending --------------------------------------------------------------------------------------- */

static void nbd_interrupt(struct disk *disk)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    for (unsigned i = 0; i < nbd->handle_count; i++)
        shutdown(nbd->sockets[i], SHUT_RDWR);
}

/* Only politeness, for all was flushed before: a server that does not hear it is left. */
static void say_goodbye(struct nbd_handle *handle)
{
    uint64_t until_ms = clock_mono_ms() + GOODBYE_MOST_MS;
    if (nbd_aio_is_ready(handle) != 1 || nbd_aio_disconnect(handle, 0) != 0)
        return;
    while (nbd_aio_is_closed(handle) == 0 && nbd_aio_is_dead(handle) == 0 &&
           clock_mono_ms() < until_ms && nbd_poll(handle, 100) >= 0)
        ;
}

static bool nbd_end(struct disk_nbd *nbd, struct error *err)
{
    for (unsigned i = 0; i < nbd->handle_count; i++) {
        if (nbd->process == NULL)
            say_goodbye(nbd->handles[i]);
        nbd_close(nbd->handles[i]);
        fd_closep(&nbd->sockets[i]);
    }
    nbd->handle_count = 0;
    bool ok = nbd->process == NULL || qemu_process_end(nbd->process, err);
    nbd->process = NULL;
    return ok;
}

static bool nbd_finish(struct disk *disk, struct error *err)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    struct error ending = {0};
    bool ok = nbd_flush_all(disk, err);
    if (!nbd_end(nbd, &ending) && ok) {
        *err = ending;
        ok = false;
    }
    return ok;
}

static void nbd_close_disk(struct disk *disk)
{
    struct disk_nbd *nbd = (struct disk_nbd *)disk;
    struct error ignored = {0}; /* nothing was promised */
    (void)nbd_end(nbd, &ignored);
    fd_closep(&nbd->identity_fd);
    pthread_cond_destroy(&nbd->given);
    pthread_mutex_destroy(&nbd->lock);
    disk_fini(disk);
    free(nbd);
}

static char *nbd_identify(struct disk *disk)
{
    int fd = ((struct disk_nbd *)disk)->identity_fd;
    return fd >= 0 ? raw_identity(fd) : NULL;
}

static const struct disk_ops reader_ops = {
    .name = "nbd",
    .read = nbd_read,
    .close = nbd_close_disk,
    .extents = nbd_extents,
    .identify = nbd_identify,
    .interrupt = nbd_interrupt,
};
static const struct disk_ops writer_ops = {
    .name = "nbd",
    .read = nbd_read,
    .close = nbd_close_disk,
    .extents = nbd_extents,
    .write = nbd_write,
    .zero = nbd_zero_range,
    .flush = nbd_flush_all,
    .finish = nbd_finish,
    .interrupt = nbd_interrupt,
};

/* -- opening -------------------------------------------------------------------------------------- */

static bool connect_begin(struct nbd_handle *handle, const struct nbd_address *address)
{
    (void)nbd_set_strict_mode(handle, nbd_get_strict_mode(handle) & ~(uint32_t)LIBNBD_STRICT_ALIGN);
    if (nbd_add_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0)
        return false;
    if (address->socket != NULL)
        return nbd_aio_connect_unix(handle, address->socket) == 0;
    return nbd_aio_connect_uri(handle, address->uri) == 0;
}

static bool connect_one(const struct nbd_address *address, const char *description,
                        struct nbd_handle **ret_handle, struct error *err)
{
    struct nbd_handle *handle = nbd_create();
    if (handle == NULL)
        return nbd_fail(err, description, "create");
    uint64_t until_ms = clock_mono_ms() + CONNECT_MOST_MS;
    bool ok = connect_begin(handle, address) || nbd_fail(err, description, "connect");
    while (ok && nbd_aio_is_ready(handle) == 0) {
        if (clock_mono_ms() > until_ms)
            ok = error_set(err, &FAULT_TIMEOUT, "%s: no answer to connecting", description);
        else
            ok = nbd_poll(handle, 1000) >= 0 || nbd_fail(err, description, "connect");
    }
    if (ok)
        *ret_handle = handle;
    else
        nbd_close(handle);
    return ok;
}

static void handle_add(struct disk_nbd *nbd, struct nbd_handle *handle)
{
    nbd->sockets[nbd->handle_count] = fcntl(nbd_aio_get_fd(handle), F_DUPFD_CLOEXEC, 3);
    nbd->handles[nbd->handle_count++] = handle;
    nbd->idle[nbd->idle_count++] = handle;
}

static bool facts_check(struct disk_nbd *nbd, const struct nbd_plan *plan, int64_t size,
                        struct error *err)
{
    if (size < 0 || (uint64_t)size > DISK_SIZE_MOST)
        return error_set(err, &FAULT_DISK_INVALID, "%s: absurd size", nbd->disk.description);
    if (plan->writable && nbd_is_read_only(nbd->handles[0]) != 0)
        return error_set(err, &FAULT_DENIED, "%s: it is read-only", nbd->disk.description);
    return true;
}

bool nbd_open(const struct nbd_plan *plan, struct disk **ret_disk, struct error *err)
{
    struct disk_nbd *nbd = xcalloc(1, sizeof(*nbd));
    nbd->process = plan->process;
    nbd->identity_fd = plan->identity_fd;
    pthread_mutex_init(&nbd->lock, NULL);
    pthread_cond_init(&nbd->given, NULL);
    disk_init(&nbd->disk, plan->writable ? &writer_ops : &reader_ops, plan->description,
              plan->identity, 0, DISK_RANDOM, 1);
    struct nbd_handle *handle = NULL;
    if (!connect_one(&plan->address, plan->description, &handle, err)) {
        if (plan->process != NULL && qemu_process_is_ending(plan->process, err))
            error_prefix(err, "%s", plan->description); /* it knows better */
        nbd_close_disk(&nbd->disk);
        return false;
    }
    handle_add(nbd, handle);
    int64_t size = nbd_get_size(handle);
    nbd->disk.size_bytes = size > 0 ? (uint64_t)size : 0;
    nbd->has_zero = nbd_can_zero(handle) == 1;
    nbd->has_status = nbd_can_meta_context(handle, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    bool ok = facts_check(nbd, plan, size, err);
    /* More connections where the server says that they see the same bytes. A refusal is no error. */
    bool multi = nbd_can_multi_conn(handle) == 1 || (nbd->process != NULL && !plan->writable);
    struct error ignored = {0};
    while (ok && multi && nbd->handle_count < NBD_CONNECTIONS &&
           connect_one(&plan->address, plan->description, &handle, &ignored))
        handle_add(nbd, handle);
    nbd->disk.parallel = nbd->handle_count;
    if (ok)
        *ret_disk = &nbd->disk;
    else
        nbd_close_disk(&nbd->disk);
    return ok;
}

bool disk_nbd_open(const char *uri, bool writable, struct disk **ret_disk, struct error *err)
{
    struct nbd_plan plan = {.address = {.uri = uri},
                            .writable = writable,
                            .description = xasprintf("nbd %s", uri),
                            .identity = xasprintf("nbd %s", uri),
                            .identity_fd = -1};
    return nbd_open(&plan, ret_disk, err);
}
