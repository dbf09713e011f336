/* SPDX-License-Identifier: Apache-2.0
 *
 * guts-disk: the disk engine for people and scripts. One file a group of commands; each returns the exit
 * code: 0 done, 1 compared and different, 2 failed.
 */
#ifndef GUTS_MIGRATION_DISK_TOOL_TOOL_H
#define GUTS_MIGRATION_DISK_TOOL_TOOL_H

#include "migration/disk/copy.h"
#include "migration/disk/disk.h"
#include "migration/disk/http.h"
#include "migration/disk/qcow2.h"

struct tool_options {
    const char *from_format; /* NULL: told by the first bytes */
    const char *to_format;   /* "raw" unless told otherwise */
    bool progress;
    bool digest;    /* print the digest of what was copied */
    bool sync;      /* wait for stable storage */
    bool sha512;    /* of the stream, printed; only with a stream as target */
    bool to_is_old; /* write into what is there, zeroing where the source has nothing */
    enum disk_qcow2_compression compression;
    unsigned threads;
    uint64_t memory_bytes;
    uint64_t bytes_per_second;
    const char *const *headers; /* sent with each HTTP request; NULL: none */
};

/* A file (its format told or found out), or "nbd:…" or "http(s):…". */
bool tool_open_source(const char *name, const struct tool_options *options, struct disk **ret_disk,
                      struct error *err) MUST_CHECK;
/* What the first bytes of a file say; anything else is "raw". */
#define TOOL_MAGIC_BYTES 68
const char *tool_find_format(const char start[TOOL_MAGIC_BYTES]);
bool tool_is_http(const char *name);
/* What is in a gzip file: a streamOptimized VMDK, read once. Takes bytes. */
bool tool_open_gzip(struct disk *bytes, struct disk **ret_disk, struct error *err) MUST_CHECK;
/* By ranges where the server has them, else read once. */
bool tool_open_http(const char *url, const struct tool_options *options, struct disk **ret_disk,
                    struct error *err) MUST_CHECK;
struct http_plan tool_http_plan(const char *url, const struct tool_options *options);
/* "Name: value" lines of a file, so that no token stands on a command line; kept until the end. */
bool tool_headers_read(const char *path, const char *const **ret_headers,
                       struct error *err) MUST_CHECK;
/* "-" (standard output) or "http(s):…": the target is a stream. */
bool tool_is_stream(const char *name);
/* Copies into a stream and prints what options ask for. */
int tool_convert_stream(struct disk *from, const char *name, const struct tool_options *options);
struct tool_target {
    struct disk *disk;
    bool is_zero; /* where nothing was written yet */
    bool is_new;  /* a file that did not stand there before; on failure too */
};
bool tool_open_target(const char *name, const struct tool_options *options, struct disk *from,
                      struct tool_target *ret_target, struct error *err) MUST_CHECK;
/* An interrupt or a request to end stops the copy that this steers (NULL: none); a second one kills. */
void tool_watch_signals(struct copy_control *control);

/* A bar on standard error while a copy runs. */
struct tool_progress;
struct tool_progress *tool_progress_begin(const struct copy_control *control);
void tool_progress_end(struct tool_progress *progress);

const char *tool_directory(void); /* TMPDIR, or /tmp */
/* A list that goes on in tool_directory when it grows long. */
struct copy_digests *tool_digests_new(uint64_t size_bytes);
/* The copy itself; digests may be NULL. */
bool tool_copy(struct disk *from, struct disk *to, bool to_is_zero,
               const struct tool_options *options, struct copy_digests *digests,
               struct error *err) MUST_CHECK;

int tool_info(const char *name, const struct tool_options *options);
int tool_map(const char *name, const struct tool_options *options);
int tool_digest(const char *name, const struct tool_options *options);
int tool_compare(const char *a, const char *b, const struct tool_options *options);
int tool_convert(const char *from, const char *to, const struct tool_options *options);
int tool_fail(const struct error *err); /* prints it; returns 2 */

#endif
