/* SPDX-License-Identifier: Apache-2.0
 *
 * qemu-nbd in a cage: a process group of its own, no environment, no descriptors but the image and its
 * directory, no new privileges, walls of its own (migration/confine.h), dead when we are. It opens the descriptor that was checked, by
 * /proc/self/fd, so that no name can be swapped in between.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "migration/confine.h"
#include "migration/disk/nbd_inner.h"
#include "migration/disk/raw.h"
#include "proto/fault.h"

#define TOOL "/usr/bin/qemu-nbd"
#define START_MOST_MS 20000u
#define END_MOST_MS 30000u
#define ENDING_MOST_MS 1000u
#define TICK_MS 10u
#define IMAGE_FD 3
#define DIRECTORY_FD 4

struct qemu_process {
    pid_t pid;
    bool reaped;
    int status;
    int directory_fd;
    int words_fd; /* what it says on standard error */
    char socket[32];
};

static bool reap(struct qemu_process *process)
{
    if (!process->reaped && waitpid(process->pid, &process->status, WNOHANG) == process->pid)
        process->reaped = true;
    return process->reaped;
}

static bool is_gone(struct qemu_process *process, struct error *err)
{
    if (!reap(process))
        return false;
    char words[320] = {0};
    ssize_t length = read(process->words_fd, words, sizeof(words) - 1);
    for (ssize_t i = 0; i < length; i++)
        words[i] = words[i] == '\n' ? ' ' : words[i];
    error_set(err, &FAULT_DISK_INVALID, "qemu-nbd ended: %s", length > 0 ? words : "without words");
    return true;
}

static bool wait_for_end(struct qemu_process *process, uint64_t most_ms)
{
    for (uint64_t until_ms = clock_mono_ms() + most_ms; !reap(process);) {
        if (clock_mono_ms() > until_ms)
            return false;
        usleep(TICK_MS * 1000);
    }
    return true;
}

bool qemu_process_is_ending(struct qemu_process *process, struct error *err)
{
    return wait_for_end(process, ENDING_MOST_MS) && is_gone(process, err);
}

bool qemu_process_end(struct qemu_process *process, struct error *err)
{
    bool ok = true;
    if (!reap(process)) {
        kill(process->pid, SIGTERM);
        if (!wait_for_end(process, END_MOST_MS)) {
            kill(-process->pid, SIGKILL);
            ok = error_set(err, &FAULT_TIMEOUT, "qemu-nbd did not end");
            while (waitpid(process->pid, &process->status, 0) < 0 && errno == EINTR)
                ;
        }
    }
    if (ok && !(WIFEXITED(process->status) && WEXITSTATUS(process->status) == 0))
        ok = error_set(err, &FAULT_IO, "qemu-nbd ended with status %#x", (unsigned)process->status);
    unlinkat(process->directory_fd, process->socket, 0);
    fd_closep(&process->directory_fd);
    fd_closep(&process->words_fd);
    free(process);
    return ok;
}

/* -- starting ------------------------------------------------------------------------------------- */

/* Not VMDK, whose descriptors name other files that qemu would open: vmdk.h reads those. */
static bool format_check(const char *format, struct error *err)
{
    static const char *const known[] = {"raw", "qcow2", "vdi", "vpc", "vhdx"};
    for (size_t i = 0; format != NULL && i < COUNT_OF(known); i++) {
        if (strcmp(format, known[i]) == 0)
            return true;
    }
    return error_set(err, &FAULT_INVALID, "\"%s\" is no format of a disk",
                     format != NULL ? format : "");
}

/* A qcow2 that names other files (backing or data) would make qemu open them. */
static bool references_check(int fd, uint64_t offset, const char *format, struct error *err)
{
    uint8_t header[80] = {0};
    if (strcmp(format, "qcow2") != 0)
        return true;
    if (pread(fd, header, sizeof(header), (off_t)offset) < 72)
        return error_set(err, &FAULT_DISK_INVALID, "truncated qcow2");
    uint64_t backing, features;
    uint32_t version;
    memcpy(&version, header + 4, sizeof(version));
    memcpy(&backing, header + 8, sizeof(backing));
    memcpy(&features, header + 72, sizeof(features));
    if (memcmp(header, "QFI\xfb", 4) != 0)
        return error_set(err, &FAULT_DISK_INVALID, "not a qcow2 file");
    if (backing != 0 || (be32toh(version) >= 3 && (be64toh(features) & 4) != 0))
        return error_set(err, &FAULT_DISK_UNSUPPORTED, "a qcow2 file that names other files");
    return true;
}

