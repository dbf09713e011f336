/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams as targets: standard output, and uploads.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/memory.h"
#include "migration/disk/http.h"
#include "migration/disk/lane.h"
#include "migration/disk/stream.h"
#include "migration/disk/tool/tool.h"
#include "proto/fault.h"

bool tool_is_stream(const char *name)
{
    return strcmp(name, "-") == 0 || tool_is_http(name);
}

/* Where the bytes go: known only when the upload's length is. */
struct target {
    const char *name;
    struct http_upload *upload;
    bool is_file; /* standard output, and not to be appended to */
    struct lane lane;
    uint64_t at;
};

static bool write_target(void *context, const void *data, size_t length, struct error *err)
{
    struct target *target = context;
    if (target->upload != NULL)
        return http_upload_write(target->upload, data, length, err);
    if (!target->is_file)
        return file_write_all(STDOUT_FILENO, data, length, err);
    bool ok = lane_write(&target->lane, data, length, target->at, err);
    target->at += ok ? length : 0;
    return ok;
}

static void interrupt_target(void *context)
{
    struct target *target = context;
    if (target->upload != NULL)
        http_upload_interrupt(target->upload);
}

static void find_file(struct target *target)
{
    struct stat about;
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    off_t at = lseek(STDOUT_FILENO, 0, SEEK_CUR);
    if (fstat(STDOUT_FILENO, &about) < 0 || !S_ISREG(about.st_mode) || flags < 0 ||
        (flags & O_APPEND) != 0 || at < 0)
        return;
    target->is_file = true;
    target->at = (uint64_t)at;
    lane_init(&target->lane, STDOUT_FILENO, 0);
}

static bool open_stream(struct disk *from, struct disk_sink sink,
                        const struct tool_options *options, struct disk **ret_disk,
                        uint64_t *ret_length, struct error *err)
{
    bool is_qcow2 = strcmp(options->to_format, "qcow2") == 0;
    if (is_qcow2 && options->compression == DISK_QCOW2_REPACK)
        return disk_qcow2_repack_open(from, sink, tool_directory(), ret_disk, ret_length, err);
    if (options->compression != DISK_QCOW2_PLAIN)
        return error_set(err, &FAULT_UNSUPPORTED,
                         "a stream is compressed by repacking only: its length would not be known");
    if (is_qcow2)
        return disk_qcow2_stream_open(from, sink, tool_directory(), ret_disk, ret_length, err);
    *ret_length = disk_size_bytes(from);
    *ret_disk = disk_raw_stream_new(*ret_length, sink);
    return true;
}

static bool target_begin(struct target *target, uint64_t length, const struct tool_options *options,
                         struct error *err)
{
    if (!tool_is_http(target->name)) {
        find_file(target);
        return true;
    }
    struct http_plan plan = tool_http_plan(target->name, options);
    return http_upload_begin(&plan, length, &target->upload, err);
}

static bool target_end(struct target *target, bool ok, struct error *err)
{
    struct error ending = {0};
    bool ended = target->upload == NULL || http_upload_end(target->upload, &ending);
    if (target->is_file) {
        lane_fini(&target->lane);
        if (lseek(STDOUT_FILENO, (off_t)target->at, SEEK_SET) < 0)
            ended = error_set_errno(&ending, errno, "cannot seek in standard output");
    }
    if (!ended && (ok || err->fault == NULL))
        *err = ending;
    return ok && ended;
}

static bool run_stream(struct disk *from, struct target *target, struct disk_sink sink,
                       const struct tool_options *options, struct copy_digests *digests,
                       struct error *err)
{
    struct disk *to = NULL;
    uint64_t length = 0;
    if (!open_stream(from, sink, options, &to, &length, err))
        return false;
    bool ok = target_begin(target, length, options, err);
    ok = ok && tool_copy(from, to, true, options, digests, err);
    if (ok)
        ok = disk_finish(to, err);
    else
        disk_close(to);
    return target_end(target, ok, err);
}

/* Standard output may be the stream itself. */
static void tell(const char *name, const char *text)
{
    fprintf(strcmp(name, "-") == 0 ? stderr : stdout, "%s\n", text);
}

int tool_convert_stream(struct disk *from, const char *name, const struct tool_options *options)
{
    struct error err = {0};
    struct target target = {.name = name};
    struct http_plan plan = tool_http_plan(name, options);
    struct disk_sink sink = {write_target, &target, interrupt_target,
                             tool_is_http(name) ? http_upload_held_bytes(&plan) : 0};
    struct disk_sink_digest *digest = options->sha512 ? disk_sink_digest_new(sink) : NULL;
    struct copy_digests *digests = options->digest ? tool_digests_new(disk_size_bytes(from)) : NULL;
    bool ok = run_stream(from, &target, digest != NULL ? disk_sink_digest_sink(digest) : sink,
                         options, digests, &err);
    char text[DISK_SINK_DIGEST_TEXT_SIZE];
    if (ok && digests != NULL) {
        copy_digests_text(digests, text);
        tell(name, text);
    }
    if (ok && digest != NULL) {
        disk_sink_digest_text(digest, text);
        tell(name, text);
    }
    copy_digests_free(digests);
    disk_sink_digest_free(digest);
    return ok ? 0 : tool_fail(&err);
}
