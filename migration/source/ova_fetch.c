/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/ova_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/http/client.h"
#include "migration/root_url.h"
#include "proto/fault.h"

struct ova_fetch {
    struct work *work;
    char *url;
    char shown[URL_SHOWN_SIZE]; /* the query may sign the request: it goes into no error */
    struct http_client *client;
};

static bool allow_address(void *context, const struct sockaddr *address)
{
    const struct ova_fetch *fetch = context;
    return roots_allow_address(work_roots(fetch->work), fetch->url, address);
}

bool ova_fetch_open(struct work *work, const char *url, struct ova_fetch **ret_fetch,
                    struct error *err)
{
    if (!roots_allow_url(work_roots(work), url, err))
        return false;
    http_client_library_begin();
    struct ova_fetch *fetch = xcalloc(1, sizeof(*fetch));
    fetch->work = work;
    fetch->url = xstrdup(url);
    url_shown(url, fetch->shown);
    struct http_client_settings settings = {
        .agent = "guts-migration", .allow_address = allow_address, .allow_context = fetch};
    fetch->client = http_client_new(&settings);
    *ret_fetch = fetch;
    return true;
}

void ova_fetch_close(struct ova_fetch *fetch)
{
    if (fetch == NULL)
        return;
    http_client_free(fetch->client);
    http_client_library_end();
    free(fetch->url);
    free(fetch);
}

static bool go_on(void *context)
{
    struct ova_fetch *fetch = context;
    struct error ignored;
    return work_go_on(fetch->work, &ignored);
}

static bool unreachable(struct error *err)
{
    if (err->fault == &FAULT_DENIED)
        err->fault = &FAULT_ADDRESS_NOT_ALLOWED;
    if (err->fault == &FAULT_UNAVAILABLE || err->fault == &FAULT_TIMEOUT)
        err->fault = &FAULT_SOURCE_UNREACHABLE;
    return false;
}

static bool judge_status(const struct ova_fetch *fetch, unsigned status, unsigned wanted,
                         struct error *err)
{
    if (status == wanted)
        return true;
    if (status == 401 || status == 403)
        return error_set(err, &FAULT_SOURCE_CREDENTIALS, "\"%s\" answers %u", fetch->shown, status);
    if (status == 404 || status == 410)
        return error_set(err, &FAULT_NOT_FOUND, "\"%s\" answers %u", fetch->shown, status);
    if (status == 200 && wanted == 206)
        return error_set(err, &FAULT_UNSUPPORTED, "the server of \"%s\" serves no ranges",
                         fetch->shown);
    return error_set(err, &FAULT_SOURCE_UNREACHABLE, "\"%s\" answers %u", fetch->shown, status);
}

/* A server that ignores the range sends all of it: the sink stops it after what was asked for. */
struct piece {
    char *data;
    size_t length, most;
};

static bool take_piece(void *context, const char *data, size_t length)
{
    struct piece *piece = context;
    size_t room = piece->most - piece->length;
    memcpy(piece->data + piece->length, data, length < room ? length : room);
    piece->length += length < room ? length : room;
    return length <= room;
}

static bool read_range(void *context, void *ret_data, size_t length, uint64_t offset,
                       size_t *ret_length, struct error *err)
{
    struct ova_fetch *fetch = context;
    struct http_reply reply = {0};
    char range[96];
    snprintf(range, sizeof(range), "Range: bytes=%llu-%llu", (unsigned long long)offset,
             (unsigned long long)(offset + length - 1));
    const char *headers[] = {range};
    struct http_call call = {.method = "GET",
                             .url = fetch->url,
                             .headers = headers,
                             .header_count = 1,
                             .total_timeout_ms = 60000,
                             .go_on = go_on,
                             .go_on_context = fetch};
    struct piece piece = {.data = ret_data, .most = length};
    if (!roots_allow_url(work_roots(fetch->work), fetch->url, err))
        return false;
    bool fine = http_client_stream(fetch->client, &call, take_piece, &piece, &reply, err) ||
                unreachable(err);
    unsigned status = reply.status;
    http_reply_fini(&reply);
    if (!fine)
        return false;
    *ret_length = piece.length;
    if (status == 416) { /* beyond the end */
        *ret_length = 0;
        return true;
    }
    return judge_status(fetch, status, 206, err);
}

struct tarball_reader ova_fetch_reader(struct ova_fetch *fetch)
{
    return (struct tarball_reader){.read = read_range, .context = fetch, .size_bytes = UINT64_MAX};
}

struct download {
    struct ova_fetch *fetch;
    int fd;
    uint64_t length, most;
    struct error error; /* why the sink ended it, if it did */
};

static bool take_download(void *context, const char *data, size_t length)
{
    struct download *download = context;
    if (length > download->most - download->length)
        return error_set(&download->error, &FAULT_TOO_LARGE, "it has more than %llu bytes",
                         (unsigned long long)download->most);
    download->length += length;
    return work_go_on(download->fetch->work, &download->error) &&
           file_write_all(download->fd, data, length, &download->error);
}

static bool download_into(struct ova_fetch *fetch, int fd, uint64_t most, struct error *err)
{
    struct http_reply reply = {0};
    struct download download = {.fetch = fetch, .fd = fd, .most = most};
    struct http_call call = {
        .method = "GET", .url = fetch->url, .go_on = go_on, .go_on_context = fetch};
    bool fine = http_client_stream(fetch->client, &call, take_download, &download, &reply, err) ||
                unreachable(err);
    unsigned status = reply.status;
    http_reply_fini(&reply);
    if (download.error.fault != NULL) {
        *err = download.error;
        return false;
    }
    return fine && judge_status(fetch, status, 200, err);
}

bool ova_fetch_all(struct ova_fetch *fetch, const char *path, uint64_t most, struct error *err)
{
    if (access(path, F_OK) == 0)
        return true;
    if (!roots_allow_url(work_roots(fetch->work), fetch->url, err))
        return false;
    CLEANUP(xfreep) char *part = xasprintf("%s.part", path);
    CLEANUP(fd_closep) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot create \"%s\"", part);
    if (!download_into(fetch, fd, most, err))
        return error_prefix(err, "downloading \"%s\"", fetch->shown);
    if (fsync(fd) != 0 || rename(part, path) != 0)
        return error_set_errno(err, errno, "cannot keep \"%s\"", path);
    return true;
}