/* Only what may stand between fork and exec: this process may have threads. */
static void child_run(int image_fd, int directory_fd, int words_fd, const struct confine *confine,
                      char *const *arguments)
{
    static char path[] = "PATH=/usr/bin:/bin", language[] = "LC_ALL=C";
    static char *const environment[] = {path, language, NULL};
    static const struct rlimit no_core = {0, 0};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null_fd = open("/dev/null", O_RDWR);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        setpgid(0, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 || null_fd < 0 ||
        dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(words_fd, 2) < 0 ||
        dup2(image_fd, IMAGE_FD) < 0 || dup2(directory_fd, DIRECTORY_FD) < 0 ||
        confine_enter(confine) != 0 || close_range(DIRECTORY_FD + 1, ~0u, 0) < 0)
        _exit(126);
    execve(TOOL, arguments, environment);
    _exit(127);
}

/* Descriptors for the child stand high, so that placing one does not overwrite another. */
static int high_fd(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

/* It opens the image again by its descriptor, makes its socket, and has no use for anything else. */
static bool walls_make(const struct qemu_process *process, int image_fd, bool writable,
                       struct confine **ret_confine, struct error *err)
{
    if (!confine_new(CONFINE_NO_CHILDREN, ret_confine, err))
        return false;
    confine_system(*ret_confine);
    confine_tool(*ret_confine, TOOL);
    confine_fd(*ret_confine, image_fd, CONFINE_READ | (writable ? CONFINE_WRITE : 0));
    confine_fd(*ret_confine, process->directory_fd, CONFINE_SOCKETS);
    return true;
}

static bool process_fork(struct qemu_process *process, int image_fd, bool writable, int words_fd,
                         char *const *arguments, struct error *err)
{
    CLEANUP(confine_freep) struct confine *confine = NULL;
    if (!walls_make(process, image_fd, writable, &confine, err))
        return false;
    CLEANUP(fd_closep) int image = high_fd(image_fd);
    CLEANUP(fd_closep) int directory = high_fd(process->directory_fd);
    CLEANUP(fd_closep) int words = high_fd(words_fd);
    if (image < 0 || directory < 0 || words < 0)
        return error_set_errno(err, errno, "cannot copy a descriptor");
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid < 0)
        return error_set_errno(err, errno, "cannot start qemu-nbd");
    if (process->pid == 0) {
        if (getppid() != parent)
            _exit(125);
        child_run(image, directory, words, confine, arguments);
    }
    return true;
}

static bool process_start(const struct disk_qemu_plan *plan, int image_fd,
                          struct qemu_process *process, struct error *err)
{
    static atomic_uint number;
    snprintf(process->socket, sizeof(process->socket), "qemu-%d-%u.sock", (int)getpid(), ++number);
    CLEANUP(arena_freep) struct arena *arena = arena_new();
    char *image = plan->offset_bytes > 0 || plan->length_bytes > 0
                      ? arena_printf(arena,
                                     "driver=%s,file.driver=raw,file.offset=%" PRIu64
                                     ",file.size=%" PRIu64 ",file.file.driver=file,"
                                     "file.file.locking=off,file.file.filename=/proc/self/fd/%d",
                                     plan->format, plan->offset_bytes, plan->length_bytes, IMAGE_FD)
                      : arena_printf(arena,
                                     "driver=%s,file.driver=file,file.locking=off,"
                                     "file.filename=/proc/self/fd/%d",
                                     plan->format, IMAGE_FD);
    char *arguments[] = {
        arena_strdup(arena, "qemu-nbd"),
        arena_printf(arena, "--socket=/proc/self/fd/%d/%s", DIRECTORY_FD, process->socket),
        arena_printf(arena, "--shared=%u", NBD_CONNECTIONS),
        arena_strdup(arena, "--persistent"),
        arena_strdup(arena, plan->writable ? "--discard=unmap" : "--read-only"),
        arena_strdup(arena, "--cache=writeback"),
        arena_strdup(arena, "--image-opts"),
        image,
        NULL,
    };
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_set_errno(err, errno, "cannot make a pipe");
    process->words_fd = pipe_fds[0];
    bool ok = process_fork(process, image_fd, plan->writable, pipe_fds[1], arguments, err);
    close(pipe_fds[1]);
    return ok;
}

