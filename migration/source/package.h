/* SPDX-License-Identifier: Apache-2.0
 *
 * An OVF package as it lies somewhere: a directory with a descriptor, a tar file (.ova), or a tar file
 * behind a URL, of which only headers, descriptor and manifest are fetched. Gives the machines of its
 * descriptor and the bytes of its files.
 *
 * Threads: one at a time.
 */
#ifndef GUTS_MIGRATION_SOURCE_PACKAGE_H
#define GUTS_MIGRATION_SOURCE_PACKAGE_H

#include "migration/disk/disk.h"
#include "migration/source/tarball.h"
#include "migration/source/manifest.h"
#include "migration/source/ovf.h"

struct package {
    struct arena *arena;
    int directory_fd;             /* of a descriptor in a directory, or −1 */
    int file_fd;                  /* of the tar file, or −1 */
    struct tarball_reader remote; /* read is NULL unless the tar file is behind a URL */
    struct tarball archive;
    const char *descriptor_name;
    struct ovf *ovf;
    struct manifest manifest;
    bool has_manifest;
};
/* Both take the descriptor, also on failure. The descriptor is held against the manifest at once. */
bool package_open_directory(int directory_fd, const char *descriptor_name, struct arena *arena,
                            struct package *ret_package, struct error *err) MUST_CHECK;
bool package_open_file(int file_fd, struct arena *arena, struct package *ret_package,
                       struct error *err) MUST_CHECK;
bool package_open_remote(const struct tarball_reader *reader, struct arena *arena,
                         struct package *ret_package, struct error *err) MUST_CHECK;
void package_close(struct package *package);

/* Machine `index` with its capacities found out as far as the files are at hand. What stands in the
 * way becomes its obstacle; key is the caller's. */
struct vm *package_vm(struct package *package, size_t index);
/* Reads every file of machine `index` and holds it against the manifest, if there is one. */
bool package_verify(struct package *package, size_t index,
                    bool (*go_on)(void *context, struct error *err), void *context,
                    struct error *err) MUST_CHECK;
/* directory: for the socket of tools that read formats which we do not. */
bool package_disk(struct package *package, size_t index, size_t disk, const char *directory,
                  struct disk **ret_disk, struct error *err) MUST_CHECK;
/* Inode, size and mtime of all files of machine `index`. */
bool package_identity(struct package *package, size_t index, const char **ret_identity,
                      struct error *err) MUST_CHECK;

#endif
