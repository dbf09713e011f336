/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migration/destination/local_inner.h"
#include "migration/disk/nbd.h"
#include "migration/disk/qcow2.h"
#include "migration/disk/raw.h"
#include "proto/fault.h"

void local_disk_name(size_t index, const char *format, char ret_name[PLACE_NAME_SIZE])
{
    snprintf(ret_name, PLACE_NAME_SIZE, "disk%zu.%s", index, format);
}

/* The attempt's directory, by the ledger. */
static bool open_directory(struct local *self, int *ret_fd, struct error *err)
{
    struct place_mark mark = local_mark(self);
    const struct ledger_entry *stored = NULL;
    char name[PLACE_NAME_SIZE];
    place_attempt_name(&mark, name);
    struct ledger_entry entry = {
        .end = END_DESTINATION, .kind = "directory", .key = name, .prior_json = ""};
    if (!work_intend(self->work, &entry, &stored, err) || !work_fence(self->work, err))
        return false;
    CLEANUP(fd_closep) int fd = -1;
    if (!place_make(self->root_fd, name, &mark, &fd, err))
        return false;
    const char *path = arena_printf(work_arena(self->work), "%s/%s", self->path, name);
    if (!work_made(self->work, stored, path, err))
        return false;
    *ret_fd = fd;
    fd = -1;
    return true;
}

/* What a guest keeps is nobody else's to read: libvirt gives the file to whom it runs the guest as. */
static bool open_file(int directory_fd, const char *name, int *ret_fd, bool *ret_existed,
                      struct error *err)
{
    int fd = openat(directory_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct stat facts;
    if (fd < 0)
        return error_set_errno(err, errno, "cannot create \"%s\"", name);
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        close(fd);
        return error_set(err, &FAULT_IO, "\"%s\" is no file", name);
    }
    *ret_fd = fd;
    *ret_existed = facts.st_size > 0;
    return true;
}

/* What an earlier run of this attempt wrote is kept where its format is understood: a compressed file is
 * begun again. */
static bool open_qcow2(int directory_fd, const char *name, uint64_t size_bytes,
                       enum disk_qcow2_compression compression, struct destination_disk *ret_disk,
                       struct error *err)
{
    struct disk_qcow2_plan plan = {
        .size_bytes = size_bytes, .compression = compression, .description = name};
    struct error why = {0};
    bool existed;
    if (!open_file(directory_fd, name, &plan.fd, &existed, err))
        return false;
    ret_disk->reads_as_zero = true;
    if (existed && disk_qcow2_reopen(&plan, &ret_disk->disk, &why)) {
        ret_disk->resumable = disk_size_bytes(ret_disk->disk) == size_bytes;
        if (ret_disk->resumable)
            return true;
        disk_close(ret_disk->disk);
    }
    if (existed && !open_file(directory_fd, name, &plan.fd, &existed, err))
        return false; /* the plan's descriptor was taken */
    ret_disk->resumable = false;
    return disk_qcow2_create(&plan, &ret_disk->disk, err);
}

static bool open_raw(int directory_fd, const char *name, uint64_t size_bytes,
                     struct destination_disk *ret_disk, struct error *err)
{
    struct disk_raw_plan plan = {.writable = true, .description = name};
    struct stat facts;
    bool existed;
    if (!open_file(directory_fd, name, &plan.fd, &existed, err))
        return false;
    ret_disk->reads_as_zero = true;
    ret_disk->resumable =
        existed && fstat(plan.fd, &facts) == 0 && (uint64_t)facts.st_size == size_bytes;
    if (ret_disk->resumable)
        return disk_raw_open(&plan, &ret_disk->disk, err);
    return disk_raw_create(&plan, size_bytes, &ret_disk->disk, err);
}

bool local_disk_begin(struct destination *destination, const struct destination_plan *plan,
                      size_t index, uint64_t size_bytes, struct destination_disk *ret_disk,
                      struct error *err)
{
    struct local *self = (struct local *)destination;
    struct local_options options;
    const struct ledger_entry *stored = NULL;
    CLEANUP(fd_closep) int directory = -1;
    char name[PLACE_NAME_SIZE], key[32];
    if (!local_options_read(plan->options, &options, err) || !open_directory(self, &directory, err))
        return false;
    local_disk_name(index, options.format, name);
    snprintf(key, sizeof(key), "disk%zu", index);
    struct ledger_entry entry = {
        .end = END_DESTINATION, .kind = "disk", .key = key, .prior_json = ""};
    if (!work_intend(self->work, &entry, &stored, err) || !work_fence(self->work, err))
        return false;
    struct destination_disk disk = {0};
    bool opened = strcmp(options.format, "raw") == 0
                      ? open_raw(directory, name, size_bytes, &disk, err)
                      : open_qcow2(directory, name, size_bytes,
                                   (enum disk_qcow2_compression)options.compression, &disk, err);
    if (!opened)
        return error_prefix(err, "disk %zu", index);
    if (!work_made(self->work, stored, name, err)) {
        disk_close(disk.disk);
        return false;
    }
    *ret_disk = disk;
    return true;
}

/* The attempt's directory, or the server's once it was deployed by this attempt. */
static bool open_either(struct local *self, const char *server_name, int *ret_fd, struct error *err)
{
    struct place_mark mark = local_mark(self), found;
    char name[PLACE_NAME_SIZE];
    place_attempt_name(&mark, name);
    if (!place_exists(self->root_fd, name)) {
        place_server_name(server_name, name);
        if (!place_read_mark(self->root_fd, name, &found) || found.attempt != mark.attempt ||
            !uuid_equal(&found.migration, &mark.migration))
            return error_set(err, &FAULT_FENCED, "what this attempt had made is gone");
    }
    return place_open(self->root_fd, name, ret_fd, err);
}

/* Read by QEMU's own code, not by what wrote it. */
static bool open_reader(struct local *self, int directory_fd, const char *name, const char *format,
                        struct disk **ret_disk, struct error *err)
{
    CLEANUP(fd_closep) int fd = openat(directory_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open \"%s\"", name);
    struct disk_qemu_plan plan = {
        .fd = fd, .format = format, .directory = work_directory(self->work)};
    return disk_qemu_open(&plan, ret_disk, err);
}

bool local_disk_end(struct destination *destination, const struct destination_plan *plan,
                    size_t index, const struct copy_digests *digests, struct copy_control *control,
                    json_t *evidence, struct error *err)
{
    struct local *self = (struct local *)destination;
    struct local_options options;
    CLEANUP(fd_closep) int directory = -1;
    CLEANUP(disk_closep) struct disk *disk = NULL;
    char name[PLACE_NAME_SIZE], digest[COPY_DIGEST_TEXT_SIZE];
    if (!local_options_read(plan->options, &options, err) ||
        !open_either(self, plan->server_name, &directory, err))
        return false;
    local_disk_name(index, options.format, name);
    if (!open_reader(self, directory, name, options.format, &disk, err) ||
        !copy_verify(disk, digests, control, err))
        return error_prefix(err, "disk %zu, read again", index);
    copy_digests_text(digests, digest);
    json_object_set_new(evidence, "content", json_string(digest));
    json_object_set_new(evidence, "reader", json_string("qemu-nbd"));
    json_object_set_new(evidence, "format", json_string(options.format));
    return true;
}
