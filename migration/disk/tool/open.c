/* SPDX-License-Identifier: Apache-2.0
 *
 * Names into disks.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/openat2.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "migration/disk/gzip.h"
#include "migration/disk/nbd.h"
#include "migration/disk/qcow2.h"
#include "migration/disk/raw.h"
#include "migration/disk/tool/tool.h"
#include "migration/disk/vmdk.h"
#include "migration/disk/vmdk_stream.h"
#include "proto/fault.h"

/* Opens beneath the directory of the descriptor, never outside. */
static bool open_beneath(void *context, const char *name, int *ret_fd, struct error *err)
{
    const int *directory = context;
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, *directory, name, &how, sizeof(how));
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open \"%s\"", name);
    *ret_fd = (int)fd;
    return true;
}

static bool open_vmdk(const char *path, struct disk **ret_disk, struct error *err)
{
    char *for_directory = xstrdup(path), *for_name = xstrdup(path);
    CLEANUP(fd_closep)
    int directory = open(dirname(for_directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct disk_opener opener = {open_beneath, &directory};
    bool ok = directory >= 0
                  ? disk_vmdk_open(&opener, basename(for_name), ret_disk, err)
                  : error_set_errno(err, errno, "cannot open the directory of \"%s\"", path);
    free(for_directory);
    free(for_name);
    return ok;
}

const char *tool_find_format(const char start[TOOL_MAGIC_BYTES])
{
    static const struct {
        const char *magic;
        size_t length;
        const char *format;
    } known[] = {
        {"KDMV", 4, "vmdk"},     {"# Disk DescriptorFile", 21, "vmdk"},
        {"QFI\xfb", 4, "qcow2"}, {"vhdxfile", 8, "vhdx"},
        {"conectix", 8, "vpc"},  {"\x1f\x8b", 2, "gzip"},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (memcmp(start, known[i].magic, known[i].length) == 0)
            return known[i].format;
    }
    return memcmp(start + 64, "\x7f\x10\xda\xbe", 4) == 0 ? "vdi" : "raw";
}

static _Atomic bool input_ends; /* nobody waits for more of it */

static void interrupt_in(void *context)
{
    input_ends = true;
}

static bool read_in(void *context, void *ret_data, size_t length, struct error *err)
{
    uint8_t *to = ret_data;
    while (length > 0) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (input_ends)
            return error_set(err, &FAULT_CANCELLED, "standard input: interrupted");
        if (poll(&input, 1, 100) <= 0)
            continue;
        ssize_t got = read(STDIN_FILENO, to, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_set_errno(err, errno, "cannot read standard input");
        if (got == 0)
            return error_set(err, &FAULT_DISK_INVALID, "truncated: standard input ended");
        to += got;
        length -= (size_t)got;
    }
    return true;
}

static const char *find_format(int fd)
{
    char start[TOOL_MAGIC_BYTES] = {0};
    return pread(fd, start, sizeof(start), 0) < 0 ? "raw" : tool_find_format(start);
}

/* Takes fd. What our reader does not know, qemu-nbd may. */
static bool open_qcow2_source(const char *name, int fd, struct disk **ret_disk, struct error *err)
{
    struct disk *file = NULL;
    struct disk_raw_plan raw = {.fd = fd, .description = name};
    if (!disk_raw_open(&raw, &file, err))
        return false;
    if (disk_qcow2_read_open(file, ret_disk, err))
        return true;
    struct disk_qemu_plan plan = {
        .path = name, .fd = -1, .format = "qcow2", .directory = tool_directory()};
    return err->fault == &FAULT_DISK_UNSUPPORTED && disk_qemu_open(&plan, ret_disk, err);
}

/* How much is in it is told nowhere: only what tells its own size can be read. */
bool tool_open_gzip(struct disk *bytes, struct disk **ret_disk, struct error *err)
{
    struct disk *inner = NULL;
    return (disk_gzip_open(bytes, 0, &inner, err) &&
            disk_vmdk_stream_open_over(inner, ret_disk, err)) ||
           error_prefix(err, "gzip (of a streamOptimized VMDK only)");
}

bool tool_open_source(const char *name, const struct tool_options *options, struct disk **ret_disk,
                      struct error *err)
{
    if (strncmp(name, "nbd", 3) == 0 && strstr(name, "://") != NULL)
        return disk_nbd_open(name, false, ret_disk, err);
    if (strcmp(name, "-") == 0)
        return disk_vmdk_stream_open((struct disk_bytes){read_in, NULL, interrupt_in}, ret_disk,
                                     err);
    if (tool_is_http(name))
        return tool_open_http(name, options, ret_disk, err);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open \"%s\"", name);
    const char *format = options->from_format != NULL ? options->from_format : find_format(fd);
    if (strcmp(format, "raw") == 0)
        return disk_raw_open(&(struct disk_raw_plan){.fd = fd, .description = name}, ret_disk, err);
    struct disk *bytes = NULL;
    if (strcmp(format, "gzip") == 0)
        return disk_raw_open(&(struct disk_raw_plan){.fd = fd, .description = name}, &bytes, err) &&
               tool_open_gzip(bytes, ret_disk, err);
    if (strcmp(format, "qcow2") == 0)
        return open_qcow2_source(name, fd, ret_disk, err);
    close(fd);
    if (strcmp(format, "vmdk") == 0)
        return open_vmdk(name, ret_disk, err);
    struct disk_qemu_plan plan = {
        .path = name, .fd = -1, .format = format, .directory = tool_directory()};
    return disk_qemu_open(&plan, ret_disk, err);
}

static bool open_qcow2(const char *name, int fd, const struct tool_options *options,
                       struct disk *from, struct disk **ret_disk, struct error *err)
{
    struct disk_qcow2_plan plan = {
        .fd = fd,
        .size_bytes = disk_size_bytes(from),
        .compression = options->compression,
        .lazy = !options->sync,
        .description = name,
    };
    return options->to_is_old ? disk_qcow2_reopen(&plan, ret_disk, err)
                              : disk_qcow2_create(&plan, ret_disk, err);
}

/* A file that is made anew, or what stands there: a device keeps what it held. */
static int open_file(const char *name, bool is_old, struct tool_target *target)
{
    int fd = is_old ? -1 : open(name, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0666);
    struct stat about;
    target->is_new = fd >= 0;
    if (fd < 0 && (is_old || errno == EEXIST))
        fd = open(name, O_RDWR | O_CLOEXEC);
    target->is_zero = !is_old && fd >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode);
    return fd;
}

bool tool_open_target(const char *name, const struct tool_options *options, struct disk *from,
                      struct tool_target *ret_target, struct error *err)
{
    struct disk **ret_disk = &ret_target->disk;
    *ret_target = (struct tool_target){.disk = NULL};
    if (strncmp(name, "nbd", 3) == 0 && strstr(name, "://") != NULL)
        return disk_nbd_open(name, true, ret_disk, err);
    int fd = open_file(name, options->to_is_old, ret_target);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open \"%s\"", name);
    if (strcmp(options->to_format, "qcow2") == 0)
        return open_qcow2(name, fd, options, from, ret_disk, err);
    struct disk_raw_plan plan = {
        .fd = fd, .writable = true, .lazy = !options->sync, .description = name};
    if (options->to_is_old)
        return disk_raw_open(&plan, ret_disk, err);
    return disk_raw_create(&plan, disk_size_bytes(from), ret_disk, err);
}
