/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "migration/disk/tool/tool.h"

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
    bool ok = copy_run(&plan, err) && disk_identity_check(from, err);
    tool_progress_end(progress);
    return ok;
}

int tool_convert(const char *from_name, const char *to_name, const struct tool_options *options)
{
    struct error err = {0};
    CLEANUP(disk_closep) struct disk *from = NULL;
    struct disk *to = NULL;
    bool to_is_zero = false;
    if (!tool_open_source(from_name, options, &from, &err))
        return tool_fail(&err);
    if (tool_is_stream(to_name))
        return tool_convert_stream(from, to_name, options);
    if (!tool_open_target(to_name, options, from, &to, &to_is_zero, &err))
        return tool_fail(&err);
    struct copy_digests *digests = options->digest ? tool_digests_new(disk_size_bytes(from)) : NULL;
    bool ok = tool_copy(from, to, to_is_zero, options, digests, &err);
    if (ok)
        ok = disk_finish(to, &err);
    else
        disk_close(to);
    if (ok && digests != NULL) {
        char text[COPY_DIGEST_TEXT_SIZE];
        copy_digests_text(digests, text);
        printf("%s\n", text);
    }
    copy_digests_free(digests);
    return ok ? 0 : tool_fail(&err);
}
