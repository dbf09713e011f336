/* SPDX-License-Identifier: Apache-2.0 */
#include "migration/source/package.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "migration/disk/gzip.h"
#include "migration/disk/nbd.h"
#include "migration/disk/raw.h"
#include "migration/disk/vmdk.h"
#include "migration/disk/vmdk_stream.h"
#include "migration/root.h"
#include "migration/source/foreign.h"
#include "proto/fault.h"

/* A file of the package, open: the whole file, or a part of the archive. */
struct part {
    int fd;
    uint64_t offset_bytes;
    uint64_t length_bytes;
};

static bool has_suffix(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && strcasecmp(name + length - tail, suffix) == 0;
}

static bool missing(const char *name, struct error *err)
{
    return error_set(err, &FAULT_DISK_MISSING, "\"%.300s\" is missing", name);
}

static bool open_beneath(void *context, const char *name, int *ret_fd, struct error *err)
{
    const struct package *package = context;
    if (roots_open_beneath(package->directory_fd, name, O_RDONLY, ret_fd, err))
        return true;
    return err->fault == &FAULT_NOT_FOUND ? missing(name, err) : false;
}

/* The descriptor is the caller's to close. */
static bool open_part(struct package *package, const char *name, struct part *ret_part,
                      struct error *err)
{
    struct stat facts;
    struct part part = {.fd = -1};
    if (package->directory_fd >= 0) {
        if (!open_beneath(package, name, &part.fd, err))
            return false;
        if (fstat(part.fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
            close(part.fd);
            return error_set(err, &FAULT_DISK_INVALID, "\"%.300s\" is no file", name);
        }
        part.length_bytes = (uint64_t)facts.st_size;
    } else {
        const struct tarball_member *member = tarball_find(&package->archive, name);
        if (member == NULL)
            return missing(name, err);
        part.fd = fcntl(package->file_fd, F_DUPFD_CLOEXEC, 3);
        if (part.fd < 0)
            return error_set_errno(err, errno, "cannot open \"%.200s\"", name);
        part.offset_bytes = member->offset_bytes;
        part.length_bytes = member->size_bytes;
    }
    *ret_part = part;
    return true;
}

static bool read_remote(struct package *package, const char *name, size_t most,
                        struct buffer *ret_text, struct error *err)
{
    const struct tarball_member *member = tarball_find(&package->archive, name);
    size_t got = 0;
    if (member == NULL)
        return missing(name, err);
    if (member->size_bytes > most)
        return error_set(err, &FAULT_TOO_LARGE, "\"%.200s\" is larger than %zu bytes", name, most);
    size_t length = (size_t)member->size_bytes;
    buffer_reserve(ret_text, length + 1);
    if (!package->remote.read(package->remote.context, ret_text->data, length, member->offset_bytes,
                              &got, err))
        return false;
    if (got != length)
        return error_set(err, &FAULT_ARCHIVE_INVALID, "\"%.200s\" ends too early", name);
    ret_text->length = length;
    ret_text->data[length] = '\0';
    return true;
}

static bool read_text(struct package *package, const char *name, size_t most,
                      struct buffer *ret_text, struct error *err)
{
    struct part part;
    if (package->remote.read != NULL)
        return read_remote(package, name, most, ret_text, err);
    if (!open_part(package, name, &part, err))
        return false;
    CLEANUP(fd_closep) int fd = part.fd;
    if (part.length_bytes > most)
        return error_set(err, &FAULT_TOO_LARGE, "\"%.200s\" is larger than %zu bytes", name, most);
    size_t length = (size_t)part.length_bytes;
    buffer_reserve(ret_text, length + 1);
    if (!file_pread_all(fd, ret_text->data, length, part.offset_bytes, err))
        return error_prefix(err, "\"%.200s\"", name);
    ret_text->length = length;
    ret_text->data[length] = '\0';
    return true;
}

/* "web.mf" beside "web.ovf"; an archive may call it otherwise. */
static const char *manifest_name(struct package *package)
{
    for (size_t i = 0; i < package->archive.count; i++) {
        if (has_suffix(package->archive.members[i].name, ".mf"))
            return package->archive.members[i].name;
    }
    if (package->directory_fd < 0)
        return NULL;
    size_t stem = strlen(package->descriptor_name) - 4;
    const char *name = arena_printf(package->arena, "%.*s.mf", (int)stem, package->descriptor_name);
    struct stat facts;
    return fstatat(package->directory_fd, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 ? name : NULL;
}

static bool load_manifest(struct package *package, const struct buffer *descriptor,
                          struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    const char *name = manifest_name(package);
    if (name == NULL)
        return true;
    if (!read_text(package, name, MANIFEST_BYTES_MOST, &text, err) ||
        !manifest_parse(text.data, text.length, package->arena, &package->manifest, err))
        return false;
    package->has_manifest = true;
    const struct manifest_line *line = manifest_find(&package->manifest, package->descriptor_name);
    if (line == NULL)
        return error_set(err, &FAULT_MANIFEST_MISMATCH, "the manifest does not name \"%.200s\"",
                         package->descriptor_name);
    return manifest_verify_text(line, descriptor->data, descriptor->length, err);
}

static bool load(struct package *package, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text = {0};
    if (!read_text(package, package->descriptor_name, OVF_BYTES_MOST, &text, err))
        return false;
    return load_manifest(package, &text, err) &&
           ovf_parse(text.data, text.length, package->arena, &package->ovf, err);
}

static bool load_archive(struct package *package, const struct tarball_reader *reader,
                         struct error *err)
{
    if (!tarball_list(reader, package->arena, &package->archive, err))
        return false;
    for (size_t i = 0; i < package->archive.count; i++) {
        if (!has_suffix(package->archive.members[i].name, ".ovf"))
            continue;
        if (package->descriptor_name != NULL)
            return error_set(err, &FAULT_ARCHIVE_INVALID, "it holds two descriptors (.ovf)");
        package->descriptor_name = package->archive.members[i].name;
    }
    if (package->descriptor_name == NULL)
        return error_set(err, &FAULT_ARCHIVE_INVALID, "it holds no descriptor (.ovf)");
    return load(package, err);
}

bool package_open_directory(int directory_fd, const char *descriptor_name, struct arena *arena,
                            struct package *ret_package, struct error *err)
{
    struct package package = {.arena = arena,
                              .directory_fd = directory_fd,
                              .file_fd = -1,
                              .descriptor_name = arena_strdup(arena, descriptor_name)};
    bool fine = load(&package, err);
    if (fine)
        *ret_package = package;
    else
        package_close(&package);
    return fine;
}

static bool read_file(void *context, void *ret_data, size_t length, uint64_t offset,
                      size_t *ret_length, struct error *err)
{
    const struct package *package = context;
    size_t done = 0;
    while (done < length) {
        ssize_t got =
            pread(package->file_fd, (char *)ret_data + done, length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "cannot read the archive");
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_length = done;
    return true;
}

bool package_open_file(int file_fd, struct arena *arena, struct package *ret_package,
                       struct error *err)
{
    struct package package = {.arena = arena, .directory_fd = -1, .file_fd = file_fd};
    struct stat facts;
    bool fine = fstat(file_fd, &facts) == 0 && S_ISREG(facts.st_mode);
    if (!fine)
        error_set(err, &FAULT_ARCHIVE_INVALID, "it is no file");
    struct tarball_reader reader = {
        .read = read_file, .context = &package, .size_bytes = fine ? (uint64_t)facts.st_size : 0};
    fine = fine && load_archive(&package, &reader, err);
    if (fine)
        *ret_package = package;
    else
        package_close(&package);
    return fine;
}

bool package_open_remote(const struct tarball_reader *reader, struct arena *arena,
                         struct package *ret_package, struct error *err)
{
    struct package package = {.arena = arena, .directory_fd = -1, .file_fd = -1, .remote = *reader};
    if (!load_archive(&package, reader, err))
        return false;
    *ret_package = package;
    return true;
}

void package_close(struct package *package)
{
    fd_closep(&package->directory_fd);
    fd_closep(&package->file_fd);
}

/* A disk of a package is one file: manifest and identity know of no other that a text descriptor
 * would lead to. */
static bool open_vmdk(struct package *package, const char *name, struct disk **ret_disk,
                      struct error *err)
{
    struct part part;
    return open_part(package, name, &part, err) &&
           disk_vmdk_open_part(part.fd, part.offset_bytes, part.length_bytes, name, ret_disk, err);
}

static bool open_raw(struct package *package, const char *name, struct disk **ret_disk,
                     struct error *err)
{
    struct part part;
    if (!open_part(package, name, &part, err))
        return false;
    struct disk_raw_plan plan = {.fd = part.fd,
                                 .offset_bytes = part.offset_bytes,
                                 .length_bytes = part.length_bytes,
                                 .description = name};
    return disk_raw_open(&plan, ret_disk, err);
}

/* How much comes out of a raw disk only the descriptor tells; other formats would be read back and forth. */
static bool check_gzip(const struct vm_disk *disk, struct error *err)
{
    bool raw = strcmp(disk->format, "raw") == 0;
    if (!raw && strcmp(disk->format, "vmdk") != 0)
        return error_set(
            err, &FAULT_DISK_UNSUPPORTED,
            "\"%.200s\" is compressed, which is read for raw disks and streamOptimized "
            "VMDKs, not for %s",
            disk->key, disk->format);
    if (raw && disk->capacity_bytes == 0)
        return error_set(err, &FAULT_DISK_UNSUPPORTED,
                         "\"%.200s\" is compressed, and the descriptor tells no capacity",
                         disk->key);
    return true;
}

/* Read once, from its beginning on. */
static bool open_gzip(struct package *package, const struct vm_disk *wanted, struct disk **ret_disk,
                      struct error *err)
{
    struct disk *file = NULL, *inner = NULL;
    if (!check_gzip(wanted, err) || !open_raw(package, wanted->key, &file, err))
        return false;
    if (strcmp(wanted->format, "raw") == 0)
        return disk_gzip_open(file, wanted->capacity_bytes, ret_disk, err);
    return (disk_gzip_open(file, 0, &inner, err) &&
            disk_vmdk_stream_open_over(inner, ret_disk, err)) ||
           error_prefix(err, "\"%.200s\"", wanted->key);
}

static bool open_other(struct package *package, const char *name, const char *format,
                       const char *directory, struct disk **ret_disk, struct error *err)
{
    struct part part;
    if (strcmp(format, "raw") == 0)
        return open_raw(package, name, ret_disk, err);
    if (!open_part(package, name, &part, err))
        return false;
    CLEANUP(fd_closep) int fd = part.fd;
    struct disk_qemu_plan plan = {.fd = fd,
                                  .offset_bytes = part.offset_bytes,
                                  .length_bytes = part.length_bytes,
                                  .format = format,
                                  .directory = directory};
    return disk_qemu_open(&plan, ret_disk, err);
}

static bool check_kind(const struct ovf_disk *backing, const struct vm_disk *disk,
                       struct error *err)
{
    if (backing->file == NULL)
        return error_set(err, &FAULT_DISK_UNSUPPORTED, "a disk without a file of its own");
    if (backing->file->chunked || (backing->file->compressed && !backing->file->gzip))
        return error_set(err, &FAULT_DISK_UNSUPPORTED,
                         "\"%.200s\" is cut into chunks, or compressed by other means than gzip",
                         disk->key);
    if (disk->format == NULL)
        return error_set(err, &FAULT_DISK_UNSUPPORTED, "the format of \"%.200s\" is not known",
                         disk->key);
    return true;
}

bool package_disk(struct package *package, size_t index, size_t disk, const char *directory,
                  struct disk **ret_disk, struct error *err)
{
    const struct ovf_system *system = &package->ovf->systems[index];
    const struct vm_disk *wanted = &system->vm->disks[disk];
    if (!check_kind(&system->disks[disk], wanted, err))
        return false;
    if (system->disks[disk].file->gzip)
        return open_gzip(package, wanted, ret_disk, err);
    if (strcmp(wanted->format, "vmdk") == 0)
        return open_vmdk(package, wanted->key, ret_disk, err);
    return open_other(package, wanted->key, wanted->format, directory, ret_disk, err);
}

#define GZIP_HEAD_BYTES 4096
#define SPARSE_HEAD_BYTES 20 /* "KDMV", version, flags, then the capacity in sectors */

/* The first bytes of what the member holds. */
static bool read_head(const struct package *package, const struct tarball_member *member, bool gzip,
                      uint8_t ret_head[SPARSE_HEAD_BYTES], struct error *err)
{
    uint8_t packed[GZIP_HEAD_BYTES];
    size_t most = gzip ? sizeof(packed) : SPARSE_HEAD_BYTES, length;
    most = member->size_bytes < most ? (size_t)member->size_bytes : most;
    if (most > 0 && !package->remote.read(package->remote.context, packed, most,
                                          member->offset_bytes, &length, err))
        return false;
    bool whole = most > 0 && (gzip ? gzip_peek(packed, length, ret_head, SPARSE_HEAD_BYTES)
                                   : length == SPARSE_HEAD_BYTES);
    if (whole && !gzip)
        memcpy(ret_head, packed, SPARSE_HEAD_BYTES);
    if (!whole || memcmp(ret_head, "KDMV", 4) != 0)
        return error_set(err, &FAULT_DISK_INVALID, "\"%.200s\" does not begin like a VMDK",
                         member->name);
    return true;
}

/* As look_at_disk does for what is at hand, so that a later look at the whole file finds the same. The
 * kinds of VMDK that an OVA holds begin with such a head ("Virtual Disk Format 5.0"). */
static bool probe_remote(const struct package *package, const struct tarball_member *member,
                         bool gzip, struct vm_disk *disk, struct error *err)
{
    uint8_t head[SPARSE_HEAD_BYTES];
    uint64_t sectors = 0;
    disk->stored_bytes = member->size_bytes;
    if (gzip && !check_gzip(disk, err))
        return false;
    if (strcmp(disk->format, "raw") == 0 && !gzip)
        disk->capacity_bytes = member->size_bytes;
    if (strcmp(disk->format, "vmdk") != 0)
        return true;
    if (!read_head(package, member, gzip, head, err))
        return false;
    memcpy(&sectors, head + 12, sizeof(sectors));
    sectors = le64toh(sectors);
    if (sectors == 0 || sectors > INT64_MAX / 512)
        return error_set(err, &FAULT_DISK_INVALID, "\"%.200s\" has an absurd capacity", disk->key);
    disk->capacity_bytes = sectors * 512;
    return true;
}

/* The size that counts is the disk's own; the descriptor's is checked only where nothing else is at
 * hand. Formats that need a tool are looked at when they are read. */
static bool look_at_disk(struct package *package, size_t index, size_t number, struct error *err)
{
    struct ovf_system *system = &package->ovf->systems[index];
    struct vm_disk *disk = &system->vm->disks[number];
    struct part part;
    if (!check_kind(&system->disks[number], disk, err))
        return false;
    if (package->remote.read != NULL) {
        const struct tarball_member *member = tarball_find(&package->archive, disk->key);
        bool gzip = system->disks[number].file->gzip;
        return member != NULL ? probe_remote(package, member, gzip, disk, err)
                              : missing(disk->key, err);
    }
    if (!open_part(package, disk->key, &part, err))
        return false;
    close(part.fd);
    disk->stored_bytes = part.length_bytes;
    if (strcmp(disk->format, "vmdk") == 0 || strcmp(disk->format, "raw") == 0 ||
        system->disks[number].file->gzip) {
        CLEANUP(disk_closep) struct disk *open = NULL;
        if (!package_disk(package, index, number, NULL, &open, err))
            return false;
        disk->capacity_bytes = disk_size_bytes(open);
    }
    return true;
}

struct vm *package_vm(struct package *package, size_t index)
{
    struct vm *vm = package->ovf->systems[index].vm;
    for (size_t i = 0; i < vm->disk_count; i++) {
        struct error why = {0};
        if (!look_at_disk(package, index, i, &why) && vm->obstacle_code == NULL) {
            vm->obstacle_code = why.fault->code;
            vm->obstacle_text = foreign_clean(package->arena, why.text, 1000);
        }
        if (vm->disks[i].key[0] == '\0')
            vm->disks[i].key = arena_printf(package->arena, "empty-%zu", i);
    }
    if (vm->disk_count == 0 && vm->obstacle_code == NULL) {
        vm->obstacle_code = FAULT_VM_CONFIG_INVALID.code;
        vm->obstacle_text = "the machine has no disk";
    }
    return vm;
}

bool package_verify(struct package *package, size_t index,
                    bool (*go_on)(void *context, struct error *err), void *context,
                    struct error *err)
{
    const struct vm *vm = package->ovf->systems[index].vm;
    for (size_t i = 0; package->has_manifest && i < vm->disk_count; i++) {
        const struct manifest_line *line = manifest_find(&package->manifest, vm->disks[i].key);
        struct part part;
        if (line == NULL)
            return error_set(err, &FAULT_MANIFEST_MISMATCH, "the manifest does not name \"%.200s\"",
                             vm->disks[i].key);
        if (!open_part(package, line->name, &part, err))
            return false;
        struct manifest_check check = {.fd = part.fd,
                                       .offset_bytes = part.offset_bytes,
                                       .length_bytes = part.length_bytes,
                                       .go_on = go_on,
                                       .context = context};
        bool same = manifest_verify(line, &check, err);
        close(part.fd);
        if (!same)
            return false;
    }
    return true;
}

static bool add_identity(const char *name, int fd, struct arena *arena, const char **text,
                         struct error *err)
{
    CLEANUP(xfreep) char *identity = raw_identity(fd);
    if (identity == NULL)
        return error_set(err, &FAULT_IO, "cannot look at \"%.200s\"", name);
    *text = arena_printf(arena, "%s%s %s\n", *text, name, identity);
    return true;
}

bool package_identity(struct package *package, size_t index, const char **ret_identity,
                      struct error *err)
{
    const struct vm *vm = package->ovf->systems[index].vm;
    const char *text = "";
    if (package->file_fd >= 0) {
        if (!add_identity("archive", package->file_fd, package->arena, &text, err))
            return false;
        *ret_identity = text;
        return true;
    }
    for (size_t i = 0; i <= vm->disk_count; i++) {
        const char *name = i < vm->disk_count ? vm->disks[i].key : package->descriptor_name;
        CLEANUP(fd_closep) int fd = -1;
        if (!open_beneath(package, name, &fd, err) ||
            !add_identity(name, fd, package->arena, &text, err))
            return false;
    }
    *ret_identity = text;
    return true;
}
