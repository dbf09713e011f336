/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that belong to us: bounded reads, atomic replacement, durable directories. Files of others
 * (images, inventories) are opened by migration/root.h, which confines them beneath their roots.
 *
 * Threads: any.
 */
#ifndef GUTS_COMMON_BASE_FILE_H
#define GUTS_COMMON_BASE_FILE_H

#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/base/memory.h"

/* Reads a whole regular file; FAULT_TOO_LARGE beyond `most` bytes. Appends to ret_content. */
bool file_read(const char *path, size_t most, struct buffer *ret_content,
               struct error *err) MUST_CHECK;
/* Writes a temporary file beside path, syncs it, renames it over path, syncs the directory. */
bool file_replace(const char *path, mode_t mode, const void *data, size_t length,
                  struct error *err) MUST_CHECK;
/* mkdir -p; the last component gets `mode`; parents 0755. */
bool file_make_directory(const char *path, mode_t mode, struct error *err) MUST_CHECK;
bool file_sync_directory(const char *path, struct error *err) MUST_CHECK;
/* The name of the next entry, "." and ".." left out, valid until the next call. NULL at the end, and
 * where the rest cannot be read: then *fine becomes false, for what is missing is not gone. `what` names
 * the directory in the error. */
const char *file_next_name(DIR *directory, const char *what, bool *fine, struct error *err);
/* Writes all of it, going on after short writes and EINTR. */
bool file_write_all(int fd, const void *data, size_t length, struct error *err) MUST_CHECK;
bool file_pwrite_all(int fd, const void *data, size_t length, uint64_t offset,
                     struct error *err) MUST_CHECK;
/* Reads exactly length bytes; FAULT_IO "unexpected end" when there are fewer. */
bool file_pread_all(int fd, void *ret_data, size_t length, uint64_t offset,
                    struct error *err) MUST_CHECK;
/* Removes a directory and what is in it, without following links or crossing filesystems.
 * What is gone already is no error. */
bool file_remove_tree(const char *path, struct error *err) MUST_CHECK;

#endif