/* Its socket stands there before the image is open; it answers after. */
static bool answers(const struct qemu_process *process)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s",
             process->directory_fd, process->socket);
    CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
}

static bool process_await(struct qemu_process *process, struct error *err)
{
    for (uint64_t until_ms = clock_mono_ms() + START_MOST_MS; !answers(process);) {
        if (is_gone(process, err))
            return false;
        if (clock_mono_ms() > until_ms)
            return error_set(err, &FAULT_TIMEOUT, "qemu-nbd does not listen");
        usleep(TICK_MS * 1000);
    }
    return true;
}

static bool image_open(const struct disk_qemu_plan *plan, int *ret_fd, struct error *err)
{
    int fd = plan->fd >= 0
                 ? fcntl(plan->fd, F_DUPFD_CLOEXEC, 3)
                 : open(plan->path, (plan->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot open \"%s\"",
                               plan->path != NULL ? plan->path : "an image");
    uint64_t file_bytes = 0;
    if (!raw_length(fd, &file_bytes, err) ||
        !references_check(fd, plan->offset_bytes, plan->format, err)) {
        close(fd);
        return false;
    }
    if (plan->offset_bytes > file_bytes || plan->length_bytes > file_bytes - plan->offset_bytes) {
        close(fd);
        return error_set(err, &FAULT_DISK_INVALID, "truncated: %" PRIu64 " bytes at %" PRIu64,
                         plan->length_bytes, plan->offset_bytes);
    }
    *ret_fd = fd;
    return true;
}

static bool process_begin(const struct disk_qemu_plan *plan, int image_fd,
                          struct qemu_process **ret_process, struct error *err)
{
    struct qemu_process *process = xcalloc(1, sizeof(*process));
    *process = (struct qemu_process){.pid = -1, .words_fd = -1};
    process->directory_fd = open(plan->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = process->directory_fd >= 0 ||
              error_set_errno(err, errno, "cannot open \"%s\"", plan->directory);
    ok = ok && process_start(plan, image_fd, process, err);
    if (!ok) {
        fd_closep(&process->directory_fd);
        fd_closep(&process->words_fd);
        free(process);
        return false;
    }
    if (!process_await(process, err)) {
        struct error second; /* the first says why */
        (void)!qemu_process_end(process, &second);
        return false;
    }
    *ret_process = process;
    return true;
}

bool disk_qemu_open(const struct disk_qemu_plan *plan, struct disk **ret_disk, struct error *err)
{
    CLEANUP(fd_closep) int image_fd = -1;
    struct qemu_process *process = NULL;
    const char *name = plan->path != NULL ? plan->path : "descriptor";
    struct disk_qemu_plan whole = *plan;
    if (!format_check(plan->format, err) || !image_open(plan, &image_fd, err))
        return error_prefix(err, "%s", name);
    uint64_t file_bytes = 0;
    if (plan->offset_bytes > 0 && plan->length_bytes == 0 && raw_length(image_fd, &file_bytes, err))
        whole.length_bytes = file_bytes - plan->offset_bytes;
    if (!process_begin(&whole, image_fd, &process, err))
        return error_prefix(err, "%s %s", plan->format, name);
    char *socket = xasprintf("/proc/self/fd/%d/%s", process->directory_fd, process->socket);
    struct nbd_plan nbd = {
        .address = {.socket = socket},
        .writable = plan->writable,
        .description = xasprintf("%s %s", plan->format, name),
        .identity = plan->identity != NULL ? xstrdup(plan->identity) : raw_identity(image_fd),
        .identity_fd = plan->identity == NULL ? fcntl(image_fd, F_DUPFD_CLOEXEC, 3) : -1,
        .process = process,
    };
    bool ok = nbd_open(&nbd, ret_disk, err);
    free(socket);
    return ok;
}
