/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that only read: info, map, digest, compare.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/memory.h"
#include "migration/disk/tool/tool.h"

#define EXTENTS 256

/* Calls take for each extent of the disk, neighbours of one kind merged as far as an answer holds them. */
static bool each_extent(struct disk *disk,
                        void (*take)(void *context, const struct disk_extent *extent),
                        void *context, struct error *err)
{
    uint64_t size = disk_size_bytes(disk);
    struct disk_extent pending = {0};
    for (uint64_t at = 0; at < size;) {
        struct disk_extent extents[EXTENTS];
        size_t count = 0;
        if (!disk_extents(disk, at, size - at, extents, EXTENTS, &count, err))
            return false;
        for (size_t i = 0; i < count; i++) {
            if (pending.length > 0 && pending.kind == extents[i].kind) {
                pending.length += extents[i].length;
                continue;
            }
            if (pending.length > 0)
                take(context, &pending);
            pending = extents[i];
        }
        at = extents[count - 1].offset + extents[count - 1].length;
    }
    if (pending.length > 0)
        take(context, &pending);
    return true;
}

static void print_extent(void *context, const struct disk_extent *extent)
{
    static const char *const words[] = {"data", "zero", "hole"};
    printf("%16" PRIu64 " %16" PRIu64 " %s\n", extent->offset, extent->length, words[extent->kind]);
}

static void add_extent(void *context, const struct disk_extent *extent)
{
    uint64_t *totals = context;
    totals[extent->kind] += extent->length;
}

int tool_map(const char *name, const struct tool_options *options)
{
    struct error err = {0};
    CLEANUP(disk_closep) struct disk *disk = NULL;
    if (!tool_open_source(name, options, &disk, &err) ||
        !each_extent(disk, print_extent, NULL, &err))
        return tool_fail(&err);
    return 0;
}

int tool_info(const char *name, const struct tool_options *options)
{
    struct error err = {0};
    CLEANUP(disk_closep) struct disk *disk = NULL;
    uint64_t totals[3] = {0};
    if (!tool_open_source(name, options, &disk, &err) ||
        !each_extent(disk, add_extent, totals, &err))
        return tool_fail(&err);
    printf("disk      %s\nsize      %" PRIu64 "\naccess    %s\ndata      %" PRIu64
           "\nzero      %" PRIu64 "\nhole      %" PRIu64 "\nidentity  %s\n",
           disk_describe(disk), disk_size_bytes(disk),
           disk_access(disk) == DISK_RANDOM ? "random" : "sequential", totals[DISK_EXTENT_DATA],
           totals[DISK_EXTENT_ZERO], totals[DISK_EXTENT_HOLE], disk_identity(disk));
    return 0;
}

/* The digest list of a disk; NULL with err. */
static struct copy_digests *read_digests(const char *name, const struct tool_options *options,
                                         uint64_t *ret_size, struct error *err)
{
    CLEANUP(disk_closep) struct disk *disk = NULL;
    if (!tool_open_source(name, options, &disk, err))
        return NULL;
    struct copy_control control = {.bytes_per_second = options->bytes_per_second};
    struct copy_digests *digests = tool_digests_new(disk_size_bytes(disk));
    *ret_size = disk_size_bytes(disk);
    struct tool_progress *progress = options->progress ? tool_progress_begin(&control) : NULL;
    tool_watch_signals(&control);
    bool ok = copy_digests_read(digests, disk, &control, err) && disk_identity_check(disk, err);
    tool_watch_signals(NULL);
    tool_progress_end(progress);
    if (ok)
        return digests;
    copy_digests_free(digests);
    return NULL;
}

int tool_digest(const char *name, const struct tool_options *options)
{
    struct error err = {0};
    uint64_t size = 0;
    struct copy_digests *digests = read_digests(name, options, &size, &err);
    if (digests == NULL)
        return tool_fail(&err);
    char text[COPY_DIGEST_TEXT_SIZE];
    copy_digests_text(digests, text);
    copy_digests_free(digests);
    printf("%s\n", text);
    return 0;
}

int tool_compare(const char *a, const char *b, const struct tool_options *options)
{
    struct error err = {0};
    uint64_t size = 0;
    struct copy_digests *digests = read_digests(a, options, &size, &err);
    if (digests == NULL)
        return tool_fail(&err);
    CLEANUP(disk_closep) struct disk *disk = NULL;
    struct copy_control control = {.bytes_per_second = options->bytes_per_second};
    struct tool_options other = *options;
    other.from_format = NULL;
    bool ok = tool_open_source(b, &other, &disk, &err);
    struct tool_progress *progress = ok && options->progress ? tool_progress_begin(&control) : NULL;
    tool_watch_signals(&control);
    ok = ok && copy_verify(disk, digests, &control, &err) && disk_identity_check(disk, &err);
    tool_watch_signals(NULL);
    tool_progress_end(progress);
    copy_digests_free(digests);
    if (ok) {
        puts("identical");
        return 0;
    }
    if (strcmp(err.fault->code, "digest_mismatch") != 0)
        return tool_fail(&err);
    printf("different: %s\n", err.text);
    return 1;
}
