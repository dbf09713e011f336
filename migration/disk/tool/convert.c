/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "migration/disk/tool/tool.h"
#include "proto/fault.h"

const char *tool_directory(void)
{
    const char *directory = getenv("TMPDIR");
    return directory != NULL && *directory != 0 ? directory : "/tmp";
}

struct copy_digests *tool_digests_new(uint64_t size_bytes)
{
    struct copy_digests *digests = copy_digests_new(size_bytes);
    copy_digests_spill(digests, tool_directory());
    return digests;
}

static bool note_digests(void *context, const struct copy_chunk *chunks, size_t count,
                         struct error *err)
{
    for (size_t i = 0; i < count; i++)
        copy_digests_set(context, &chunks[i]);
    return true;
}

bool tool_copy(struct disk *from, struct disk *to, bool to_is_zero,
               const struct tool_options *options, struct copy_digests *digests, struct error *err)
{
    struct copy_control control = {.bytes_per_second = options->bytes_per_second};
    struct copy_plan plan = {
        .from = from,
        .to = to,
        .threads = options->threads,
        .memory_bytes = options->memory_bytes,
        .to_is_zero = to_is_zero,
        .control = &control,
        .flushed = digests != NULL ? note_digests : NULL,
        .context = digests,
    };
    struct tool_progress *progress = options->progress ? tool_progress_begin(&control) : NULL;
    tool_watch_signals(&control);
    bool ok = copy_run(&plan, err) && disk_identity_check(from, err);
    tool_watch_signals(NULL);
    tool_progress_end(progress);
    return ok;
}

/* Half a copy is worse than none: what was made for it goes, what stood there is named. */
static void drop_half(const char *name, const struct tool_target *target)
{
    if (target->is_new && unlink(name) == 0)
        return;
    fprintf(stderr, "guts-disk: \"%s\" holds a part of the copy\n", name);
}

static bool is_same(const char *a, const char *b)
{
    struct stat left, right;
    return stat(a, &left) == 0 && stat(b, &right) == 0 && left.st_dev == right.st_dev &&
           left.st_ino == right.st_ino;
}

/* Ends the target either way. */
static bool copy_into(struct disk *from, struct tool_target *target,
                      const struct tool_options *options, struct copy_digests *digests,
                      struct error *err)
{
    if (tool_copy(from, target->disk, target->is_zero, options, digests, err))
        return disk_finish(target->disk, err);
    disk_close(target->disk);
    return false;
}

int tool_convert(const char *from_name, const char *to_name, const struct tool_options *options)
{
    struct error err = {0};
    CLEANUP(disk_closep) struct disk *from = NULL;
    struct tool_target target;
    if (is_same(from_name, to_name)) {
        error_set(&err, &FAULT_INVALID, "\"%s\" and \"%s\" are one file", from_name, to_name);
        return tool_fail(&err);
    }
    if (!tool_open_source(from_name, options, &from, &err))
        return tool_fail(&err);
    if (tool_is_stream(to_name))
        return tool_convert_stream(from, to_name, options);
    struct copy_digests *digests = options->digest ? tool_digests_new(disk_size_bytes(from)) : NULL;
    bool opened = tool_open_target(to_name, options, from, &target, &err);
    bool ok = opened && copy_into(from, &target, options, digests, &err);
    if (!ok && (opened || target.is_new))
        drop_half(to_name, &target);
    if (ok && digests != NULL) {
        char text[COPY_DIGEST_TEXT_SIZE];
        copy_digests_text(digests, text);
        printf("%s\n", text);
    }
    copy_digests_free(digests);
    return ok ? 0 : tool_fail(&err);
}
